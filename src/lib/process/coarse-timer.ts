/**
 * Timers for limits that are rarely reached. One interval looks at all of them, so starting and stopping one costs nearly
 * nothing. A timer rings up to `TICK_MS` late, never early.
 */

export type CoarseTimer = {
  /** Rings once the monotonic clock has passed it, in ms. May be changed while the timer runs. */
  dueMs: number
  ring(): void
}

/** Shorter than anybody can tell of a limit, and long enough that thousands of timers cost little. */
const TICK_MS = 20

const running = new Set<CoarseTimer>()
let ticker: Timer | undefined

export function startTimer(timer: CoarseTimer): void {
  running.add(timer)
  ticker ??= setInterval(tick, TICK_MS)
}

export function stopTimer(timer: CoarseTimer): void {
  running.delete(timer)
}

function tick(): void {
  const now = performance.now()
  for (const timer of running) {
    if (timer.dueMs > now) continue
    running.delete(timer)
    timer.ring()
  }
  if (running.size > 0) return
  clearInterval(ticker)
  ticker = undefined
}
