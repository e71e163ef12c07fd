/**
 * Lists what a key has used by hours, by days or in total. It refuses a range that would make too
 * long an answer.
 */
import type { Static } from 'elysia'
import { PERIOD_MS, type UsageReader } from '../../domain/usage.ts'
import { validationFailed } from '../../errors.ts'
import { readRange } from '../../http/fields/range.ts'
import { BUCKETS_MAX, DAYS_DEFAULT, type usageQuery } from './model.ts'
import { showPeriod, showTotal } from './show.ts'

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
  if (by === 'total') return [showTotal(await usage.byUpstream(keySeq, range), range)]
  const ms = PERIOD_MS[by]
  if (Math.ceil(to / ms) - Math.floor(from / ms) > BUCKETS_MAX) {
    throw wrong(
      `must leave at most ${BUCKETS_MAX} ${by}s in the range; ask for a shorter one, or for longer sums with group_by`,
    )
  }
  const periods = await usage.byPeriod(keySeq, range, by)
  return periods.map((sums) => showPeriod(sums, ms))
}

/**
 * The first instant of a range that holds DAYS_DEFAULT days of UTC, the last of which may be
 * incomplete.
 */
function firstOfDays(to: number): number {
  return Math.max(0, Math.ceil(to / PERIOD_MS.day) - DAYS_DEFAULT) * PERIOD_MS.day
}

function wrong(message: string) {
  return validationFailed([{ path: 'from', message }])
}
