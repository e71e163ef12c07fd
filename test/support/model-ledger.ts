/**
 * The ledger in its plainest form: a list of calls, and sums over that list. It is what the real one must agree with
 * after any events in any order, so it keeps no counters, no totals and nothing remembered from one question to the next.
 */

import type { Outcome } from '../../src/domain/call.ts'
import { MAIN_LIMIT, type NamedLimit } from '../../src/domain/key.ts'
import type { Units } from '../../src/domain/limit.ts'
import type { ErrorCode } from '../../src/errors.ts'
import {
  bucketAt,
  freesAt,
  isSliding,
  periodAt,
  resetsAt,
  slidingHorizon,
} from '../../src/quota/window.ts'
import { SECOND } from './time.ts'

/** An epoch, and where in it: what starts a sliding window's count of it, which moves with a clock that is put back. */
type Place = { readonly epoch: number; start: number }

/** What counts for a limit begins anew with each epoch; a number is never used again. */
type ModelLimit = NamedLimit & { epoch: number }

export type ModelKey = {
  /** How often it was changed. */
  revision: number
  enabled: boolean
  expiresAt: number | null
  deleted: boolean
  limits: ModelLimit[]
}

export type ModelCall = {
  readonly key: ModelKey
  readonly at: number
  /** Where it counts, one a limit. */
  readonly places: readonly Place[]
  readonly reserved: Units
  /** What it counts as: what was reserved, and once it has ended, what was charged. */
  units: Units
  /** Null while it is in flight. */
  outcome: Outcome | null
}

export type ModelAnswer =
  | { ok: true; call: ModelCall; balances: ModelBalance[] }
  | {
      ok: false
      code: ErrorCode | 'changed'
      retryAfterS: number | undefined
      balances: ModelBalance[]
    }

export type ModelBalance = ReturnType<ReturnType<typeof createModel>['balance']>

