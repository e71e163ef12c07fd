/** What can happen to a ledger, as plain data for fast-check: a counterexample can be read, and made smaller. */
import fc from 'fast-check'
import { OUTCOMES, type Outcome } from '../../src/domain/call.ts'
import { MAIN_LIMIT, type NamedLimit } from '../../src/domain/key.ts'
import type { Units } from '../../src/domain/limit.ts'
import { UNITS, WEEK_STARTS, WINDOWS } from '../../src/domain/limit.ts'
import { DAY, HOUR, SECOND } from './time.ts'

/** Which of the keys, limits, calls or replicas there are: a number, to be taken modulo how many there are. */
type Which = number

export type Event =
  /** Everything that is asked in one turn, and a change that is made before any of it is done. */
  | {
      readonly kind: 'ask'
      readonly asks: readonly Ask[]
      readonly change: Change | null
      readonly replica: Which
      /** Another one may make the change. */
      readonly changer: Which
    }
  | { readonly kind: 'change'; readonly change: Change; readonly replica: Which }
  | { readonly kind: 'create'; readonly limits: readonly NamedLimit[]; readonly replica: Which }
  | { readonly kind: 'wait'; readonly ms: number }
  /** The clock is put forward or back. */
  | { readonly kind: 'step'; readonly ms: number }
  | { readonly kind: 'set_clock'; readonly at: number }
  /** The clock may be another one when the next process starts. */
  | { readonly kind: 'crash'; readonly steppedMs: number; readonly replica: Which }
  /** The replica is paused for longer than its lease, and goes on. */
  | { readonly kind: 'pause'; readonly replica: Which }
  | { readonly kind: 'prune'; readonly replica: Which }

export type Ask =
  /** `sinceMs`: a call may have arrived a little before the turn in which it asks. */
  | {
      readonly kind: 'reserve'
      readonly key: Which
      readonly units: Units
      readonly sinceMs: number
      /** How many changes of the key the caller has not heard of. */
      readonly missed: number
    }
  | {
      readonly kind: 'settle'
      readonly call: Which
      readonly charged: Units | 'all' | 'none'
      readonly outcome: Outcome
      readonly twice: boolean
    }

export type Change =
  | { readonly kind: 'amount'; readonly key: Which; readonly limit: Which; readonly amount: Amount }
  | { readonly kind: 'limits'; readonly key: Which; readonly limits: readonly NamedLimit[] }
  | { readonly kind: 'enabled'; readonly key: Which; readonly enabled: boolean }
  | { readonly kind: 'expires'; readonly key: Which; readonly inMs: number | null }
  | { readonly kind: 'reset'; readonly key: Which; readonly quota: Amount | undefined }
  | { readonly kind: 'credit'; readonly key: Which; readonly limit: Which; readonly amount: number }
  | { readonly kind: 'remove'; readonly key: Which }

type Amount = number | null

// Changes of clocks, a skipped day, ends of months and years, a leap day, and the midnights that weeks start at.
export const INSTANTS = [
  '2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-03-08T07:00Z', '2026-11-01T06:00Z', '2026-04-04T15:00Z',
  '2026-10-03T15:30Z', '2010-11-07T02:31Z', '2011-12-30T10:00Z', '2026-02-15T02:00Z', '2026-03-22T02:00Z',
  '2026-04-30T22:00Z', '2026-05-01T00:00Z', '2028-02-28T23:59Z', '2028-03-01T00:00Z', '2026-12-31T23:59Z',
  '2026-06-06T00:00Z', '2026-06-07T00:00Z', '2026-06-08T00:00Z',
].map((text) => Temporal.Instant.from(text).epochMilliseconds) // biome-ignore format: a list

// Each changes its clocks in a way of its own; Apia once skipped a day.
const ZONES = [
  'UTC', 'Europe/Berlin', 'America/New_York', 'America/St_Johns', 'Australia/Lord_Howe', 'Africa/Casablanca',
  'Asia/Kathmandu', 'Pacific/Apia',
] // biome-ignore format: a list

const which = fc.nat({ max: 20 })

// Small enough to run out within a sequence.
const amount = fc.option(fc.nat({ max: 8 }), { freq: 8 })

const units: fc.Arbitrary<Units> = fc
  .tuple(fc.constantFrom(1, 1, 1, 0, 2), fc.nat({ max: 5 }), fc.nat({ max: 5 }))
  .map(([requests, tokens, cost]) => ({ requests, tokens, cost }))

function limitNamed(name: string): fc.Arbitrary<NamedLimit> {
  return fc.record({
    name: fc.constant(name),
    unit: name === MAIN_LIMIT ? fc.constant('requests') : fc.constantFrom(...UNITS),
    amount,
    window: fc.constantFrom(...WINDOWS),
    timezone: fc.constantFrom(...ZONES),
    weekStart: fc.constantFrom(...WEEK_STARTS),
  })
}

