import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { WEEK_STARTS, type WeekStart } from '../../src/domain/limit.ts'
import {
  bucketAt,
  periodAt,
  resetsAt,
  type SlidingWindow,
  slidingHorizon,
  slidingRetryAt,
} from '../../src/quota/window.ts'
import { DAY, HOUR } from '../support/time.ts'

const FROM = Date.UTC(1990, 0, 1)
const TO = Date.UTC(2100, 0, 1)

// Each has a habit that breaks naive arithmetic: odd or half-hour offsets, clock changes at or across
// midnight or by two hours, a skipped day, a change of sign, or daylight saving during Ramadan.
const ZONES = [
  'UTC',
  'Africa/Cairo',
  'Africa/Casablanca',
  'America/Asuncion',
  'America/Caracas',
  'America/Goose_Bay',
  'America/Havana',
  'America/Moncton',
  'America/New_York',
  'America/Nuuk',
  'America/Santiago',
  'America/Sao_Paulo',
  'America/Scoresbysund',
  'America/St_Johns',
  'Antarctica/Troll',
  'Asia/Amman',
  'Asia/Beirut',
  'Asia/Damascus',
  'Asia/Gaza',
  'Asia/Kathmandu',
  'Asia/Pyongyang',
  'Asia/Tehran',
  'Asia/Tokyo',
  'Atlantic/Azores',
  'Australia/Lord_Howe',
  'Europe/Dublin',
  'Europe/Paris',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Pacific/Kiritimati',
  'Pacific/Kwajalein',
] as const

type Zone = (typeof ZONES)[number]
type CalendarWindow = 'day' | 'week' | 'month'
type Case = { window: CalendarWindow; at: number; zone: Zone; weekStart: WeekStart }

// Until 2030 only: what the rules say today repeats for ever after and would crowd out the past.
const CHANGES_TO = Date.UTC(2030, 0, 1)

function changesOf(zone: Zone): number[] {
  const changes: number[] = []
  let at = Temporal.Instant.fromEpochMilliseconds(FROM).toZonedDateTimeISO(zone)
  for (;;) {
    const next = at.getTimeZoneTransition('next')
    if (next === null || next.epochMilliseconds >= CHANGES_TO) return changes
    changes.push(next.epochMilliseconds)
    at = next
  }
}

const instant = fc.integer({ min: FROM, max: TO - 1 })

// Half of the instants lie near a change of the zone's clocks, where a random one hardly ever would.
function instantIn(zone: Zone): fc.Arbitrary<number> {
  const changes = changesOf(zone)
  if (changes.length === 0) return instant
  const near = fc
    .tuple(fc.constantFrom(...changes), fc.integer({ min: -2 * HOUR, max: 2 * HOUR }))
    .map(([change, offset]) => change + offset)
  return fc.oneof(instant, near)
}

const instantOf = new Map(ZONES.map((zone) => [zone, instantIn(zone)]))

const anyCase: fc.Arbitrary<Case> = fc.constantFrom(...ZONES).chain((zone) =>
  fc.record({
    window: fc.constantFrom<CalendarWindow>('day', 'week', 'month'),
    at: instantOf.get(zone) ?? instant,
    zone: fc.constant(zone),
    weekStart: fc.constantFrom(...WEEK_STARTS),
  }),
)

function calendar({ window, zone, weekStart }: Case, at: number): { start: number; end: number } {
  const { start, end } = periodAt(window, at, zone, weekStart)
  if (end === null) throw new Error('A calendar period ends.')
  return { start, end }
}

// The second opinion: the wall clock as Intl.DateTimeFormat shows it, written as if it were UTC.
const formats = new Map(
  ZONES.map((zone) => [
    zone,
    new Intl.DateTimeFormat('en-u-ca-iso8601-nu-latn', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }),
  ]),
)

function wallClock(zone: Zone, at: number): number {
  const parts = formats.get(zone)?.formatToParts(at) ?? []
  const part = (type: string) => Number(parts.find((each) => each.type === type)?.value)
  const date = Date.UTC(part('year'), part('month') - 1, part('day'))
  const ms = ((at % 1000) + 1000) % 1000
  return date + part('hour') * HOUR + part('minute') * 60_000 + part('second') * 1000 + ms
}

