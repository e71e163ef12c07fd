/** Calls in flight, counted. Never stored: a count that outlives its calls locks a key out for ever. */

export type Places<Of> = {
  /** Takes a place, unless `max` are taken; null is no limit. */
  enter(of: Of, max: number | null): boolean
  /** Gives it back; once for each that was taken. */
  leave(of: Of): void
}

export function createPlaces<Of>(): Places<Of> {
  const taken = new Map<Of, number>()
  return {
    enter(of, max) {
      const others = taken.get(of) ?? 0
      if (max !== null && others >= max) return false
      taken.set(of, others + 1)
      return true
    },
    leave(of) {
      const rest = (taken.get(of) ?? 0) - 1
      if (rest > 0) taken.set(of, rest)
      else taken.delete(of)
    },
  }
}
