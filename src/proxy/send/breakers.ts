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
  const breakers = new Map<string, Breaker>()

  function of(upstream: string) {
    let breaker = breakers.get(upstream)
    if (!breaker) {
      breaker = new Breaker((circuit) => onChange(upstream, circuit), now)
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

class Breaker {
  readonly #onChange: (circuit: Circuit) => void
  readonly #now: () => number
  #state: Circuit = 'closed'
  #openedMs = 0
  /** Failures in a row: by key, and those that no key can bring about. */
  readonly #ofKeys = new Map<number, number>()
  #ofNobody = 0
  /** When the newest trial of each key began. One that takes longer than a circuit stays open stands in nobody's way. */
  readonly #trials = new Map<number, number>()
  readonly #failedTrials = new Set<number>()

  constructor(onChange: (circuit: Circuit) => void, now: () => number) {
    this.#onChange = onChange
    this.#now = now
  }

  get state(): Circuit {
    return this.#state
  }

  admits(key: number): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'open') {
      if (this.#now() - this.#openedMs < OPEN_MS) return false
      this.#become('half_open')
    }
    if (!this.#mayTry(key)) return false
    this.#trials.set(key, this.#now())
    return true
  }

  learn(key: number, evidence: Evidence): void {
    if (this.#trials.size > 0) this.#trials.delete(key)
    if (evidence === null) return
    if (evidence === 'alive') {
      const isClean = this.#state === 'closed' && this.#ofNobody === 0 && this.#ofKeys.size === 0
      if (!isClean) this.#become('closed')
    } else if (this.#state === 'closed') this.#countFailure(key, evidence)
    else if (this.#state === 'half_open') this.#countTrial(key, evidence)
  }

  #become(next: Circuit): void {
    this.#ofKeys.clear()
    this.#ofNobody = 0
    this.#failedTrials.clear()
    if (next === 'open') this.#openedMs = this.#now()
    if (next === this.#state) return
    this.#state = next
    this.#onChange(next)
  }

  #mayTry(key: number): boolean {
    const since = this.#now() - OPEN_MS
    if ((this.#trials.get(key) ?? 0) > since) return false
    const recent = [...this.#trials.values()].filter((startedMs) => startedMs > since)
    return recent.length < TRIALS_MAX
  }

  #countFailure(key: number, evidence: 'down' | 'failed_key'): void {
    if (evidence === 'down') this.#ofNobody++
    else {
      const failures = (this.#ofKeys.get(key) ?? 0) + 1
      this.#ofKeys.set(key, Math.min(failures, FAILURES_OF_A_KEY_MAX))
    }
    let row = this.#ofNobody
    for (const failures of this.#ofKeys.values()) row += failures
    if (row >= FAILURES_MAX) this.#become('open')
  }

  #countTrial(key: number, evidence: 'down' | 'failed_key'): void {
    this.#failedTrials.add(key)
    if (evidence === 'down' || this.#failedTrials.size >= FAILED_TRIALS_MAX) this.#become('open')
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
