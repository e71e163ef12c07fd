/** A server with a named upstream, for tests of what passes through one. */
import { issueKey, startServer, type TestServer } from './server.ts'
import { startUpstream, type Upstream } from './upstream.ts'

/** The operator's credential in tests: no answer, log or file may ever show it. */
export const CREDENTIAL = 'sk-operator-0a1b2c3d4e5f6g7h8i9j'

/** Throws if the upstream is refused. */
export async function addUpstream(
  server: TestServer,
  fields: Record<string, unknown>,
): Promise<void> {
  const response = await server.admin('POST', '/admin/upstreams', fields)
  if (response.status !== 201) throw new Error(`no upstream was made: ${await response.text()}`)
}

export type Fixture = {
  readonly server: TestServer
  readonly upstream: Upstream
  /** A request to a path of the server, with the key as a bearer. */
  pass(key: string, path: string, init?: RequestInit): Promise<Response>
  issue(fields?: Record<string, unknown>): Promise<{ key: string; id: string }>
}

/** The upstream is called `api`, mounted at `/v1`, and its base URL ends with `/base`. */
export async function startFixture(
  fields: Record<string, unknown> = {},
  answer?: Parameters<typeof startUpstream>[0],
  env: Record<string, string> = {},
): Promise<Fixture> {
  const upstream = startUpstream(answer)
  const server = await startServer(env)
  await addUpstream(server, {
    name: 'api',
    base_url: `${upstream.url}/base`,
    credential: { secret: CREDENTIAL },
    mount: '/v1',
    ...fields,
  })
  return {
    server,
    upstream,
    issue: (more) => issueKey(server, more),
    pass: (key, path, init = {}) => {
      const headers = new Headers(init.headers)
      headers.set('authorization', `Bearer ${key}`)
      return fetch(server.url + path, { ...init, headers, redirect: 'manual' })
    },
  }
}
