/**
 * Shares a bounded amount among holders so that none can take it all: nobody may hold more than is
 * still free. A single holder gets at most half; the more holders there are, the less each gets,
 * and something is always left for the next. Switches share the memory of their queues by the same
 * dynamic thresholds (Choudhury and Hahne, 1998, with α = 1).
 */

export type FairShare<Holder> = {
  /** Takes `amount`, or nothing if the holder's share would not allow it. */
  take(holder: Holder, amount: number): boolean
  /** Gives back an amount that was taken. */
  give(holder: Holder, amount: number): void
  heldBy(holder: Holder): number
  readonly taken: number
}

/**
 * `max` is called each time, since it may change. What was taken under a larger one stays taken.
 */
export function createFairShare<Holder>(max: () => number): FairShare<Holder> {
  const held = new Map<Holder, number>()
  let taken = 0
  const heldBy = (holder: Holder) => held.get(holder) ?? 0
  return {
    take(holder, amount) {
      const own = heldBy(holder) + amount
      if (own > max() - taken) return false
      held.set(holder, own)
      taken += amount
      return true
    },
    give(holder, amount) {
      const rest = heldBy(holder) - amount
      if (rest > 0) held.set(holder, rest)
      else held.delete(holder)
      taken -= amount
    },
    heldBy,
    get taken() {
      return taken
    },
  }
}
