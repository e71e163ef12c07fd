/**
 * Tells the ledger what time it is, and when the clock of the machine was put forward or back. What sliding windows have
 * counted then moves with it, so that it keeps its true age: nothing comes back early, and nothing has to wait until the
 * clock has caught up. Periods of the calendar belong to their dates and stay where they are.
 */
import type { SteadyClock } from '../../lib/clock.ts'

/** A clock that jumps by a day is doubted for a day: time enough to see it, and little for what is kept for weeks. */
const DOUBT_MS = 86_400_000

export type ClockStep = {
  /** The instant up to which windows have counted, by the clock as it was. */
  readonly from: number
  readonly byMs: number
}

export type Timekeeper = {
  /** The instant of a charge: by the clock, or as given if there is none. */
  at(given: number): number
  /** What has to be moved; null if nothing has to. */
  step(): ClockStep | null
  /** It was moved, in a transaction that is written. */
  kept(): void
  /**
   * Whether what is old by the clock may be forgotten: not while it may be that a clock has only been put forward by mistake,
   * for then the period to which it returns would be granted a second time.
   */
  mayForget(): boolean
}

export function createTimekeeper(clock: SteadyClock | null): Timekeeper {
  if (clock === null) {
    return { at: (given) => given, step: () => null, kept() {}, mayForget: () => true }
  }
  /** A transaction that is not written leaves it for the next one. */
  let byMs = 0
  let doubtedUntil = -Infinity
  const step = (): ClockStep | null => {
    const stepMs = clock.step()
    const now = clock.now()
    if (stepMs >= DOUBT_MS) doubtedUntil = now + DOUBT_MS
    byMs += stepMs
    return byMs === 0 ? null : { from: now - byMs, byMs }
  }
  return {
    at: () => clock.now(),
    step,
    kept() {
      byMs = 0
    },
    mayForget: () => step() === null && clock.now() >= doubtedUntil,
  }
}
