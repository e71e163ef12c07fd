/** A real upstream on a free port, which remembers what reached it. */
import { afterAll } from 'bun:test'

export type Seen = {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  readonly body: string
}

export type Upstream = {
  readonly url: string
  /** `host:port`, as PROXY_EGRESS_ALLOW takes it. */
  readonly host: string
  readonly seen: Seen[]
}

const servers = new Set<{ stop(force?: boolean): unknown }>()

afterAll(() => {
  for (const server of servers) server.stop(true)
  servers.clear()
})

/** Without `answer` it says back what it was sent. */
export function startUpstream(
  answer?: (request: Request, seen: Seen) => Response | Promise<Response>,
): Upstream {
  const seen: Seen[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      const one = {
        method: request.method,
        path: pathname + search,
        headers: request.headers,
        body: await request.text(),
      }
      seen.push(one)
      if (answer) return answer(request, one)
      return Response.json({
        method: one.method,
        path: one.path,
        headers: Object.fromEntries(one.headers),
        body: one.body,
      })
    },
  })
  servers.add(server)
  return { url: `http://127.0.0.1:${server.port}`, host: `127.0.0.1:${server.port}`, seen }
}
