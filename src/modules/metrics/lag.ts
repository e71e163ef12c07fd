/** How late timers fire: what a call waits because the process is busy with something else. */
import { type Registry, Summary } from 'prom-client'
import { METRICS } from './table.ts'

/** Often enough to meet a pause of a tenth of a second, seldom enough to cost nothing. */
const PERIOD_MS = 100

/** A minute is what most scrapes look back on; five parts let the oldest twelve seconds go at a time. */
const WINDOW_S = 60
const PARTS = 5

export function startLag(registry: Registry): void {
  const lag = new Summary({
    name: 'quota_proxy_event_loop_lag_seconds',
    help: METRICS.quota_proxy_event_loop_lag_seconds.help,
    percentiles: [0.5, 0.99, 1],
    maxAgeSeconds: WINDOW_S,
    ageBuckets: PARTS,
    registers: [registry],
  })
  let due = performance.now() + PERIOD_MS
  const timer = setInterval(() => {
    const now = performance.now()
    lag.observe(Math.max(0, now - due) / 1000)
    due = now + PERIOD_MS
  }, PERIOD_MS)
  timer.unref()
}
