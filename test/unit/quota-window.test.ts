import { describe, expect, test } from 'bun:test'
import type { WeekStart, Window } from '../../src/domain/limit.ts'
import {
  bucketAt,
  isSliding,
  periodAt,
  resetsAt,
  slidingHorizon,
  slidingRetryAt,
  windowSeconds,
} from '../../src/quota/window.ts'

// Each row is: zone, instant, start, end, and the first day of the week. Expected starts and ends carry
// the offset that the zone's published rules give for that instant.
const DAYS = {
  'in UTC': 'UTC 2026-03-04T05:06:07.008Z 2026-03-04T00:00Z 2026-03-05T00:00Z',
  'at its first instant': 'UTC 2026-03-04T00:00Z 2026-03-04T00:00Z 2026-03-05T00:00Z',
  'at its last instant': 'UTC 2026-03-04T23:59:59.999Z 2026-03-04T00:00Z 2026-03-05T00:00Z',
  'at the epoch': 'UTC 1970-01-01T00:00Z 1970-01-01T00:00Z 1970-01-02T00:00Z',
  'on a leap day': 'UTC 2024-02-29T12:00Z 2024-02-29T00:00Z 2024-03-01T00:00Z',
  'before a century without one': 'UTC 2100-02-28T12:00Z 2100-02-28T00:00Z 2100-03-01T00:00Z',
  'past 2038': 'UTC 2038-01-19T03:14:08Z 2038-01-19T00:00Z 2038-01-20T00:00Z',
  'at the end of 9999': 'UTC 9999-12-31T23:59:59.999Z 9999-12-31T00:00Z +010000-01-01T00:00Z',
  'of 23 hours in Paris':
    'Europe/Paris 2026-03-29T12:00+02:00 2026-03-29T00:00+01:00 2026-03-30T00:00+02:00',
  'of 25 hours in Paris':
    'Europe/Paris 2026-10-25T12:00+01:00 2026-10-25T00:00+02:00 2026-10-26T00:00+01:00',
  'of 23 hours in New York in 2050':
    'America/New_York 2050-03-13T12:00-04:00 2050-03-13T00:00-05:00 2050-03-14T00:00-04:00',
  'in the summer of 9999 in New York':
    'America/New_York 9999-07-01T12:00-04:00 9999-07-01T00:00-04:00 9999-07-02T00:00-04:00',
  'without a midnight in São Paulo':
    'America/Sao_Paulo 2018-11-04T12:00-02:00 2018-11-04T01:00-02:00 2018-11-05T00:00-02:00',
  'before that one':
    'America/Sao_Paulo 2018-11-03T23:59:59.999-03:00 2018-11-03T00:00-03:00 2018-11-04T00:00-03:00',
  'whose last hour comes twice in São Paulo':
    'America/Sao_Paulo 2018-02-17T23:30-03:00 2018-02-17T00:00-02:00 2018-02-18T00:00-03:00',
  'without a midnight in Cairo':
    'Africa/Cairo 2024-04-26T12:00+03:00 2024-04-26T01:00+03:00 2024-04-27T00:00+03:00',
  'whose last hour comes twice in Cairo':
    'Africa/Cairo 2024-10-31T23:30+02:00 2024-10-31T00:00+03:00 2024-11-01T00:00+02:00',
  'without a midnight in Beirut':
    'Asia/Beirut 2024-03-31T12:00+03:00 2024-03-31T01:00+03:00 2024-04-01T00:00+03:00',
  'with two midnights in Havana starts at the first':
    'America/Havana 2024-11-03T00:30-05:00 2024-11-03T00:00-04:00 2024-11-04T00:00-05:00',
  'before the one that Apia skipped':
    'Pacific/Apia 2011-12-29T23:59-10:00 2011-12-29T00:00-10:00 2011-12-31T00:00+14:00',
  'after the one that Apia skipped':
    'Pacific/Apia 2011-12-31T00:00+14:00 2011-12-31T00:00+14:00 2012-01-01T00:00+14:00',
  'in Kathmandu':
    'Asia/Kathmandu 2026-01-06T00:00+05:45 2026-01-06T00:00+05:45 2026-01-07T00:00+05:45',
  'of 23.5 hours on Lord Howe':
    'Australia/Lord_Howe 2024-10-06T12:00+11:00 2024-10-06T00:00+10:30 2024-10-07T00:00+11:00',
  'of 24.5 hours on Lord Howe':
    'Australia/Lord_Howe 2024-04-07T12:00+10:30 2024-04-07T00:00+11:00 2024-04-08T00:00+10:30',
  "before clocks go back across midnight in St. John's":
    'America/St_Johns 2010-11-06T23:30-02:30 2010-11-06T00:00-02:30 2010-11-07T00:00-02:30',
  "that has begun goes on when St. John's goes back to yesterday":
    'America/St_Johns 2010-11-06T23:30-03:30 2010-11-07T00:00-02:30 2010-11-08T00:00-03:30',
}

