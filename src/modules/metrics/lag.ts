/** How late timers fire: what a call waits because the process is busy with something else. */
import type { Metric } from './exposition.ts'

/** Often enough to meet a pause of a tenth of a second, seldom enough to cost nothing. */
const PERIOD_MS = 100

/** A minute is what most scrapes look back on. */
const WINDOW_MS = 60_000

/** No more than these can be younger than the window. */
const SAMPLES = WINDOW_MS / PERIOD_MS

const QUANTILES = [0.5, 0.99, 1] as const

export type Lag = {
  /** A timer has fired at `at`, and this much later than it should have. */
  observe(at: number, lateMs: number): void
  /** Of the observations that are at most a minute old; zero if there is none. */
  quantile(share: number, at: number): number
  readonly sumMs: number
  readonly count: number
}

/** Keeps the observations themselves, and sorts them when somebody asks. */
export function createLag(): Lag {
  const lates = new Float64Array(SAMPLES)
  const instants = new Float64Array(SAMPLES).fill(Number.NEGATIVE_INFINITY)
  let count = 0
  let sumMs = 0
  return {
    observe(at, lateMs) {
      lates[count % SAMPLES] = lateMs
      instants[count % SAMPLES] = at
      count++
      sumMs += lateMs
    },
    quantile(share, at) {
      const recent = lates
        .filter((_, place) => at - (instants[place] as number) <= WINDOW_MS)
        .toSorted()
      // The nearest rank.
      return recent[Math.max(0, Math.ceil(share * recent.length) - 1)] ?? 0
    },
    get sumMs() {
      return sumMs
    },
    get count() {
      return count
    },
  }
}

/** Watches this process's event loop from now on. */
export function watchLag(): Metric {
  const lag = createLag()
  let due = performance.now() + PERIOD_MS
  const timer = setInterval(() => {
    const now = performance.now()
    lag.observe(now, Math.max(0, now - due))
    due = now + PERIOD_MS
  }, PERIOD_MS)
  timer.unref()
  return {
    name: 'quota_proxy_event_loop_lag_seconds',
    read() {
      const now = performance.now()
      return [
        ...QUANTILES.map((quantile) => ({
          labels: { quantile },
          value: lag.quantile(quantile, now) / 1000,
        })),
        { suffix: '_sum', labels: {}, value: lag.sumMs / 1000 },
        { suffix: '_count', labels: {}, value: lag.count },
      ]
    },
  }
}
