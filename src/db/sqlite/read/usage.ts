/**
 * Usage, from the rollups: never from the calls, of which there may be ten million. A key may have hundreds of thousands
 * of rollups, so they are summed span by span.
 */
import type { Database } from 'bun:sqlite'
import {
  PERIOD_MS,
  type Period,
  type PeriodUsage,
  type UpstreamUsage,
  type UsageRange,
  type UsageTotals,
} from '../../../domain/usage.ts'
import type { Steps } from './steps.ts'

/** Rollups of one step: about half a millisecond. */
const STEP_ROWS = 1_000

/** Days of UTC have no leap seconds in the time of Unix, so that every one begins at a multiple of its length. */
const PLACES = {
  hour: 'hour',
  day: `hour - hour % ${PERIOD_MS.day}`,
  upstream: 'upstream',
  whole: '0',
} as const

type Place = keyof typeof PLACES
type Sums = UsageTotals & { readonly place: number | string }

type SumUsage = (keySeq: number, range: UsageRange, by: Place) => Steps<Map<Sums['place'], Totals>>

/** Sums up the rollups of a key: in the order of the spans, and within a span in the order of the places. */
function createSum(client: Database): SumUsage {
  // The end of the span that begins at an hour: the last hour of so many rows. Read from the index alone.
  const endOfSpan = client.query<{ hour: number | null }, [number, number, number]>(
    `SELECT max(hour) AS hour FROM (SELECT hour FROM usage_hourly INDEXED BY usage_hourly_by_key
       WHERE key_seq = ? AND hour >= ? AND hour < ? ORDER BY hour LIMIT ${STEP_ROWS})`,
  )
  // An hour has one row for each upstream that was called in it, and these are few.
  const sumsOf = (place: Place) =>
    client.query<Sums, [number, number, number]>(
      `SELECT ${PLACES[place]} AS place, sum(calls) AS calls, sum(failed) AS failed, sum(estimated) AS estimated,
         sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost, sum(bytes_in) AS bytesIn, sum(bytes_out) AS bytesOut
       FROM usage_hourly INDEXED BY usage_hourly_by_key
       WHERE key_seq = ? AND hour BETWEEN ? AND ? GROUP BY 1 ORDER BY 1`,
    )

  return function* sum(keySeq, range, by) {
    const found = new Map<Sums['place'], Totals>()
    const { from = 0, to = Number.MAX_SAFE_INTEGER } = range
    const sums = sumsOf(by)
    for (let start = from; ; ) {
      const end = endOfSpan.get(keySeq, start, to)?.hour ?? null
      if (end === null) return found
      for (const { place, ...more } of sums.all(keySeq, start, end))
        found.set(place, added(found.get(place), more))
      start = end + 1
      yield
    }
  }
}

export function createUsageQueries(client: Database) {
  const sum = createSum(client)
  return {
    *totals(keySeqs: readonly number[], range: UsageRange): Steps<Map<number, UsageTotals>> {
      const found = new Map<number, UsageTotals>()
      for (const keySeq of keySeqs) {
        const [whole] = (yield* sum(keySeq, range, 'whole')).values()
        if (whole) found.set(keySeq, whole)
        yield
      }
      return found
    },

    *byPeriod(keySeq: number, range: UsageRange, period: Period): Steps<PeriodUsage[]> {
      const found = yield* sum(keySeq, range, period)
      return [...found].map(([from, totals]) => ({ from: Number(from), ...totals }))
    },

    *byUpstream(keySeq: number, range: UsageRange): Steps<UpstreamUsage[]> {
      const found = yield* sum(keySeq, range, 'upstream')
      return [...found]
        .map(([upstream, totals]) => ({ upstream: String(upstream), ...totals }))
        .sort((a, b) => (a.upstream < b.upstream ? -1 : 1))
    },
  }
}

type Totals = { -readonly [Name in keyof UsageTotals]: number }

function added(sums: Totals | undefined, more: UsageTotals): Totals {
  if (!sums) return { ...more }
  for (const name of Object.keys(sums) as (keyof UsageTotals)[]) sums[name] += more[name]
  return sums
}