/** The number of the local day, week or month that the wall clock shows: one more for each. */
function ordinal({ window, weekStart }: Case, wall: number): number {
  if (window === 'month') {
    const date = new Date(wall)
    return date.getUTCFullYear() * 12 + date.getUTCMonth()
  }
  const day = Math.floor(wall / DAY)
  if (window === 'day') return day
  // Day 0 was a Thursday: weeks from Monday turn on day 4, from Sunday on 3, from Saturday on 2.
  return Math.floor((day - { monday: 4, sunday: 3, saturday: 2 }[weekStart]) / 7)
}

describe('calendar periods', () => {
  test('contain their instant, and every instant of theirs gives the same period', () => {
    fc.assert(
      fc.property(anyCase, fc.double({ min: 0, max: 1, noNaN: true }), (c, share) => {
        const period = calendar(c, c.at)
        expect(period.start).toBeLessThanOrEqual(c.at)
        expect(period.end).toBeGreaterThan(c.at)
        const inside = Math.floor(period.start + share * (period.end - 1 - period.start))
        for (const at of [period.start, inside, period.end - 1]) {
          expect(calendar(c, at)).toEqual(period)
        }
      }),
      { numRuns: 3_000 },
    )
  })

  test('tile time: each starts where the one before it ends', () => {
    fc.assert(
      fc.property(anyCase, (c) => {
        const period = calendar(c, c.at)
        expect(calendar(c, period.end).start).toBe(period.end)
        expect(calendar(c, period.start - 1).end).toBe(period.start)
      }),
      { numRuns: 3_000 },
    )
  })

  test('never go back as time goes on', () => {
    fc.assert(
      fc.property(anyCase, fc.nat({ max: 3 * DAY }), (c, later) => {
        expect(calendar(c, c.at + later).start).toBeGreaterThanOrEqual(calendar(c, c.at).start)
      }),
      { numRuns: 3_000 },
    )
  })

  test('have days of 22 to 26 hours', () => {
    fc.assert(
      fc.property(anyCase, (c) => {
        const { start, end } = calendar({ ...c, window: 'day' }, c.at)
        expect(end - start).toBeGreaterThanOrEqual(22 * HOUR)
        expect(end - start).toBeLessThanOrEqual(26 * HOUR)
      }),
      { numRuns: 3_000 },
    )
  })

  test('start at local midnight, or at the first instant after a midnight that was skipped', () => {
    fc.assert(
      fc.property(anyCase, (c) => {
        const { start } = calendar(c, c.at)
        const wall = wallClock(c.zone, start)
        const wallBefore = wallClock(c.zone, start - 1)
        const turned = ordinal(c, wall) - ordinal(c, wallBefore)
        const skippedMs = wall - wallBefore - 1
        if (skippedMs < DAY) expect(turned).toBe(1)
        else expect(turned).toBeGreaterThanOrEqual(1)
        const midnight = Math.floor(wall / DAY) * DAY
        expect(wall - midnight).toBeLessThanOrEqual(Math.max(0, skippedMs))
      }),
      { numRuns: 3_000 },
    )
  })

  test('bear the date on the wall, but for the hours that a clock set back shows again', () => {
    fc.assert(
      fc.property(anyCase, (c) => {
        const { start, end } = calendar(c, c.at)
        const own = ordinal(c, wallClock(c.zone, start))
        expect(ordinal(c, wallClock(c.zone, end - 1))).toBe(own)
        const shown = wallClock(c.zone, c.at)
        if (ordinal(c, shown) === own) return
        expect(ordinal(c, shown)).toBe(own - 1)
        expect(c.at - start).toBeLessThan(2 * HOUR)
        expect(shown - wallClock(c.zone, start)).toBeLessThan(c.at - start)
      }),
      { numRuns: 3_000 },
    )
  })
})

const SIZES = {
  minute: { windowMs: 60_000, bucketMs: 1_000 },
  hour: { windowMs: 3_600_000, bucketMs: 60_000 },
} as const

type Demand = { n: number; waitMs: number }
type Traffic = { window: SlidingWindow; amount: number; from: number; demands: Demand[] }
type Charge = { at: number; n: number }

