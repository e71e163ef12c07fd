// When a window starts and ends, and when used units come back. Calendar windows (day, week, month)
// tile time without gap or overlap in every time zone; sliding windows (minute, hour) let no
// interval of their length exceed the amount. Instants are integers in ms since the epoch and
// always arguments: nothing here may read a clock or keep state.

import type { WeekStart, Window } from '../domain/limit.ts'

/** Milliseconds since the epoch, `[start, end)`. A null end never comes. */
export type Period = { start: number; end: number | null }

export type SlidingWindow = 'minute' | 'hour'
type CalendarWindow = 'day' | 'week' | 'month'

/** What was charged in the bucket of a sliding window that starts at `start`. */
export type Bucket = { start: number; used: number }

// Sixty buckets a window: units come back at most a sixtieth of it late, for 61 counters a limit.
export const SLIDING = {
  minute: { windowMs: 60_000, bucketMs: 1_000 },
  hour: { windowMs: 3_600_000, bucketMs: 60_000 },
} as const

const STEP = { day: { days: 1 }, week: { days: 7 }, month: { months: 1 } } as const

// ISO 8601 numbers, which Temporal's `dayOfWeek` uses.
const WEEKDAY: Record<WeekStart, number> = { monday: 1, saturday: 6, sunday: 7 }

export function isSliding(window: Window): window is SlidingWindow {
  return window === 'minute' || window === 'hour'
}

/**
 * The period whose charges share one counter with a charge at `at`: all of time, the local day,
 * week or month, or one bucket of a sliding window (which is not all that counts: see
 * slidingHorizon). It holds until its end. An unknown zone or a fraction of a ms is a RangeError.
 */
export function periodAt(
  window: Window,
  at: number,
  timezone: string,
  weekStart: WeekStart,
): Period {
  if (window === 'lifetime') return { start: 0, end: null }
  if (isSliding(window)) return bucketAt(window, at)
  return calendarPeriodAt(window, at, timezone, weekStart)
}

/** The first instant at which nothing charged in `period` counts any more; null: never. */
export function resetsAt(window: Window, period: Period): number | null {
  if (period.end === null) return null
  return isSliding(window) ? period.end + SLIDING[window].windowMs : period.end
}

/**
 * The `w` of RateLimit-Policy: the true length of the window, so 82800 or 90000 for a day on which
 * clocks change by an hour. A lifetime has none.
 */
export function windowSeconds(window: Window, period: Period): number | null {
  if (isSliding(window)) return SLIDING[window].windowMs / 1000
  return period.end === null ? null : (period.end - period.start) / 1000
}

/**
 * The first instant at which a bucket that starts at `start` no longer counts. A bucket that was
 * moved may start anywhere.
 */
export function freesAt(window: SlidingWindow, start: number): number {
  const { windowMs, bucketMs } = SLIDING[window]
  return (Math.ceil(start / bucketMs) + 1) * bucketMs + windowMs
}

/** The bucket of a sliding window that a charge at `at` falls into. */
export function bucketAt(window: SlidingWindow, at: number): { start: number; end: number } {
  const { bucketMs } = SLIDING[window]
  const start = Math.floor(at / bucketMs) * bucketMs
  return { start, end: start + bucketMs }
}

/**
 * The buckets that count at `at` are exactly those with `start > slidingHorizon(window, at)`: the
 * current one, the sixty before it, and any later ones, so a clock that went back frees nothing.
 * A bucket counts whole until its end is a full window ago. The horizon moves once a bucket.
 */
export function slidingHorizon(window: SlidingWindow, at: number): number {
  const { windowMs, bucketMs } = SLIDING[window]
  return bucketAt(window, at).start - windowMs - bucketMs
}

/**
 * The earliest instant from `at` on at which `n` more units fit if nothing else is charged until
 * then; null if `n` alone is more than the amount. `buckets` ascend by start, and some may be too
 * old to count.
 */
export function slidingRetryAt(
  buckets: readonly Bucket[],
  amount: number,
  n: number,
  at: number,
  window: SlidingWindow,
): number | null {
  if (n > amount) return null
  const horizon = slidingHorizon(window, at)
  const counted = buckets.filter((bucket) => bucket.start > horizon)
  let used = counted.reduce((sum, bucket) => sum + bucket.used, 0)
  let retryAt = at
  for (const bucket of counted) {
    if (used + n <= amount) break
    used -= bucket.used
    retryAt = freesAt(window, bucket.start)
  }
  return retryAt
}

function calendarPeriodAt(
  window: CalendarWindow,
  at: number,
  timezone: string,
  weekStart: WeekStart,
): Period {
  const now = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timezone)
  const first = firstDate(window, now.toPlainDate(), weekStart)
  const next = first.add(STEP[window])
  const end = startOf(next, timezone)
  if (at < end) return { start: startOf(first, timezone), end }
  // Clocks went back across midnight, as in St. John's at 00:01 until 2011, and the calendar shows
  // yesterday again. The new period goes on: to begin it twice would grant its amount twice.
  return { start: end, end: startOf(next.add(STEP[window]), timezone) }
}

function firstDate(
  window: CalendarWindow,
  date: Temporal.PlainDate,
  weekStart: WeekStart,
): Temporal.PlainDate {
  if (window === 'day') return date
  if (window === 'month') return date.with({ day: 1 })
  return date.subtract({ days: (date.dayOfWeek - WEEKDAY[weekStart] + 7) % 7 })
}

// Given no time, Temporal finds the first instant of the local day: the earlier of two midnights,
// the end of the gap where midnight is skipped, the next day's start where a whole day is.
function startOf(date: Temporal.PlainDate, timezone: string): number {
  return date.toZonedDateTime({ timeZone: timezone }).epochMilliseconds
}