const MONTHS = {
  'of 31 days': 'UTC 2026-01-31T23:59:59.999Z 2026-01-01T00:00Z 2026-02-01T00:00Z',
  'of 30 days': 'UTC 2026-04-01T00:00Z 2026-04-01T00:00Z 2026-05-01T00:00Z',
  'of 29 days': 'UTC 2024-02-29T23:59Z 2024-02-01T00:00Z 2024-03-01T00:00Z',
  'of 28 days': 'UTC 2100-02-28T23:59Z 2100-02-01T00:00Z 2100-03-01T00:00Z',
  'in 2000, a leap year': 'UTC 2000-02-29T00:00Z 2000-02-01T00:00Z 2000-03-01T00:00Z',
  'over the year end': 'UTC 2026-12-31T23:59Z 2026-12-01T00:00Z 2027-01-01T00:00Z',
  'the last of 9999': 'UTC 9999-12-15T00:00Z 9999-12-01T00:00Z +010000-01-01T00:00Z',
  'already begun in Tokyo':
    'Asia/Tokyo 2025-12-31T15:00Z 2026-01-01T00:00+09:00 2026-02-01T00:00+09:00',
  'with a clock change in Berlin':
    'Europe/Berlin 2026-03-15T00:00Z 2026-03-01T00:00+01:00 2026-04-01T00:00+02:00',
  'that ends at a skipped midnight in Damascus':
    'Asia/Damascus 2011-03-31T12:00+02:00 2011-03-01T00:00+02:00 2011-04-01T01:00+03:00',
  'that lost a day in Apia':
    'Pacific/Apia 2011-12-31T12:00+14:00 2011-12-01T00:00-10:00 2012-01-01T00:00+14:00',
}

const WEEKS = {
  'loses an hour in Chicago':
    'America/Chicago 2026-03-10T12:00-05:00 2026-03-08T00:00-06:00 2026-03-15T00:00-05:00 sunday',
  'gains an hour in Chicago':
    'America/Chicago 2026-11-05T12:00-06:00 2026-11-01T00:00-05:00 2026-11-08T00:00-06:00 sunday',
  'starts after the midnight that São Paulo skipped':
    'America/Sao_Paulo 2018-11-07T12:00-02:00 2018-11-04T01:00-02:00 2018-11-11T00:00-02:00 sunday',
  'starts a day late where its first day was skipped: Kwajalein':
    'Pacific/Kwajalein 1993-08-22T12:00+12:00 1993-08-22T00:00+12:00 1993-08-28T00:00+12:00 saturday',
  "that has begun goes on when St. John's goes back to yesterday":
    'America/St_Johns 2010-11-06T23:30-03:30 2010-11-07T00:00-02:30 2010-11-14T00:00-03:30 sunday',
}

function expectPeriod(window: Window, row: string): void {
  const [zone = '', at = '', start = '', end = '', weekStart = 'monday'] = row.split(' ')
  const period = periodAt(window, Date.parse(at), zone, weekStart as WeekStart)
  expect(period).toEqual({ start: Date.parse(start), end: Date.parse(end) })
}

describe('a day', () => {
  test.each(Object.entries(DAYS))('%s', (_what, row) => {
    expectPeriod('day', row)
  })
})

describe('a month', () => {
  test.each(Object.entries(MONTHS))('%s', (_what, row) => {
    expectPeriod('month', row)
  })
})

describe('a week', () => {
  test.each<[WeekStart, string, string, string]>([
    ['monday', '2026-01-01T12:00Z', '2025-12-29T00:00Z', '2026-01-05T00:00Z'],
    ['sunday', '2026-01-01T12:00Z', '2025-12-28T00:00Z', '2026-01-04T00:00Z'],
    ['saturday', '2026-01-01T12:00Z', '2025-12-27T00:00Z', '2026-01-03T00:00Z'],
    ['monday', '2024-02-26T00:00Z', '2024-02-26T00:00Z', '2024-03-04T00:00Z'],
    ['sunday', '2024-03-02T23:59:59.999Z', '2024-02-25T00:00Z', '2024-03-03T00:00Z'],
    ['saturday', '2024-03-02T00:00Z', '2024-03-02T00:00Z', '2024-03-09T00:00Z'],
    ['saturday', '2024-03-01T23:59:59.999Z', '2024-02-24T00:00Z', '2024-03-02T00:00Z'],
    ['sunday', '2024-03-03T00:00Z', '2024-03-03T00:00Z', '2024-03-10T00:00Z'],
    ['monday', '2024-03-03T23:59:59.999Z', '2024-02-26T00:00Z', '2024-03-04T00:00Z'],
  ])('starts on %s: %s', (weekStart, at, start, end) => {
    expectPeriod('week', `UTC ${at} ${start} ${end} ${weekStart}`)
  })

  test.each(Object.entries(WEEKS))('%s', (_what, row) => {
    expectPeriod('week', row)
  })
})

