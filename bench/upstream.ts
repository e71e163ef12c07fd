/** The API behind every proxy: reads the request and gives one small answer of the shape that chat APIs give. */
import { ANSWER } from './load/traffic.ts'

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  idleTimeout: 0,
  async fetch(request) {
    await request.arrayBuffer()
    return new Response(ANSWER, { headers: { 'content-type': 'application/json' } })
  },
})
