/**
 * Counts what happens, for Prometheus. The series are bounded whatever clients send: upstreams are the operator's, and
 * outcomes, codes and status classes are closed lists. No key, address, path or model is ever a label.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Circuit, CircuitView } from '../upstreams/store.ts'

/** A call that has ended, refused ones included. */
export type CountedCall = {
  /** Empty for an endpoint that is no upstream's, and for a call that was refused before it was known. */
  readonly upstream: string
  readonly outcome: string
  readonly code: string | null
  readonly status: number
  /** Requests charged. */
  readonly cost: number
  readonly latencyMs: number
}

export type Metrics = {
  count(call: CountedCall): void
  /** In the text format of Prometheus. */
  read(): Promise<{ readonly text: string; readonly contentType: string }>
}

const CIRCUITS: Record<Circuit, number> = { closed: 0, half_open: 1, open: 2 }

/** From a cached answer to the longest stream, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

export function createMetrics(version: string, upstreams: () => readonly CircuitView[]): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const calls = new Counter({
    name: 'quota_proxy_calls_total',
    help: 'Calls that have ended, refused ones included, by what they ended with.',
    labelNames: ['upstream', 'outcome', 'code', 'status'],
    registers,
  })
  const charged = new Counter({
    name: 'quota_proxy_requests_charged_total',
    help: 'Requests that calls were charged in the end.',
    labelNames: ['upstream'],
    registers,
  })
  const duration = new Histogram({
    name: 'quota_proxy_call_duration_seconds',
    help: 'From the arrival of a call that was let through to the last byte of its answer.',
    labelNames: ['upstream'],
    buckets: BUCKETS,
    registers,
  })
  new Gauge({
    name: 'quota_proxy_upstream_circuit',
    help: 'Circuit of each upstream: 0 is closed, 1 is being tried, 2 is open and refuses calls.',
    labelNames: ['upstream'],
    registers,
    collect() {
      // Upstreams that are gone are no longer told of.
      this.reset()
      for (const { name, circuit } of upstreams()) this.set({ upstream: name }, CIRCUITS[circuit])
    },
  })
  new Gauge({
    name: 'quota_proxy_build_info',
    help: 'Always 1; the version is its label.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1)

  return {
    count({ upstream, outcome, code, status, cost, latencyMs }) {
      const statusClass = `${Math.floor(status / 100)}xx`
      calls.inc({ upstream, outcome, code: code ?? '', status: statusClass })
      if (outcome === 'refused') return
      charged.inc({ upstream }, cost)
      duration.observe({ upstream }, latencyMs / 1000)
    },
    async read() {
      return { text: await registry.metrics(), contentType: registry.contentType }
    },
  }
}