describe('a lifetime', () => {
  test('has one period that never ends, resets or has a length', () => {
    const period = periodAt('lifetime', 1_700_000_000_000, 'UTC', 'monday')
    expect(period).toEqual({ start: 0, end: null })
    expect(resetsAt('lifetime', period)).toBeNull()
    expect(windowSeconds('lifetime', period)).toBeNull()
  })
})

describe('periodAt', () => {
  test('throws rather than guess at an unknown zone or a broken instant', () => {
    expect(() => periodAt('day', 0, 'Mars/Olympus_Mons', 'monday')).toThrow(RangeError)
    expect(() => periodAt('day', Number.NaN, 'UTC', 'monday')).toThrow(RangeError)
    expect(() => periodAt('day', 0.5, 'UTC', 'monday')).toThrow(RangeError)
  })

  test('gives the bucket for a sliding window, which resets a full window after its end', () => {
    const minute = periodAt('minute', 61_999, 'UTC', 'monday')
    expect(minute).toEqual({ start: 61_000, end: 62_000 })
    expect(resetsAt('minute', minute)).toBe(122_000)
    const hour = periodAt('hour', 61_999, 'UTC', 'monday')
    expect(hour).toEqual({ start: 60_000, end: 120_000 })
    expect(resetsAt('hour', hour)).toBe(3_720_000)
  })

  test('resets a calendar window when its period ends', () => {
    expect(resetsAt('day', periodAt('day', 5, 'UTC', 'monday'))).toBe(86_400_000)
  })
})

describe('windowSeconds', () => {
  test.each<[Window, string, string, number]>([
    ['minute', 'UTC', '2026-01-01T00:00Z', 60],
    ['hour', 'UTC', '2026-01-01T00:00Z', 3_600],
    ['day', 'UTC', '2026-01-01T00:00Z', 86_400],
    ['day', 'Europe/Paris', '2026-03-29T12:00Z', 82_800],
    ['day', 'Europe/Paris', '2026-10-25T12:00Z', 90_000],
    ['day', 'Australia/Lord_Howe', '2024-10-06T00:00Z', 84_600],
    ['week', 'UTC', '2026-01-01T00:00Z', 604_800],
    ['month', 'UTC', '2024-02-01T00:00Z', 2_505_600],
  ])('of a %s in %s at %s is its true length', (window, zone, at, seconds) => {
    const period = periodAt(window, Date.parse(at), zone, 'monday')
    expect(windowSeconds(window, period)).toBe(seconds)
  })
})

describe('sliding windows', () => {
  test('are the minute and the hour', () => {
    expect(
      ['lifetime', 'minute', 'hour', 'day', 'week', 'month'].map((w) => isSliding(w as Window)),
    ).toEqual([false, true, true, false, false, false])
  })

  test('have 60 buckets of a second or a minute', () => {
    expect(bucketAt('minute', 59_999)).toEqual({ start: 59_000, end: 60_000 })
    expect(bucketAt('minute', 60_000)).toEqual({ start: 60_000, end: 61_000 })
    expect(bucketAt('hour', 119_999)).toEqual({ start: 60_000, end: 120_000 })
  })

  test('count a bucket until its end is a full window ago, and not a millisecond longer', () => {
    expect(bucketAt('minute', 5_000).start).toBeGreaterThan(slidingHorizon('minute', 65_999))
    expect(bucketAt('minute', 5_000).start).not.toBeGreaterThan(slidingHorizon('minute', 66_000))
    expect(bucketAt('hour', 60_000).start).toBeGreaterThan(slidingHorizon('hour', 3_719_999))
    expect(bucketAt('hour', 60_000).start).not.toBeGreaterThan(slidingHorizon('hour', 3_720_000))
  })
})

describe('slidingRetryAt', () => {
  const buckets = [
    { start: 100_000, used: 3 },
    { start: 110_000, used: 2 },
    { start: 120_000, used: 5 },
  ]

  test.each<[what: string, amount: number, n: number, at: number, retryAt: number | null]>([
    ['now, if it fits', 11, 1, 125_500, 125_500],
    ['when the oldest bucket is out', 10, 1, 125_500, 161_000],
    ['when as many buckets are out as it needs', 10, 4, 125_500, 171_000],
    ['when everything is out, for the whole amount', 10, 10, 125_500, 181_000],
    ['now, if old buckets no longer count', 10, 3, 161_000, 161_000],
    ['never, if it is more than the amount', 10, 11, 125_500, null],
    ['never, under an amount of 0', 0, 1, 125_500, null],
    ['once an amount that was lowered is kept again', 4, 1, 125_500, 181_000],
    ['by the charges of a clock that has since gone back', 10, 1, 50_000, 161_000],
  ])('%s', (_what, amount, n, at, retryAt) => {
    expect(slidingRetryAt(buckets, amount, n, at, 'minute')).toBe(retryAt)
  })

  test('is at once when nothing was charged', () => {
    expect(slidingRetryAt([], 5, 5, 123, 'hour')).toBe(123)
  })
})
