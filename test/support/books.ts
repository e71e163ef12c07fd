/** What stands in the ledger, read from its database as any second process would. */
import type { Call } from '../../src/modules/calls/model.ts'
import { testDatabase } from './database.ts'
import type { TestServer } from './server.ts'

export type Entry = {
  readonly outcome: string
  readonly status: number | null
  readonly requests_charged: number
  readonly bytes_in: number
  readonly bytes_out: number
}

/** Ended calls, oldest first. */
export function entries(server: TestServer): Promise<Entry[]> {
  return read<Entry>(server, 'SELECT * FROM calls ORDER BY seq')
}

/** How many calls are still in flight. */
export async function holds(server: TestServer): Promise<number> {
  const [row] = await read<{ n: number }>(server, 'SELECT count(*) AS n FROM holds')
  return row?.n ?? -1
}

/** Resolves when no call is in flight any more; a settlement may be written just after its answer. */
export async function settled(server: TestServer): Promise<void> {
  await until(async () => (await holds(server)) === 0)
}

/** How many requests of a key are used, as the admin API tells. */
export async function usedOf(server: TestServer, id: string): Promise<number> {
  await settled(server)
  const response = await server.admin('GET', `/admin/keys/${id}`)
  return ((await response.json()) as { used: number }).used
}

/** The calls of a key that have ended, newest first, as the admin API shows them. */
export async function callsOf(server: TestServer, id: string): Promise<Call[]> {
  await settled(server)
  const response = await server.admin('GET', `/admin/calls?key=${id}&limit=100`)
  return ((await response.json()) as { data: Call[] }).data
}

/** What is used of each limit of a key, by the limit's name. */
export async function usedByLimit(server: TestServer, id: string): Promise<Record<string, number>> {
  await settled(server)
  const response = await server.admin('GET', `/admin/keys/${id}`)
  const { limits } = (await response.json()) as { limits: { name: string; used: number }[] }
  return Object.fromEntries(limits.map(({ name, used }) => [name, used]))
}

/** Waits for something that must come true soon. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  waitMs = 5_000,
): Promise<void> {
  const deadline = performance.now() + waitMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not true after ${waitMs} ms: ${condition}`)
    await Bun.sleep(5)
  }
}

function read<T extends object>(server: TestServer, query: string): Promise<T[]> {
  return testDatabase({ path: server.database, isReadOnly: true }).all<T>(query)
}
