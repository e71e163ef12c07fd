/**
 * How much of each counter belongs to calls in flight: what tells `quota_reserved` from a quota that is used up. Never
 * stored, and nothing is granted on it.
 */
import type { Hold } from '../../quota/ledger.ts'

export type InFlightUnits = ReturnType<typeof createInFlightUnits>

export function createInFlightUnits() {
  const held = new Map<number, number>()

  function count({ claim, charges }: Hold, sign: 1 | -1): void {
    for (const { counterId, unit } of charges) {
      const units = (held.get(counterId) ?? 0) + sign * claim.units[unit]
      if (units > 0) held.set(counterId, units)
      else held.delete(counterId)
    }
  }

  return {
    of: (counterId: number) => held.get(counterId) ?? 0,
    add: (hold: Hold) => count(hold, 1),
    remove: (hold: Hold) => count(hold, -1),
  }
}
