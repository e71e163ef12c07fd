/**
 * Counts calls when they have ended. Series are bounded whatever clients send: upstreams are the operator's, outcomes, codes
 * and status classes are closed lists, and keys have series of their own only up to a number that the operator sets.
 */
import type { Registry } from 'prom-client'
import type { Units } from '../../domain/limit.ts'
import { UNITS, type Unit } from '../../domain/limit.ts'
import {
  createSpread,
  createTally,
  type Spread,
  type Tally,
  writeSpreads,
  writeTallies,
} from './tally.ts'

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

/** Stands for all keys beyond the number that may have series of their own; no id looks like it. */
const OTHER = 'other'

type ByUpstream = {
  readonly ends: Map<string, Tally>
  readonly charged: Readonly<Record<Unit, Tally>>
  readonly refunded: Readonly<Record<Unit, Tally>>
  readonly rejected: Tally
  readonly duration: Spread
  readonly upstreamDuration: Spread
  readonly addedDuration: Spread
}

export type CallCounts = {
  count(call: CountedCall): void
  /** Tells of an upstream before its first call, so that the first of anything is seen as a change. */
  know(upstream: string): void
}

/** `keysMax` is asked at each call: it may change. */
export function createCallCounts(registry: Registry, keysMax: () => number): CallCounts {
  const upstreams = new Map<string, ByUpstream>()
  const keys = new Map<string, Map<string, Tally>>()
  const others = new Map<string, Tally>()

  function of(upstream: string): ByUpstream {
    const known = upstreams.get(upstream)
    if (known) return known
    const made = createByUpstream(upstream)
    upstreams.set(upstream, made)
    return made
  }

  function countKey(id: string, outcome: string): void {
    const max = keysMax()
    // Lowered while the server runs: only a new beginning keeps to it.
    if (keys.size > max) {
      keys.clear()
      others.clear()
    }
    if (max === 0) return
    const isOwn = keys.has(id) || keys.size < max
    const outcomes = isOwn ? (keys.get(id) ?? new Map<string, Tally>()) : others
    if (isOwn) keys.set(id, outcomes)
    tallyOf(outcomes, outcome, () => ({ key: isOwn ? id : OTHER, outcome })).sum++
  }

  const each = <T>(pick: (one: ByUpstream) => Iterable<T>) =>
    [...upstreams.values()].flatMap((one) => [...pick(one)])
  writeTallies(registry, 'quota_proxy_calls_total', () => each(({ ends }) => ends.values()))
  writeTallies(registry, 'quota_proxy_units_charged_total', () =>
    each(({ charged }) => Object.values(charged)),
  )
  writeTallies(registry, 'quota_proxy_units_refunded_total', () =>
    each(({ refunded }) => Object.values(refunded)),
  )
  writeTallies(registry, 'quota_proxy_credential_rejected_total', () =>
    each(({ rejected }) => [rejected]),
  )
  writeSpreads(registry, 'quota_proxy_call_duration_seconds', () =>
    each(({ duration }) => [duration]),
  )
  writeSpreads(registry, 'quota_proxy_upstream_duration_seconds', () =>
    each(({ upstreamDuration }) => [upstreamDuration]),
  )
  writeSpreads(registry, 'quota_proxy_added_duration_seconds', () =>
    each(({ addedDuration }) => [addedDuration]),
  )
  writeTallies(registry, 'quota_proxy_key_calls_total', () =>
    keysMax() === 0 ? [] : [...keys.values(), others].flatMap((outcomes) => [...outcomes.values()]),
  )

  return {
    know: of,
    count({ keyId, upstream, outcome, code, status, reserved, charged, latencyMs, upstreamMs }) {
      const one = of(upstream)
      const statusClass = `${Math.floor(status / 100)}xx`
      const end = `${outcome} ${code ?? ''} ${statusClass}`
      const labels = () => ({ upstream, outcome, code: code ?? '', status: statusClass })
      tallyOf(one.ends, end, labels).sum++
      if (keyId !== null) countKey(keyId, outcome)
      if (outcome === 'refused') return
      for (const unit of UNITS) {
        one.charged[unit].sum += charged[unit]
        one.refunded[unit].sum += Math.max(0, reserved[unit] - charged[unit])
      }
      if (code === 'upstream_credential_rejected') one.rejected.sum++
      one.duration.observe(latencyMs / 1000)
      if (upstreamMs === null) return
      one.upstreamDuration.observe(upstreamMs / 1000)
      one.addedDuration.observe(Math.max(0, latencyMs - upstreamMs) / 1000)
    },
  }
}

function tallyOf(
  tallies: Map<string, Tally>,
  at: string,
  labels: () => Record<string, string>,
): Tally {
  const known = tallies.get(at)
  if (known) return known
  const made = createTally(labels())
  tallies.set(at, made)
  return made
}

function createByUpstream(upstream: string): ByUpstream {
  const units = () => ({
    requests: createTally({ upstream, unit: 'requests' }),
    tokens: createTally({ upstream, unit: 'tokens' }),
    cost: createTally({ upstream, unit: 'cost' }),
  })
  return {
    ends: new Map(),
    charged: units(),
    refunded: units(),
    rejected: createTally({ upstream }),
    duration: createSpread(CALL_BOUNDS, { upstream }),
    upstreamDuration: createSpread(CALL_BOUNDS, { upstream }),
    addedDuration: createSpread(ADDED_BOUNDS, { upstream }),
  }
}
