/**
 * A circuit breaker for each upstream: after a row of failures the next calls are refused at once and cost nothing, until one
 * that is let through succeeds. No holder of a key can open it alone, or keep it open: what a request may have brought about
 * counts only a little for each key, and what no request can bring about, such as a refused connection, counts in full.
 */
import type { Circuit } from '../../domain/upstream.ts'
import type { ForwardFailure } from './forward.ts'

/** In a row: any answer in between shows that the upstream lives. */
const FAILURES_MAX = 10

/** How much of such a row one key may account for by calls that may have failed for what it sent. */
const FAILURES_OF_A_KEY_MAX = 4

/** How long nothing is sent before calls may try. */
export const OPEN_MS = 5_000

/** Calls that try at once, each of another key, so that a slow one of them does not decide for all. */
const TRIALS_MAX = 3

/** Failed trials that open the circuit again, unless one alone proves it. */
const FAILED_TRIALS_MAX = 2

/** What gateways say for a service that they cannot reach. A 500 may be the answer to one client's request. */
const DOWN = [502, 503, 504]

/** An answer, of whatever kind, or none. */
export type Attempted =
  | { readonly ok: true; readonly response: { readonly status: number } }
  | { readonly ok: false; readonly failure: ForwardFailure }

export type Attempt = {
  readonly upstream: string
  /** Whose call it is. */
  readonly key: number
  /** Whether running out of time may count: not if the client has set the time, or may be the slow one. */
  readonly timeoutBlamesUpstream: boolean
}

export type Breakers = {
  /** Runs the attempt; null if the circuit is open and it was not made. */
  attempt<Result extends Attempted>(
    attempt: Attempt,
    send: () => Promise<Result>,
  ): Promise<Result | null>
  /** `closed` also for an upstream that has not been called. */
  stateOf(upstream: string): Circuit
}

/** What a call has shown: that the upstream lives, that it fails whoever calls, that it fails this key, or nothing. */
type Evidence = 'alive' | 'down' | 'failed_key' | null

/** `now` is monotonic, in ms. */
export function createBreakers(
  onChange: (upstream: string, circuit: Circuit) => void,
  now: () => number = () => performance.now(),
): Breakers {
  const breakers = new Map<string, ReturnType<typeof createBreaker>>()

  function of(upstream: string) {
    let breaker = breakers.get(upstream)
    if (!breaker) {
      breaker = createBreaker((circuit) => onChange(upstream, circuit), now)
      breakers.set(upstream, breaker)
    }
    return breaker
  }

  return {
    async attempt({ upstream, key, timeoutBlamesUpstream }, send) {
      const breaker = of(upstream)
      if (!breaker.admits(key)) return null
      let evidence: Evidence = null
      try {
        const result = await send()
        evidence = evidenceOf(result, timeoutBlamesUpstream)
        return result
      } finally {
        breaker.learn(key, evidence)
      }
    },
    stateOf: (upstream) => breakers.get(upstream)?.state ?? 'closed',
  }
}

function createBreaker(onChange: (circuit: Circuit) => void, now: () => number) {
  let state: Circuit = 'closed'
  let openedMs = 0
  /** Failures in a row: by key, and those that no key can bring about. */
  const ofKeys = new Map<number, number>()
  let ofNobody = 0
  /** When the newest trial of each key began. One that takes longer than a circuit stays open stands in nobody's way. */
  const trials = new Map<number, number>()
  const failedTrials = new Set<number>()

  function become(next: Circuit): void {
    ofKeys.clear()
    ofNobody = 0
    failedTrials.clear()
    if (next === 'open') openedMs = now()
    if (next === state) return
    state = next
    onChange(next)
  }

  function mayTry(key: number): boolean {
    const since = now() - OPEN_MS
    if ((trials.get(key) ?? 0) > since) return false
    const recent = [...trials.values()].filter((startedMs) => startedMs > since)
    return recent.length < TRIALS_MAX
  }

  function countFailure(key: number, evidence: 'down' | 'failed_key'): void {
    if (evidence === 'down') ofNobody++
    else ofKeys.set(key, Math.min((ofKeys.get(key) ?? 0) + 1, FAILURES_OF_A_KEY_MAX))
    let row = ofNobody
    for (const failures of ofKeys.values()) row += failures
    if (row >= FAILURES_MAX) become('open')
  }

  function countTrial(key: number, evidence: 'down' | 'failed_key'): void {
    failedTrials.add(key)
    if (evidence === 'down' || failedTrials.size >= FAILED_TRIALS_MAX) become('open')
  }

  return {
    get state() {
      return state
    },
    admits(key: number): boolean {
      if (state === 'closed') return true
      if (state === 'open') {
        if (now() - openedMs < OPEN_MS) return false
        become('half_open')
      }
      if (!mayTry(key)) return false
      trials.set(key, now())
      return true
    },
    learn(key: number, evidence: Evidence): void {
      trials.delete(key)
      if (evidence === null) return
      if (evidence === 'alive') {
        if (state !== 'closed' || ofNobody > 0 || ofKeys.size > 0) become('closed')
      } else if (state === 'closed') countFailure(key, evidence)
      else if (state === 'half_open') countTrial(key, evidence)
    },
  }
}

function evidenceOf(result: Attempted, patient: boolean): Evidence {
  if (result.ok) return DOWN.includes(result.response.status) ? 'failed_key' : 'alive'
  switch (result.failure) {
    case 'unreachable':
      return 'down'
    case 'upstream_error':
      return 'failed_key'
    case 'upstream_timeout':
      return patient ? 'failed_key' : null
    default:
      return null
  }
}
