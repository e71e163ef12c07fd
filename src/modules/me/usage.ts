/** What a key has used, hour by hour, day by day or in total. An answer is bounded: a longer one is refused, not cut. */
import { type Static, t } from 'elysia'
import {
  PERIOD_MS,
  type UpstreamUsage,
  type UsageReader,
  type UsageTotals,
} from '../../domain/usage.ts'
import { rangeQuery, readRange } from '../../http/fields/range.ts'
import { validationFailed } from '../../http/problem.ts'
import { formatInstant } from '../../lib/clock.ts'

/** Forty-one days of hours, or nearly three years of days: more than a page shows. */
const BUCKETS_MAX = 1000
const DAYS = 30

export const usageQuery = t.Object(
  {
    from: t.Optional({
      ...rangeQuery.from,
      description: `Only hours that begin at or after this instant. Unless given, the range holds ${DAYS} days of UTC, of the last one as much as there is before its end.`,
    }),
    to: t.Optional({
      ...rangeQuery.to,
      description: 'Only hours that begin before this instant; now unless given.',
    }),
    group_by: t.Optional(
      t.Union([t.Literal('hour'), t.Literal('day'), t.Literal('total')], {
        error: 'must be hour, day or total',
        description: `\`day\` unless given. Of hours or days, at most ${BUCKETS_MAX} may lie in the range.`,
      }),
    ),
  },
  { additionalProperties: false },
)

/** Throws `validation_failed`. */
export async function listUsage(
  usage: UsageReader,
  keySeq: number,
  { group_by: by = 'day', ...query }: Static<typeof usageQuery>,
  at: number,
) {
  const given = readRange(query)
  const to = given.to ?? at
  const from = given.from ?? firstOfDays(to)
  const range = { from, to }
  if (from > to)
    throw wrong('must not be after the end of the range, which is now unless `to` says otherwise')
  if (by === 'total') return list([showTotal(await usage.byUpstream(keySeq, range), range)])
  const ms = PERIOD_MS[by]
  if (Math.ceil(to / ms) - Math.floor(from / ms) > BUCKETS_MAX) {
    throw wrong(
      `must leave at most ${BUCKETS_MAX} ${by}s in the range; ask for a shorter one, or for longer sums with group_by`,
    )
  }
  const periods = await usage.byPeriod(keySeq, range, by)
  return list(periods.map((sums) => ({ ...span(sums.from, sums.from + ms), ...showSums(sums) })))
}

function showTotal(upstreams: readonly UpstreamUsage[], range: { from: number; to: number }) {
  const by_upstream = upstreams.map((one) => ({ upstream: one.upstream, ...showSums(one) }))
  return { ...span(range.from, range.to), ...showSums(upstreams.reduce(add, NOTHING)), by_upstream }
}

function add(sum: UsageTotals, one: UsageTotals): UsageTotals {
  return {
    calls: sum.calls + one.calls,
    failed: sum.failed + one.failed,
    requests: sum.requests + one.requests,
    tokens: sum.tokens + one.tokens,
    cost: sum.cost + one.cost,
    bytesIn: sum.bytesIn + one.bytesIn,
    bytesOut: sum.bytesOut + one.bytesOut,
  }
}

/** The beginning of the day of UTC that leaves so many in the range, the last one begun but perhaps not ended. */
function firstOfDays(to: number): number {
  return Math.max(0, Math.ceil(to / PERIOD_MS.day) - DAYS) * PERIOD_MS.day
}

function span(from: number, to: number) {
  return { from: formatInstant(from), to: formatInstant(to) }
}

function showSums({ calls, failed, requests, tokens, cost, bytesIn, bytesOut }: UsageTotals) {
  return { calls, failed, requests, tokens, cost, bytes_in: bytesIn, bytes_out: bytesOut }
}

function list<Item>(data: Item[]) {
  return { object: 'list' as const, data, has_more: false, next: null }
}

function wrong(message: string) {
  return validationFailed([{ path: 'from', message }])
}

const NOTHING: UsageTotals = {
  calls: 0,
  failed: 0,
  requests: 0,
  tokens: 0,
  cost: 0,
  bytesIn: 0,
  bytesOut: 0,
}
