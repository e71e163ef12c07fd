/** Lines are written a moment after the answer that they tell of, those of calls in batches of their own. */
import type { TestServer } from './server.ts'

/** Everything that a server has logged of the requests and calls that were answered before now. */
export async function settledLogs(server: TestServer): Promise<string> {
  const markers = [await fetch(`${server.url}/nope`), await server.call('', {})]
  const ids = markers.map(({ headers }) => headers.get('x-request-id') ?? 'none')
  const told = () => ids.every((id) => server.logs().includes(id))
  for (let i = 0; i < 1000 && !told(); i++) await Bun.sleep(5)
  if (!told()) throw new Error('the log does not tell of a request')
  return server.logs()
}
