/**
 * Forgets old entries in small steps. Before an entry goes, what it charged is added to the `pruned` part of the counters
 * that hold it, in the same transaction: the books stay checkable to the unit for as long as a counter lives.
 *
 * Every replica may prune at any time. Rows are taken with SKIP LOCKED, so two replicas take different rows, nobody waits,
 * and an entry is carried by whoever deletes it: once. An advisory lock would do on PostgreSQL alone; engines that speak
 * its protocol may grant such a lock to everybody.
 */
import { type SQL, sql } from 'drizzle-orm'
import type { Retention } from '../../store.ts'
import type { Change, Tx } from '../transact.ts'

/** Rows of one step: their counters are locked for about 5 ms, and calls of their keys wait as long. */
const STEP_ROWS = 500

/** Counters that one step looks at. */
const STEP_COUNTERS = 5_000

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Buckets of sliding windows are shorter than this, and all other periods longer: as in quota_write. */
const BUCKET_MS_MAX = 2 * HOUR_MS
/** Buckets count for an hour and a minute at most. */
const BUCKET_HOURS = 2
/** Ended and replaced periods are history; nothing is decided on them. */
const COUNTER_DAYS = 400
/** No API keeps such objects for longer. One that is read after that is charged again. */
const OBJECT_DAYS = 400

/** One that has ended is of interest to nobody after a day, once its calls have. */
const REPLICA_DAYS = 1

export type PruneOptions = {
  /** Whether a clock here that is ahead of the database's is not believed: it would forget all. */
  readonly isClockChecked?: boolean
}

/** A step that resolves with true if there may be more to do at once. `retention` is asked at each step. */
export function createPrune(
  change: Change,
  retention: () => Retention,
  { isClockChecked = false }: PruneOptions = {},
): (at: number) => Promise<boolean> {
  const forgetCounters = createForgetCounters(change)
  return async (given) => {
    const at = isClockChecked ? Math.min(given, await change(databaseTime)) : given
    const { callsDays, callsMax, usageDays } = retention()
    const more = [
      await change((tx) => forgetCalls(tx, sql`at < ${at - callsDays * DAY_MS}`, sql`at`)),
      await change((tx) => forgetCallsAbove(tx, callsMax)),
      await forgetCounters(at),
      await change((tx) => forgetObjects(tx, at - OBJECT_DAYS * DAY_MS)),
      await change((tx) => forgetUsage(tx, at - usageDays * DAY_MS)),
      await change((tx) => forgetReplicas(tx, at - REPLICA_DAYS * DAY_MS)),
    ]
    return more.includes(true)
  }
}

async function databaseTime(tx: Tx): Promise<number> {
  const { rows } = await tx.execute<{ now: number }>(
    sql`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`,
  )
  return rows[0]?.now ?? 0
}

/** Numbers have gaps, so that fewer than so many may be kept, and never more. */
async function forgetCallsAbove(tx: Tx, callsMax: number): Promise<boolean> {
  const { rows } = await tx.execute<{ seq: number | null }>(sql`SELECT max(seq) AS seq FROM calls`)
  const last = rows[0]?.seq ?? 0
  return await forgetCalls(tx, sql`seq <= ${last - callsMax}`, sql`seq`)
}

type Sum = { id: number; requests: number; tokens: number; cost: number }

async function forgetCalls(tx: Tx, due: SQL, order: SQL): Promise<boolean> {
  // An array is filled once; the planner may run a plain subquery again, which would take other rows.
  const { rows } = await tx.execute<Sum & { entries: number }>(sql`
    WITH gone AS (
      DELETE FROM calls WHERE seq = ANY (ARRAY(
        SELECT seq FROM calls WHERE ${due} ORDER BY ${order} LIMIT ${STEP_ROWS} FOR UPDATE SKIP LOCKED))
      RETURNING counters, requests_charged, tokens_charged, cost_charged
    )
    SELECT c.id, sum(requests_charged)::bigint AS requests, sum(tokens_charged)::bigint AS tokens,
      sum(cost_charged)::bigint AS cost, (SELECT count(*) FROM gone) AS entries
    FROM gone LEFT JOIN LATERAL unnest(counters) AS c(id) ON true GROUP BY c.id`)
  const sums = rows.filter(({ id }) => id !== null)
  if (sums.length > 0) await carry(tx, sums)
  return rows[0]?.entries === STEP_ROWS
}

