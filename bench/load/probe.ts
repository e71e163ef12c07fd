/**
 * Asks a server for /healthz every other millisecond on one connection, and tells how long each answer took: what the
 * event loop cannot answer because it is busy shows here. It measures the scheduling of the machine as well.
 */

/** Short against any pause worth knowing, and still next to no load. */
const EVERY_MS = 2

const REQUEST = 'GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n'
const END_OF_ANSWER = '"ok":true}'

/** The waits in ms. One that spans several turns of asking counts for each of them, so that a long pause is not one sample. */
export async function probe(url: string, seconds: number): Promise<number[]> {
  const { hostname, port } = new URL(url)
  let received = ''
  let waiting = { resolve() {}, reject(_: Error) {} }
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, chunk) {
        received += chunk.toString()
        if (!received.endsWith(END_OF_ANSWER)) return
        received = ''
        waiting.resolve()
      },
      close: () => waiting.reject(new Error('the server closed the connection of the probe')),
    },
  })
  const waits: number[] = []
  const end = performance.now() + seconds * 1000
  for (let sentMs = performance.now(); sentMs < end; sentMs = performance.now()) {
    await new Promise<void>((resolve, reject) => {
      waiting = { resolve, reject }
      socket.write(REQUEST)
    })
    waits.push(...asAskedRegularly(performance.now() - sentMs))
    await Bun.sleep(Math.max(0, sentMs + EVERY_MS - performance.now()))
  }
  waiting = { resolve() {}, reject() {} }
  socket.end()
  return waits
}

/** What those who asked during the wait would have seen. */
export function asAskedRegularly(waitMs: number): number[] {
  const more = Math.max(0, Math.ceil(waitMs / EVERY_MS) - 1)
  return Array.from({ length: more + 1 }, (_, i) => waitMs - i * EVERY_MS)
}
