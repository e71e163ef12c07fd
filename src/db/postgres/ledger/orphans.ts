/** Calls in flight of which nobody will tell the end: those of replicas that have ended, and of batches that nobody waited for. */
import { NO_UNITS, type Units } from '../../../domain/limit.ts'
import type { Connection } from '../connection.ts'
import type { Entry } from './batch.ts'

type HoldRow = Units & {
  readonly seq: number
  readonly key_seq: number
  readonly at: number
  readonly upstream: string
  readonly request_id: string
  readonly counters: readonly number[]
}

const COLUMNS =
  'seq, key_seq, at, upstream, request_id, requests, tokens, cost, to_jsonb(counters) AS counters'

/** So many at a time are ended by one batch. */
export const ORPHANS_MAX = 500

/** What was reserved stays charged, since the upstream may have done the work. */
export async function interrupted(connection: Connection): Promise<Entry[]> {
  const rows = await connection.query<HoldRow>(
    `SELECT ${COLUMNS} FROM holds h WHERE NOT EXISTS (
       SELECT 1 FROM replicas r WHERE r.seq = h.replica AND r.ended_at IS NULL) ORDER BY seq LIMIT ${ORPHANS_MAX}`,
  )
  return rows.map((row) => entry(row, 'interrupted', row))
}

/** Reservations of a batch whose answer came too late: whoever asked was told that the store fails, and sent nothing. */
export async function notSent(
  connection: Connection,
  replica: number,
  batch: number,
): Promise<Entry[]> {
  const rows = await connection.query<HoldRow>(
    `SELECT ${COLUMNS} FROM holds WHERE replica = $1 AND batch = $2 ORDER BY seq`,
    [replica, batch],
  )
  return rows.map((row) => entry(row, 'not_sent', NO_UNITS))
}

function entry(
  { requests, tokens, cost, ...row }: HoldRow,
  outcome: string,
  charged: Units,
): Entry {
  return {
    ...row, outcome, status: null, requests_reserved: requests, requests_charged: charged.requests,
    tokens_reserved: tokens, tokens_charged: charged.tokens, cost_reserved: cost, cost_charged: charged.cost,
    latency_ms: 0, bytes_in: 0, bytes_out: 0, estimated: charged.tokens + charged.cost > 0, rollup: '',
  } // biome-ignore format: the order of the table
}
