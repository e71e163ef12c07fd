/** One measurement of one driver in a process of its own, for run.ts: takes it as JSON, and prints the result as JSON. */
import pg from 'pg'
import { type Cost, cost } from './cpu.ts'
import { DRIVERS, type Target } from './drivers.ts'
import type { Outcome } from './outcome.ts'
import { storm } from './storm.ts'
import { type Attempt, attempt, type Refusals } from './tls.ts'

export type Case =
  | { kind: 'storm'; driver: string; target: Target; direct: Target; statements: number }
  | { kind: 'cost'; driver: string; target: Target; connections: number; count: number }
  | { kind: 'tls'; driver: string; attempts: readonly Attempt[] }

export type Result = Outcome | Cost | Refusals

const CONNECTIONS = 8
const CLOSE_MS_MAX = 10_000

const result = await measure(JSON.parse(process.argv[2] ?? ''))
await Bun.write(Bun.stdout, `${JSON.stringify(result)}\n`)
// What hangs must not keep the process.
process.exit(0)

async function measure(work: Case): Promise<Result> {
  if (work.kind === 'tls') return attempt(work.driver, work.attempts)
  const open = DRIVERS[work.driver]
  if (!open) throw new Error(`there is no driver ${work.driver}`)
  const connections = work.kind === 'cost' ? work.connections : CONNECTIONS
  const session = await open(work.target, connections)
  try {
    if (work.kind === 'cost') return await cost(session, connections, work.count)
    const { host, port, user, password, database } = work.direct
    const server = new pg.Client({ host, port, user, password, database, ssl: false })
    await server.connect()
    return await storm(session, server, { statements: work.statements, connections })
  } finally {
    await Promise.race([session.close().catch(() => {}), Bun.sleep(CLOSE_MS_MAX)])
  }
}