export function createModel() {
  const keys: ModelKey[] = []
  const calls: ModelCall[] = []
  const credits: { readonly place: Place; readonly at: number; readonly amount: number }[] = []
  let epochs = 0

  function sum(limit: ModelLimit, at: number, units: (call: ModelCall) => Units): number {
    return calls
      .filter((call) => call.places.some((place) => counts(limit, place, call.at, at)))
      .reduce((total, call) => total + units(call)[limit.unit], 0)
  }

  function used(limit: ModelLimit, at: number): number {
    return sum(limit, at, (call) => call.units)
  }

  function credited(limit: ModelLimit, at: number): number {
    return credits
      .filter((credit) => counts(limit, credit.place, credit.at, at))
      .reduce((total, credit) => total + credit.amount, 0)
  }

  function balance(limit: ModelLimit, at: number) {
    const { name, unit, window, amount: bare, timezone, weekStart } = limit
    const amount = bare === null ? null : Math.max(0, bare + credited(limit, at))
    const spent = used(limit, at)
    const remaining = amount === null ? null : Math.max(0, amount - spent)
    const ends = resetsAt(window, periodAt(window, at, timezone, weekStart))
    const last = isSliding(window) ? freesAt(window, newest(limit)) : -Infinity
    // What no longer counts ends no later than what is charged now.
    const resets = ends === null ? null : Math.max(ends, last)
    return { name, unit, window, amount, used: spent, remaining, resetsAt: resets }
  }

  function placesIn({ epoch }: ModelLimit): Place[] {
    const all = [...calls.flatMap((call) => call.places), ...credits.map(({ place }) => place)]
    return all.filter((place) => place.epoch === epoch)
  }

  function newest(limit: ModelLimit): number {
    return Math.max(...placesIn(limit).map(({ start }) => start), -Infinity)
  }

  /** What counts at `from` keeps its age; what does not never will again. */
  function move(limit: ModelLimit, from: number, byMs: number): void {
    const { window } = limit
    if (!isSliding(window)) return
    const places = [...new Set(placesIn(limit))]
    const horizon = slidingHorizon(window, from)
    const starts = [...new Set(places.map(({ start }) => start))].sort((a, b) => a - b)
    const moved = new Map<number, number>()
    let last = -Infinity
    for (const start of starts.filter((one) => one > horizon)) {
      const next = Math.max(start + byMs, last + 1)
      // Between two buckets, so that it is none of them, and no two in one place.
      last = next % SECOND === 0 ? next + 1 : next
      moved.set(start, last)
    }
    for (const place of places) place.start = moved.get(place.start) ?? -Infinity
  }

  function balances(key: ModelKey, at: number) {
    return key.limits.map((limit) => balance(limit, at))
  }

  function fits(limit: ModelLimit, n: number, at: number): boolean {
    const { amount } = balance(limit, at)
    return amount === null || used(limit, at) + n <= amount
  }

  /** The first instant at which a window lets go of something and `n` fit; null if they never will. */
  function retryAt(limit: ModelLimit, n: number, at: number): number | null {
    if (n > (limit.amount ?? 0)) return null
    if (!isSliding(limit.window)) return balance(limit, at).resetsAt
    const { window } = limit
    const ends = placesIn(limit).map(({ start }) => freesAt(window, start))
    const later = ends.filter((end) => end > at).sort((a, b) => a - b)
    const room = (then: number) => (limit.amount ?? 0) + credited(limit, then) - used(limit, then)
    return later.find((end) => n <= room(end)) ?? null
  }

  function refuse(limit: ModelLimit, n: number, at: number): { code: ErrorCode; waitS: number } {
    const { amount, used: spent } = balance(limit, at)
    const inFlight = sum(limit, at, (call) => (call.outcome === null ? call.reserved : NOTHING))
    const fitsAt = retryAt(limit, n, at)
    if (n > (amount ?? 0) && amount !== 0 && fitsAt === null)
      return { code: 'cost_exceeds_quota', waitS: Infinity }
    if (spent - inFlight + n <= (amount ?? 0)) return { code: 'quota_reserved', waitS: 1 }
    if (fitsAt === null) return { code: 'insufficient_quota', waitS: Infinity }
    const code = isSliding(limit.window) ? 'rate_limit_exceeded' : 'insufficient_quota'
    return { code, waitS: Math.max(1, Math.ceil((fitsAt - at) / 1000)) }
  }

  function unusable(key: ModelKey, at: number): ErrorCode | null {
    if (key.deleted) return 'invalid_api_key'
    if (!key.enabled) return 'api_key_disabled'
    return key.expiresAt !== null && key.expiresAt <= at ? 'api_key_expired' : null
  }

  return {
    keys,
    calls,
    balance,
    balances,
    credited,

    create(limits: readonly NamedLimit[]): ModelKey {
      const own = limits.map((limit) => ({ ...limit, epoch: epochs++ }))
      const key = { revision: 1, enabled: true, expiresAt: null, deleted: false, limits: own }
      keys.push(key)
      return key
    },

    /** `revision` is what the caller knows the key by. */
    reserve(key: ModelKey, revision: number, at: number, units: Units): ModelAnswer {
      const refusal = unusable(key, at) ?? (revision === key.revision ? null : 'changed')
      if (refusal) return { ok: false, code: refusal, retryAfterS: undefined, balances: [] }
      const over = key.limits
        .filter((limit) => !fits(limit, units[limit.unit], at))
        .map((limit) => refuse(limit, units[limit.unit], at))
      const worst = over.toSorted((a, b) => b.waitS - a.waitS)[0]
      if (worst) {
        const retryAfterS = worst.waitS === Infinity ? undefined : worst.waitS
        return { ok: false, code: worst.code, retryAfterS, balances: balances(key, at) }
      }
      const places = key.limits.map((limit) => placeOf(limit, at))
      const call = { key, at, places, reserved: units, units, outcome: null }
      calls.push(call)
      return { ok: true, call, balances: balances(key, at) }
    },

    settle(call: ModelCall, units: Units, outcome: Outcome): void {
      if (call.outcome !== null) return
      call.outcome = outcome
      call.units = units
    },

    /**
     * A process dies: what it had in flight stays as it was reserved. Returns how many calls that were. Without `isLost` there
     * was no other process.
     */
    crash(at: number, isLost: (call: ModelCall) => boolean = () => true): number {
      for (const limit of keys.flatMap((key) => key.limits)) {
        const last = newest(limit)
        if (last > at) move(limit, last, at - last)
      }
      const inFlight = calls.filter((call) => call.outcome === null && isLost(call))
      for (const call of inFlight) call.outcome = 'interrupted'
      return inFlight.length
    },

    /** The clock is put forward or back. */
    step(from: number, byMs: number): void {
      for (const limit of keys.flatMap((key) => key.limits)) move(limit, from, byMs)
    },

    reset(key: ModelKey, quota: number | null | undefined): void {
      for (const limit of key.limits) {
        limit.epoch = epochs++
        if (limit.name === MAIN_LIMIT && quota !== undefined) limit.amount = quota
      }
    },

    /** A limit keeps what was used as long as it means the same; only its amount may change. */
    replaceLimits(key: ModelKey, wanted: readonly NamedLimit[]): void {
      const kept = key.limits.filter((old) => wanted.some(({ name }) => name === old.name))
      const added = wanted.filter(({ name }) => !kept.some((old) => old.name === name))
      key.limits = [...kept, ...added].map(({ name }) => {
        const limit = wanted.find((one) => one.name === name) ?? NO_LIMIT
        const old = kept.find((one) => one.name === name)
        return { ...limit, epoch: old && isSame(old, limit) ? old.epoch : epochs++ }
      })
    },

    credit(limit: ModelLimit, amount: number, at: number): void {
      credits.push({ place: placeOf(limit, at), at, amount })
    },
  }
}

/** Whether what was charged at one instant still counts at another. */
function counts(limit: ModelLimit, place: Place, chargedAt: number, at: number) {
  const { window, timezone, weekStart } = limit
  if (place.epoch !== limit.epoch) return false
  if (isSliding(window)) return place.start > slidingHorizon(window, at)
  const periodOf = (instant: number) => periodAt(window, instant, timezone, weekStart).start
  return periodOf(chargedAt) === periodOf(at)
}

function placeOf({ epoch, window }: ModelLimit, at: number): Place {
  return { epoch, start: isSliding(window) ? bucketAt(window, at).start : at }
}

function isSame(a: NamedLimit, b: NamedLimit): boolean {
  return (['unit', 'window', 'timezone', 'weekStart'] as const).every((part) => a[part] === b[part])
}

const NOTHING: Units = { requests: 0, tokens: 0, cost: 0 }
const NO_LIMIT: NamedLimit = {
  name: MAIN_LIMIT, unit: 'requests', amount: null, window: 'lifetime', timezone: 'UTC', weekStart: 'monday',
} // biome-ignore format: one limit a line