// Waits are short, near a bucket, or near the window, and some go back as a corrected clock does.
function trafficIn(window: SlidingWindow): fc.Arbitrary<Traffic> {
  const { windowMs, bucketMs } = SIZES[window]
  const waitMs = fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 0, max: 2 * bucketMs }),
    fc.integer({ min: 0, max: windowMs }),
    fc.integer({ min: windowMs - 2, max: windowMs + bucketMs + 2 }),
    fc.integer({ min: -2 * bucketMs, max: 0 }),
  )
  return fc.record({
    window: fc.constant(window),
    amount: fc.integer({ min: 0, max: 12 }),
    from: fc.integer({ min: FROM, max: TO }),
    demands: fc.array(fc.record({ n: fc.integer({ min: 1, max: 6 }), waitMs }), {
      maxLength: 60,
      size: 'max',
    }),
  })
}

const traffic = fc.oneof(trafficIn('minute'), trafficIn('hour'))

function countedAt(window: SlidingWindow, used: Map<number, number>, at: number): number {
  const horizon = slidingHorizon(window, at)
  return [...used].reduce((sum, [start, n]) => (start > horizon ? sum + n : sum), 0)
}

/** What a ledger does: admit while counted + n <= amount, and add to the bucket of the instant. */
function admit({ window, amount, from, demands }: Traffic) {
  const used = new Map<number, number>()
  const charges: Charge[] = []
  let at = from
  for (const { n, waitMs } of demands) {
    at += waitMs
    if (countedAt(window, used, at) + n > amount) continue
    const { start } = bucketAt(window, at)
    used.set(start, (used.get(start) ?? 0) + n)
    charges.push({ at, n })
  }
  return { used, charges, at }
}

describe('sliding windows', () => {
  test('never let an interval of their length hold more than the amount', () => {
    fc.assert(
      fc.property(traffic, (t) => {
        const { windowMs } = SIZES[t.window]
        const { charges } = admit(t)
        // An interval that holds the most can be moved on to begin at its first charge.
        for (const { at: from } of charges) {
          const within = charges.filter(({ at }) => at >= from && at < from + windowMs)
          expect(within.reduce((sum, { n }) => sum + n, 0)).toBeLessThanOrEqual(t.amount)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('give everything back after a quiet window and a bucket', () => {
    fc.assert(
      fc.property(traffic, (t) => {
        const { windowMs, bucketMs } = SIZES[t.window]
        const { used, charges } = admit(t)
        const last = charges.reduce((latest, { at }) => Math.max(latest, at), 0)
        expect(countedAt(t.window, used, last + windowMs + bucketMs)).toBe(0)
        const reset = resetsAt(t.window, bucketAt(t.window, last))
        expect(reset).not.toBeNull()
        expect(countedAt(t.window, used, reset ?? 0)).toBe(0)
      }),
      { numRuns: 2_000 },
    )
  })

  test('hold a unit back for no less than the window and no more than a bucket beyond', () => {
    fc.assert(
      fc.property(fc.constantFrom('minute', 'hour'), instant, fc.nat(), (window, at, random) => {
        const { windowMs, bucketMs } = SIZES[window]
        const used = new Map([[bucketAt(window, at).start, 1]])
        const laterMs = random % (2 * windowMs)
        const counted = countedAt(window, used, at + laterMs)
        if (laterMs < windowMs) expect(counted).toBe(1)
        if (laterMs >= windowMs + bucketMs) expect(counted).toBe(0)
      }),
    )
  })

  test('say the very first instant at which a refused charge fits', () => {
    fc.assert(
      fc.property(traffic, fc.integer({ min: 1, max: 13 }), (t, n) => {
        const { used, at } = admit(t)
        const buckets = [...used]
          .map(([start, spent]) => ({ start, used: spent }))
          .sort((a, b) => a.start - b.start)
        const retryAt = slidingRetryAt(buckets, t.amount, n, at, t.window)
        expect(retryAt === null).toBe(n > t.amount)
        if (retryAt === null) return
        expect(retryAt).toBeGreaterThanOrEqual(at)
        expect(countedAt(t.window, used, retryAt) + n).toBeLessThanOrEqual(t.amount)
        if (retryAt === at) return
        expect(countedAt(t.window, used, retryAt - 1) + n).toBeGreaterThan(t.amount)
      }),
      { numRuns: 2_000 },
    )
  })
})
