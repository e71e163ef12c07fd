/** Prunes once a minute, one small step at a time, so that calls go on between the steps. */
import type { Prune } from './sqlite/prune.ts'

const ROUND_MS = 60_000
/** Between two steps, so that pruning takes a tenth of the time at most. */
const PAUSE_MS = 30

/** `onError` is told of a step that failed; the next round tries again. Returns what stops it. */
export function startHousekeeping(
  prune: Prune,
  now: () => number,
  onError: (error: unknown) => void,
): () => void {
  let timer = setTimeout(step, ROUND_MS)

  function step(): void {
    let more = false
    try {
      more = prune(now())
    } catch (error) {
      onError(error)
    }
    timer = setTimeout(step, more ? PAUSE_MS : ROUND_MS)
  }

  return () => clearTimeout(timer)
}