export const limits: fc.Arbitrary<NamedLimit[]> = fc
  .subarray(['a', 'b'])
  .chain((others) => fc.tuple(...[MAIN_LIMIT, ...others].map(limitNamed)))

const ask: fc.Arbitrary<Ask> = oneOf<Ask>(
  [3, { kind: 'reserve', key: which, units, sinceMs: fc.constantFrom(0, 0, 0, 1, 700, 1_500),
    missed: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2) }],
  [2, {
    kind: 'settle', call: which, charged: fc.oneof(fc.constantFrom('all', 'none'), units),
    outcome: fc.constantFrom(...OUTCOMES), twice: fc.boolean(),
  }],
) // biome-ignore format: one kind a line

const change = oneOf<Change>(
  [4, { kind: 'amount', key: which, limit: which, amount }],
  [2, { kind: 'limits', key: which, limits }],
  [2, { kind: 'enabled', key: which, enabled: fc.boolean() }],
  [1, { kind: 'expires', key: which, inMs: fc.option(fc.integer({ min: -1, max: 2_000 })) }],
  [4, { kind: 'reset', key: which, quota: fc.option(amount, { nil: undefined }) }],
  [2, { kind: 'credit', key: which, limit: which, amount: fc.integer({ min: -6, max: 6 }) }],
  [1, { kind: 'remove', key: which }],
) // biome-ignore format: one kind a line

const WINDOW_MS = [60 * SECOND, 61 * SECOND, HOUR, HOUR + 60 * SECOND, DAY, 7 * DAY, 31 * DAY]

const waitMs = fc.oneof(
  fc.nat({ max: 2 * SECOND }),
  fc.nat({ max: 90 * SECOND }),
  fc.constantFrom(...WINDOW_MS),
  fc.nat({ max: 3 * HOUR }),
  fc.nat({ max: 40 * DAY }),
)

const stepMs = fc.oneof(
  fc.integer({ min: -2 * SECOND, max: 2 * SECOND }),
  fc.integer({ min: -90, max: 90 }).map((seconds) => seconds * SECOND),
  fc.constantFrom(...WINDOW_MS, ...WINDOW_MS.map((ms) => -ms)),
  fc.integer({ min: -2 * HOUR, max: 2 * HOUR }),
  fc.integer({ min: -40 * DAY, max: 40 * DAY }),
)

const instant = fc
  .tuple(fc.constantFrom(...INSTANTS), fc.integer({ min: -2, max: 2 }), fc.constantFrom(1, SECOND, HOUR / 2))
  .map(([at, steps, stepMs]) => at + steps * stepMs) // biome-ignore format: three parts

const asks = fc.oneof(
  fc.array(ask, { minLength: 1, maxLength: 3 }),
  fc.array(ask, { minLength: 1, maxLength: 10 }),
)

const common: Weighted<Event>[] = [
  [12, { kind: 'ask', asks, change: fc.option(change, { freq: 1 }), replica: which, changer: which }],
  [4, { kind: 'change', change, replica: which }],
  [1, { kind: 'create', limits, replica: which }],
  [4, { kind: 'wait', ms: waitMs }],
  [1, { kind: 'prune', replica: which }],
] // biome-ignore format: one kind a line

/** Of one process, by the clock of its machine. */
export const event: fc.Arbitrary<Event> = oneOf<Event>(
  ...common,
  [3, { kind: 'step', ms: stepMs }],
  [2, { kind: 'set_clock', at: instant }],
  [1, { kind: 'crash', steppedMs: fc.oneof(fc.constant(0), stepMs), replica: which }],
) // biome-ignore format: one kind a line

/** Of replicas, whose claims say when they are: clocks have tests of their own. */
export const eventOfReplicas: fc.Arbitrary<Event> = oneOf<Event>(
  ...common,
  [1, { kind: 'crash', steppedMs: fc.constant(0), replica: which }],
  [1, { kind: 'pause', replica: which }],
) // biome-ignore format: one kind a line

type Parts<T> = { [K in keyof T]: K extends 'kind' ? T[K] : fc.Arbitrary<T[K]> }
type Weighted<T> = [weight: number, parts: T extends unknown ? Parts<T> : never]

function oneOf<T extends { kind: string }>(...kinds: Weighted<T>[]): fc.Arbitrary<T> {
  return fc.oneof(
    ...kinds.map(([weight, { kind, ...parts }]) => ({
      weight,
      arbitrary: fc
        .record(parts as Record<string, fc.Arbitrary<unknown>>)
        .map((rest) => ({ kind, ...rest }) as T),
    })),
  )
}
