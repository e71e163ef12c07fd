/**
 * Counts calls when they have ended. Series are bounded whatever clients send: upstreams are the operator's, outcomes, codes
 * and status classes are closed lists, and keys have series of their own only up to a number that the operator sets.
 */
import type { Units } from '../../domain/limit.ts'
import { UNITS, type Unit } from '../../domain/limit.ts'
import { type Counter, countersOf, createCounter } from './counter.ts'
import type { Metric } from './exposition.ts'
import { createHistogram, type Histogram, histogramsOf } from './histogram.ts'
import { createKeyCalls } from './key-calls.ts'

/** A call that has ended, refused ones included. */
export type CountedCall = {
  /** Null if nobody was recognised. */
  readonly keyId: string | null
  /** Empty for an endpoint that is no upstream's, and for a call that was refused before it was known. */
  readonly upstream: string
  readonly outcome: string
  readonly code: string | null
  readonly status: number
  readonly reserved: Units
  readonly charged: Units
  /** Whether a part of the tokens or the cost was estimated. */
  readonly estimated: boolean
  readonly latencyMs: number
  /** Null if nothing was sent. */
  readonly upstreamMs: number | null
}

/** From a cached answer to the longest stream, in seconds. */
const CALL_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** From a quiet machine to one whose disk is too slow, in seconds. */
const ADDED_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
]

/** Found by outcome, code and class of the status, without composing a text for each call. */
type Codes = Map<string | null, Counter[]>
type Ends = Map<string, Codes>

type ByUpstream = {
  readonly ends: Ends
  readonly charged: Readonly<Record<Unit, Counter>>
  readonly refunded: Readonly<Record<Unit, Counter>>
  readonly estimated: Counter
  readonly rejected: Counter
  readonly duration: Histogram
  readonly upstreamDuration: Histogram
  readonly addedDuration: Histogram
}

export type CallCounts = {
  count(call: CountedCall): void
  /** Makes the series of an upstream before its first call, so that Prometheus sees that call as a change. */
  know(upstream: string): void
  /** Ends the series of every upstream but these. Calls of none stay counted. */
  keepOnly(upstreams: readonly string[]): void
  readonly metrics: readonly Metric[]
}

export function createCallCounts(keysMax: () => number): CallCounts {
  const upstreams = new Map<string, ByUpstream>()
  const keyCalls = createKeyCalls(keysMax)

  function of(upstream: string): ByUpstream {
    const known = upstreams.get(upstream)
    if (known !== undefined) return known
    const made = createByUpstream(upstream)
    upstreams.set(upstream, made)
    return made
  }

  return {
    know: of,
    keepOnly(names) {
      const kept = new Set(['', ...names])
      for (const name of upstreams.keys()) if (!kept.has(name)) upstreams.delete(name)
    },
    count(call) {
      const { keyId, upstream, outcome, code, status, reserved, charged, latencyMs, upstreamMs } =
        call
      const one = of(upstream)
      endOf(one, upstream, outcome, code, status).sum++
      if (keyId !== null) keyCalls.count(keyId, outcome)
      if (outcome === 'refused') return
      for (const unit of UNITS) {
        one.charged[unit].sum += charged[unit]
        one.refunded[unit].sum += Math.max(0, reserved[unit] - charged[unit])
      }
      if (call.estimated) one.estimated.sum++
      if (code === 'upstream_credential_rejected') one.rejected.sum++
      one.duration.observe(latencyMs / 1000)
      if (upstreamMs === null) return
      one.upstreamDuration.observe(upstreamMs / 1000)
      one.addedDuration.observe(Math.max(0, latencyMs - upstreamMs) / 1000)
    },
    metrics: [...upstreamMetrics(upstreams), keyCalls.metric],
  }
}

/** Made when it is first needed: most combinations never happen. */
function endOf(
  { ends }: ByUpstream,
  upstream: string,
  outcome: string,
  code: string | null,
  status: number,
): Counter {
  const classOf = Math.floor(status / 100)
  const known = ends.get(outcome)?.get(code)?.[classOf]
  if (known !== undefined) return known
  const codes: Codes = ends.get(outcome) ?? new Map()
  ends.set(outcome, codes)
  const classes = codes.get(code) ?? []
  codes.set(code, classes)
  const made = createCounter({ upstream, outcome, code: code ?? '', status: `${classOf}xx` })
  classes[classOf] = made
  return made
}

function upstreamMetrics(upstreams: ReadonlyMap<string, ByUpstream>): Metric[] {
  const each = <T>(pick: (one: ByUpstream) => Iterable<T>) =>
    [...upstreams.values()].flatMap((one) => [...pick(one)])
  return [
    countersOf('quota_proxy_calls_total', () => each(({ ends }) => endsIn(ends))),
    countersOf('quota_proxy_units_charged_total', () =>
      each(({ charged }) => Object.values(charged)),
    ),
    countersOf('quota_proxy_units_refunded_total', () =>
      each(({ refunded }) => Object.values(refunded)),
    ),
    countersOf('quota_proxy_calls_estimated_total', () => each(({ estimated }) => [estimated])),
    countersOf('quota_proxy_credential_rejected_total', () => each(({ rejected }) => [rejected])),
    histogramsOf('quota_proxy_call_duration_seconds', () => each(({ duration }) => [duration])),
    histogramsOf('quota_proxy_upstream_duration_seconds', () =>
      each(({ upstreamDuration }) => [upstreamDuration]),
    ),
    histogramsOf('quota_proxy_added_duration_seconds', () =>
      each(({ addedDuration }) => [addedDuration]),
    ),
  ]
}

function endsIn(ends: Ends): Counter[] {
  return [...ends.values()].flatMap((codes) =>
    // The classes that nothing has ended with are holes, which `flat` leaves out.
    [...codes.values()].flat(),
  )
}

function createByUpstream(upstream: string): ByUpstream {
  const units = () => ({
    requests: createCounter({ upstream, unit: 'requests' }),
    tokens: createCounter({ upstream, unit: 'tokens' }),
    cost: createCounter({ upstream, unit: 'cost' }),
  })
  return {
    ends: new Map(),
    charged: units(),
    refunded: units(),
    estimated: createCounter({ upstream }),
    rejected: createCounter({ upstream }),
    duration: createHistogram(CALL_BOUNDS, { upstream }),
    upstreamDuration: createHistogram(CALL_BOUNDS, { upstream }),
    addedDuration: createHistogram(ADDED_BOUNDS, { upstream }),
  }
}
