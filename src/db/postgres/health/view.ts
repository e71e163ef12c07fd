/** What the database is, and who serves it with us: reads two statements' worth, and changes nothing. */
import { type SQL, sql } from 'drizzle-orm'
import type { ReplicaView, StoreView } from '../../../domain/store.ts'
import { LEASE_MS } from '../replica.ts'
import type { Tx } from '../transact.ts'

/** How long one that has ended is told of, ms: rows are kept for as long. */
const ENDED_MS = 24 * 3_600_000
/** A process that fails at each start leaves a row each time. */
const ROWS_MAX = 500

const NOW = sql`floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

/** `self` is the number of the process that asks, and `at` its clock. */
export async function viewServer(tx: Tx, self: number, at: number): Promise<StoreView> {
  const replicas = await readReplicas(tx, self)
  const askedMs = performance.now()
  const [row] = await rowsOf<ServerRow>(
    tx,
    sql`SELECT ${NOW} AS now, current_setting('server_version') AS version,
      pg_database_size(current_database()) AS bytes,
      (SELECT count(*) FROM schema_migrations) AS applied,
      (SELECT max(name) FROM schema_migrations) AS newest,
      (SELECT max(oldest) FROM schema_migrations) AS oldest,
      (SELECT count(*) FROM holds h WHERE NOT EXISTS (
        SELECT 1 FROM replicas r WHERE r.seq = h.replica AND r.ended_at IS NULL)) AS orphans`,
  )
  if (!row) throw new Error('the database gave no answer')
  const { now, version, bytes, applied, newest, oldest, orphans } = row
  // The clock was read somewhere on the way; the middle is the best guess.
  const middle = at + (performance.now() - askedMs) / 2
  return {
    engine: 'PostgreSQL',
    version,
    bytes,
    schema: { applied, newest, oldest },
    clockAheadMs: Math.round(now - middle),
    orphans,
    replicas,
  }
}

type ServerRow = {
  readonly now: number
  readonly version: string
  readonly bytes: number
  readonly applied: number
  readonly newest: string
  readonly oldest: string
  readonly orphans: number
}

type ReplicaRow = {
  readonly seq: number
  readonly id: string
  readonly version: string
  readonly now: number
  readonly started_at: number
  readonly lease_until: number
  readonly ended_at: number | null
  readonly batch: number
  readonly holds: number
}

async function readReplicas(tx: Tx, self: number): Promise<ReplicaView[]> {
  const rows = await rowsOf<ReplicaRow>(
    tx,
    sql`WITH clock AS (SELECT ${NOW} AS now)
      SELECT seq, id, version, now, started_at, lease_until, ended_at, batch,
        (SELECT count(*) FROM holds h WHERE h.replica = r.seq) AS holds
      FROM replicas r CROSS JOIN clock WHERE ended_at IS NULL OR ended_at > now - ${ENDED_MS}
      ORDER BY ended_at DESC NULLS FIRST, id, seq LIMIT ${ROWS_MAX}`,
  )
  return rows.map((row) => ({
    id: row.id,
    version: row.version,
    state: stateOf(row),
    here: row.seq === self,
    startedAt: row.started_at,
    seenAt: row.lease_until - LEASE_MS,
    endedAt: row.ended_at,
    leaseMs: row.ended_at === null ? Math.max(0, row.lease_until - row.now) : null,
    batch: row.batch,
    holds: row.holds,
  }))
}

/** Only a lease that has run out lets others end it; whoever leaves does so before. */
function stateOf({ ended_at, lease_until, now }: ReplicaRow): ReplicaView['state'] {
  if ((ended_at ?? now) > lease_until) return 'lost'
  return ended_at === null ? 'serving' : 'left'
}

async function rowsOf<Row extends Record<string, unknown>>(tx: Tx, query: SQL): Promise<Row[]> {
  return (await tx.execute<Row>(query)).rows as Row[]
}
