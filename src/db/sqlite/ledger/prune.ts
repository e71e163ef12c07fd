/**
 * Forgets old entries in small steps, so that no call feels it. Before an entry goes, what it charged is added to the
 * `pruned` part of the counters that hold it: the books stay checkable to the unit for as long as a counter lives.
 */
import type { Database } from 'bun:sqlite'
import { NO_UNITS, type Units } from '../../../domain/limit.ts'
import type { Retention } from '../../store.ts'
import { createForgetObjects } from './charged-objects.ts'

/** Entries of one step: about 3 ms of work between two turns of the event loop. */
const STEP_ROWS = 200

/** Counters that one step looks at: as long again. */
const STEP_COUNTERS = 2_000

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Sub-buckets of sliding windows count for an hour and a minute at most, and move with a clock that is put back. */
const BUCKET_HOURS = 2
/** Ended and replaced periods are history; nothing is decided on them. */
const COUNTER_DAYS = 400

type Entry = {
  seq: number
  at: number
  requests: number
  tokens: number
  cost: number
  /** In JSON. */
  counters: string
}

/** A step that returns true if there may be more to do at once. `retention` is asked at each step. */
export function createPrune(client: Database, retention: () => Retention): (at: number) => boolean {
  const forgetCalls = createForgetCalls(client)
  const forgetSomeCounters = createForgetCounters(client)
  const forgetSomeBlocks = createForgetBlocks(client)
  const forgetObjects = createForgetObjects(client, STEP_ROWS)
  const forgetUsage = client.query(
    `DELETE FROM usage_hourly WHERE id IN (SELECT id FROM usage_hourly WHERE hour < ? ORDER BY hour LIMIT ${STEP_ROWS})`,
  )
  const step = client.transaction((at: number) => {
    const kept = retention()
    const more = [
      forgetCalls(at, kept),
      forgetSomeCounters(at),
      forgetSomeBlocks(),
      forgetObjects(at),
      forgetUsage.run(at - kept.usageDays * DAY_MS).changes === STEP_ROWS,
    ]
    return more.includes(true)
  })
  return (at) => step.immediate(at)
}

function createForgetCalls(client: Database): (at: number, retention: Retention) => boolean {
  const newest = client.query<{ seq: number | null }, []>('SELECT max(seq) AS seq FROM calls')
  const oldest = client.query<Entry, [number, number]>(
    `SELECT seq, at, requests_charged AS requests, tokens_charged AS tokens, cost_charged AS cost, counters
     FROM calls WHERE seq < ? ORDER BY seq LIMIT ?`,
  )
  const carry = client.query(
    `UPDATE counters SET pruned = pruned + CASE (SELECT unit FROM limits WHERE id = limit_id)
       WHEN 'requests' THEN ?1 WHEN 'tokens' THEN ?2 ELSE ?3 END
     WHERE id = ?4`,
  )
  const forget = client.query('DELETE FROM calls WHERE seq = ?')
  return (at, { callsDays, callsMax }) => {
    // The newest entry stays: numbering goes on from it.
    const last = newest.get()?.seq ?? 0
    const rows = oldest.all(last, STEP_ROWS)
    const due = rows.filter((row) => row.at < at - callsDays * DAY_MS || row.seq <= last - callsMax)
    for (const [id, { requests, tokens, cost }] of sumsByCounter(due))
      carry.run(requests, tokens, cost, id)
    for (const { seq } of due) forget.run(seq)
    return due.length === STEP_ROWS
  }
}

/** Counters have no order of age, so they are looked through in the order of their numbers, so many a step. */
function createForgetCounters(client: Database): (at: number) => boolean {
  const endOfStep = client.query<{ id: number | null }, [number]>(
    `SELECT max(id) AS id FROM (SELECT id FROM counters WHERE id > ? ORDER BY id LIMIT ${STEP_COUNTERS})`,
  )
  const forget = client.query(
    `DELETE FROM counters WHERE id > ?1 AND id <= ?2 AND (
       (period_end < ?3 AND (SELECT window FROM limits WHERE id = limit_id) IN ('minute', 'hour'))
       OR (period_end < ?4 AND used = pruned))`,
  )
  /** Up to which number they have been looked through. */
  let seen = 0
  // False when all have been, and the next step begins at the first again.
  return (at) => {
    const end = endOfStep.get(seen)?.id ?? null
    if (end !== null) forget.run(seen, end, at - BUCKET_HOURS * HOUR_MS, at - COUNTER_DAYS * DAY_MS)
    seen = end ?? 0
    return end !== null
  }
}

/** Blocks of which no entry is left, so many of all blocks a step. */
function createForgetBlocks(client: Database): () => boolean {
  // As text: a number of JavaScript does not hold 64 bits.
  const endOfStep = client.query<{ id: string | null }, [bigint]>(
    `SELECT CAST(max(id) AS TEXT) AS id FROM (SELECT id FROM call_blocks WHERE id > ? ORDER BY id LIMIT ${STEP_COUNTERS})`,
  )
  const forget = client.query(
    `DELETE FROM call_blocks WHERE id > ?1 AND id <= ?2
       AND (id & ${0xffffffff}) < (SELECT min(seq) FROM calls) >> 8`,
  )
  let seen = 0n
  return () => {
    const end = endOfStep.get(seen)?.id ?? null
    if (end !== null) forget.run(seen, BigInt(end))
    seen = end === null ? 0n : BigInt(end)
    return end !== null
  }
}

/** What entries have charged to each counter, in every unit; the counter takes that of its limit. */
function sumsByCounter(entries: readonly Entry[]): Map<number, Units> {
  const sums = new Map<number, Units>()
  for (const { counters, requests, tokens, cost } of entries) {
    for (const id of JSON.parse(counters) as number[]) {
      const sum = sums.get(id) ?? NO_UNITS
      sums.set(id, {
        requests: sum.requests + requests,
        tokens: sum.tokens + tokens,
        cost: sum.cost + cost,
      })
    }
  }
  return sums
}
