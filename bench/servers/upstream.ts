/**
 * The API behind every proxy: reads the request and gives one small answer of the shape that chat APIs give. Speaks TLS when
 * it is given the files of a key and a certificate.
 */
import { ANSWER, EVENT_PIECES } from '../load/traffic.ts'

const [port, keyFile, certFile] = process.argv.slice(2)

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  idleTimeout: 0,
  ...(keyFile && certFile && { tls: { key: Bun.file(keyFile), cert: Bun.file(certFile) } }),
  async fetch(request) {
    if ((await request.text()).includes('"stream":true')) return stream()
    return new Response(ANSWER, { headers: { 'content-type': 'application/json' } })
  },
})

function stream(): Response {
  const body = new ReadableStream({
    type: 'direct',
    async pull(controller) {
      for (const piece of EVENT_PIECES) {
        controller.write(piece)
        await controller.flush()
      }
      controller.close()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}