/** The last statement of its transaction, so that calls wait for these counters as short as can be. */
async function carry(tx: Tx, sums: readonly Sum[]): Promise<void> {
  await tx.execute(sql`
    WITH locked AS MATERIALIZED (
      SELECT id, unit FROM counters WHERE id = ANY (${column(sums, 'id')}) ORDER BY id FOR UPDATE
    )
    UPDATE counters c SET pruned = c.pruned
      + CASE l.unit WHEN 'requests' THEN s.requests WHEN 'tokens' THEN s.tokens ELSE s.cost END
    FROM locked l JOIN unnest(${column(sums, 'id')}, ${column(sums, 'requests')}, ${column(sums, 'tokens')},
      ${column(sums, 'cost')}) AS s(id, requests, tokens, cost) ON s.id = l.id
    WHERE c.id = l.id`)
}

/** One parameter, however many rows there are. */
function column(sums: readonly Sum[], name: keyof Sum): SQL {
  return sql`${`{${sums.map((sum) => sum[name]).join(',')}}`}::bigint[]`
}

/** Counters have no order of age, so they are looked through in the order of their numbers, so many a step. */
function createForgetCounters(change: Change): (at: number) => Promise<boolean> {
  /** Up to which number they have been looked through. */
  let seen = 0
  // False when all have been, and the next step begins at the first again.
  return async (at) => {
    const end = await change(async (tx) => {
      const { rows } = await tx.execute<{ id: number | null }>(sql`
        SELECT max(id) AS id FROM (
          SELECT id FROM counters WHERE id > ${seen} ORDER BY id LIMIT ${STEP_COUNTERS}) step`)
      const last = rows[0]?.id ?? null
      if (last !== null) await forgetEnded(tx, seen, last, at)
      return last
    })
    seen = end ?? 0
    return end !== null
  }
}

async function forgetEnded(tx: Tx, from: number, to: number, at: number): Promise<void> {
  await tx.execute(sql`
    DELETE FROM counters WHERE id = ANY (ARRAY(
      SELECT id FROM counters WHERE id > ${from} AND id <= ${to} AND (
        (period_end < ${at - BUCKET_HOURS * HOUR_MS} AND period_end - period_start < ${BUCKET_MS_MAX})
        OR (period_end < ${at - COUNTER_DAYS * DAY_MS} AND used = pruned))
      ORDER BY id FOR UPDATE SKIP LOCKED))`)
}

async function forgetObjects(tx: Tx, before: number): Promise<boolean> {
  const { rowCount } = await tx.execute(sql`
    DELETE FROM charged_objects WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM charged_objects WHERE at < ${before} ORDER BY at LIMIT ${STEP_ROWS} FOR UPDATE SKIP LOCKED))`)
  return rowCount === STEP_ROWS
}

async function forgetUsage(tx: Tx, before: number): Promise<boolean> {
  const { rowCount } = await tx.execute(sql`
    DELETE FROM usage_hourly WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM usage_hourly WHERE hour < ${before} ORDER BY hour LIMIT ${STEP_ROWS} FOR UPDATE SKIP LOCKED))`)
  return rowCount === STEP_ROWS
}

async function forgetReplicas(tx: Tx, before: number): Promise<boolean> {
  const { rowCount } = await tx.execute(sql`
    DELETE FROM replicas WHERE seq = ANY (ARRAY(
      SELECT seq FROM replicas r WHERE ended_at < ${before}
        AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.replica = r.seq)
      ORDER BY seq LIMIT ${STEP_ROWS} FOR UPDATE SKIP LOCKED))`)
  return rowCount === STEP_ROWS
}
