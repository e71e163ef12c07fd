/**
 * Moves the buckets of sliding windows with the clock of the machine, when that is put forward or back. A bucket that was
 * moved is closed: what is charged from then on goes to others.
 */
import type { Database } from 'bun:sqlite'
import { WINDOWS } from '../../../domain/limit.ts'
import { isSliding, type SlidingWindow, slidingHorizon } from '../../../quota/window.ts'
import type { ClockStep } from '../../ledger/timekeeper.ts'
import { NEXT_SEQ } from './entries.ts'

type Row = { id: number; limitId: number; start: number }

const SLIDING: readonly SlidingWindow[] = WINDOWS.filter(isSliding)

/** Open buckets start at whole seconds, closed ones never do: no charge can find one of them. */
const WHOLE_MS = 1_000

/** Far from any instant: where rows wait while others are still in their new places. */
const ASIDE = -9_000_000_000_000_000

/** Inside a transaction of the ledger. */
export function createMoveBuckets(client: Database): (step: ClockStep) => void {
  const { move } = createBuckets(client)
  return ({ from, byMs }) => {
    for (const window of SLIDING) move(window, from, byMs)
  }
}

/**
 * For a start, when nobody can tell how long it is since the last stop. Buckets from the future mean that the clock was put
 * back: those of such a limit are taken to end now, which is too late rather than too early, and over within a window.
 */
export function bringBack(client: Database, at: number): void {
  const buckets = createBuckets(client)
  for (const window of SLIDING) {
    for (const { limitId, start } of buckets.ahead(window, at))
      buckets.move(window, start, at - start, limitId)
  }
}

function createBuckets(client: Database) {
  const live = `FROM counters WHERE retired_seq IS NULL
    AND limit_id IN (SELECT id FROM limits WHERE "window" = ?1 AND (?2 IS NULL OR id = ?2))`
  type Which = [SlidingWindow, number | null, number]
  const ahead = client.query<Omit<Row, 'id'>, Which>(
    `SELECT limit_id AS limitId, max(period_start) AS start ${live} AND period_start > ?3 GROUP BY limit_id`,
  )
  const counted = client.query<Row, Which>(
    `SELECT id, limit_id AS limitId, period_start AS start ${live} AND period_start > ?3 ORDER BY limit_id, period_start`,
  )
  /** What no longer counts must not begin to again where the clock returns to it. */
  const retire = client.query<unknown, Which>(
    `UPDATE counters SET retired_seq = (${NEXT_SEQ})
     WHERE id IN (SELECT id ${live} AND period_start <= ?3)`,
  )
  const setAside = client.query<unknown, [number, number]>(
    'UPDATE counters SET period_start = ?2 + id WHERE id = ?1',
  )
  const put = client.query<unknown, [number, number]>(
    'UPDATE counters SET period_start = ?2, period_end = ?2 WHERE id = ?1',
  )

  return {
    ahead: (window: SlidingWindow, at: number) => ahead.all(window, null, at),

    /** Of one limit, or of all that have such a window. `from` is the instant up to which they have counted. */
    move(window: SlidingWindow, from: number, byMs: number, limitId: number | null = null): void {
      const horizon = slidingHorizon(window, from)
      retire.run(window, limitId, horizon)
      const rows = counted.all(window, limitId, horizon)
      for (const { id } of rows) setAside.run(id, ASIDE)
      let last: Row | undefined
      for (const row of rows) {
        const isFirst = row.limitId !== last?.limitId
        let start = Math.max(row.start + byMs, isFirst || !last ? -Infinity : last.start + 1)
        if (start % WHOLE_MS === 0) start++
        put.run(row.id, start)
        last = { ...row, start }
      }
    },
  }
}
