/** Prunes once a minute, one small step at a time, so that calls go on between the steps. */
import type { Prune } from './store.ts'

const ROUND_MS = 60_000
/** Between two steps, so that pruning takes a tenth of the time at most. */
const PAUSE_MS = 30

/**
 * `onError` is told of a step that failed; the next round tries again. Returns a function that begins no further step and
 * resolves when the running one has ended.
 */
export function startHousekeeping(
  prune: Prune,
  now: () => number,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let running = Promise.resolve()
  let stopped = false
  let timer = setTimeout(begin, ROUND_MS)

  function begin(): void {
    running = step()
  }

  async function step(): Promise<void> {
    let more = false
    try {
      more = await prune(now())
    } catch (error) {
      onError(error)
    }
    if (!stopped) timer = setTimeout(begin, more ? PAUSE_MS : ROUND_MS)
  }

  return () => {
    stopped = true
    clearTimeout(timer)
    return running
  }
}
