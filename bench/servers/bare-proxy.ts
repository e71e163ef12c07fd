/**
 * The plainest proxies that one would write on Bun: no keys, no quota, no log, no checks. What a metered call is compared
 * with. One hands the request's stream on; the other reads the body first, which Bun does for less when bodies are small.
 */

const [port, upstream, variant] = process.argv.slice(2)

const target = (request: Request) => upstream + new URL(request.url).pathname

const stream = (request: Request) =>
  fetch(target(request), { method: request.method, headers: request.headers, body: request.body })

const readFirst = async (request: Request) =>
  fetch(target(request), {
    method: request.method,
    headers: request.headers,
    body: await request.text(),
  })

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  idleTimeout: 0,
  fetch: variant === 'read-first' ? readFirst : stream,
})
