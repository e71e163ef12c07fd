/** The compiled binary as the benchmark starts it, and what an operator asks of it before a measurement. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freeAddress, type Server, type Workspace } from '../workspace.ts'

export const BINARY = resolve(import.meta.dir, '../../dist/quota-proxy')

/** As long as those of vendors. */
const CREDENTIAL = `sk-${'benchmark'.repeat(5)}`

/** Everything is on that is on by default; the log goes to a file. */
export function startQuotaProxy(
  workspace: Workspace,
  name: string,
  upstream: Server,
  env: Readonly<Record<string, string>>,
): Promise<Server> {
  const { port, url } = freeAddress()
  return workspace.serve(`quota-proxy-${name}`, url, [BINARY, 'serve'], {
    HOST: '127.0.0.1',
    PORT: String(port),
    LOG_FORMAT: 'json',
    PROXY_EGRESS_ALLOW: new URL(upstream.url).host,
    ...env,
  })
}

export type UpstreamSettings = {
  readonly name: string
  readonly base_url: string
  readonly mount: string
  readonly [setting: string]: unknown
}

/**
 * Resolves with null, or with what the API says against the settings. The parts of a run share databases, so that an earlier one
 * may have made an upstream of this name, for another address.
 */
export async function addUpstream(
  { url }: Server,
  dataDir: string,
  settings: UpstreamSettings,
): Promise<string | null> {
  const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
  const ask = (method: string, path: string, body: unknown) =>
    fetch(`${url}/admin/upstreams${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const { name, ...rest } = settings
  const made = await ask('POST', '', settings)
  const response = made.status === 409 ? await ask('PATCH', `/${name}`, rest) : made
  return response.ok ? null : await response.text()
}

/** Mounts the chat API at a path of its own; `meter` says what is counted of its calls. */
export async function mountChat(
  server: Server,
  dataDir: string,
  upstream: Server,
  meter: 'none' | 'tokens',
): Promise<string> {
  const mount = `/${meter}`
  const problem = await addUpstream(server, dataDir, {
    ...{ name: meter, base_url: `${upstream.url}/v1`, mount },
    credential: { secret: CREDENTIAL },
    meter: { kind: meter },
  })
  if (problem !== null) throw new Error(`the upstream was refused: ${problem}`)
  return mount
}
