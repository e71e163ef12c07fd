/** Lines are written a moment after the answer that they tell of. */
import type { TestServer } from './server.ts'

/** Everything that a server has logged of the requests that were answered before now. */
export async function settledLogs(server: TestServer): Promise<string> {
  const marker = await fetch(`${server.url}/nope`)
  const requestId = marker.headers.get('x-request-id') ?? 'none'
  for (let i = 0; i < 1000 && !server.logs().includes(requestId); i++) await Bun.sleep(5)
  if (!server.logs().includes(requestId)) throw new Error('the log does not tell of a request')
  return server.logs()
}
