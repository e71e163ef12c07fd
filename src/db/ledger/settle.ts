/** What a batch of settlements changes, added up: each counter and each sum of an hour is then written once. Pure. */
import { type Balance, type Units, withUsed } from '../../domain/limit.ts'
import type { Hold, Settlement } from '../../quota/ledger.ts'
import { isSliding } from '../../quota/window.ts'

const HOUR_MS = 3_600_000

export function hourOf(at: number): number {
  return at - (at % HOUR_MS)
}

/** By the number of the counter: the difference between what was reserved and what the calls really cost. */
export type Corrections = Map<number, number>

export function addCorrection(
  corrections: Corrections,
  { claim, charges }: Hold,
  charged: Units,
): void {
  for (const { counterId, unit } of charges) {
    const difference = charged[unit] - claim.units[unit]
    if (difference === 0) continue
    corrections.set(counterId, (corrections.get(counterId) ?? 0) + difference)
  }
}

/** `used` is what the corrected counters have used by now. */
export function balancesAfter(
  { claim, charges, balances }: Hold,
  charged: Units,
  used: ReadonlyMap<number, number>,
): readonly Balance[] {
  return balances.map((before, i) => {
    const difference = charged[before.unit] - claim.units[before.unit]
    if (difference === 0) return before
    // A bucket of a sliding window is not the whole of what counts in it.
    const whole = isSliding(before.window) ? undefined : used.get(charges[i]?.counterId ?? -1)
    return withUsed(before, whole ?? before.used + difference)
  })
}

/** What calls of one key to one model of one upstream come to within an hour. */
export type Rollup = {
  readonly hour: number
  readonly keySeq: number
  readonly upstream: string
  readonly model: string
  calls: number
  failed: number
  requests: number
  tokens: number
  cost: number
  bytesIn: number
  bytesOut: number
  latencyMs: number
  estimated: number
}

export type Rollups = Map<string, Rollup>

/** `models` bounds how many rows an hour may have: clients and upstreams name models as they like. */
export function addToRollups(
  rollups: Rollups,
  models: ModelNames,
  { claim }: Hold,
  settlement: Settlement,
): void {
  const { key, at, upstream } = claim
  const hour = hourOf(at)
  const model = models.of(hour, settlement.metered?.model ?? '')
  const name = `${key.seq} ${hour} ${upstream} ${model}`
  const { outcome, status, charged } = settlement
  const sum = rollups.get(name) ?? emptyRollup(hour, key.seq, upstream, model)
  sum.calls += 1
  if (outcome !== 'answered' || status === null || status >= 500) sum.failed += 1
  sum.requests += charged.requests
  sum.tokens += charged.tokens
  sum.cost += charged.cost
  sum.bytesIn += settlement.bytesIn
  sum.bytesOut += settlement.bytesOut
  sum.latencyMs += settlement.latencyMs
  if (settlement.metered?.estimated) sum.estimated += 1
  rollups.set(name, sum)
}

/** Far more models than are called in an hour; the rest of the names is one. */
const MODELS_MAX = 500
const OTHER = 'other'

export type ModelNames = {
  /** The name under which an hour counts a model. */
  of(hour: number, model: string): string
}

export function createModelNames(): ModelNames {
  let latest = 0
  const names = new Set<string>()
  return {
    of(hour, model) {
      // Calls of the hour before still end in this one, and share its names: hours that take turns would know no bound.
      if (hour > latest) {
        names.clear()
        latest = hour
      }
      if (names.has(model)) return model
      if (names.size >= MODELS_MAX) return OTHER
      names.add(model)
      return model
    },
  }
}

function emptyRollup(hour: number, keySeq: number, upstream: string, model: string): Rollup {
  return {
    ...{ hour, keySeq, upstream, model, calls: 0, failed: 0, requests: 0, tokens: 0, cost: 0 },
    ...{ bytesIn: 0, bytesOut: 0, latencyMs: 0, estimated: 0 },
  }
}
