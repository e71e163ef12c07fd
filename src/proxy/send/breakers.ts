/**
 * A circuit breaker for each upstream: after a row of calls that it failed, the next ones are refused at once and cost
 * nothing, until one that is let through succeeds. Only what no key holder can bring about counts as a failure.
 */
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
} from 'cockatiel'
import type { Circuit } from '../../modules/upstreams/store.ts'
import type { ForwardFailure } from './forward.ts'

/** In a row, over all keys: any answer in between shows that the upstream lives. */
const FAILURES_MAX = 10

/** How long nothing is sent before one call may try. */
export const OPEN_MS = 5_000

/** What gateways say for a service that they cannot reach. A 500 may be the answer to one client's request. */
const DOWN = [502, 503, 504]

/** An answer, of whatever kind, or none. */
export type Attempted =
  | { readonly ok: true; readonly response: { readonly status: number } }
  | { readonly ok: false; readonly failure: ForwardFailure }

export type Breakers = {
  /**
   * Runs the attempt; null if the circuit is open and it was not made. `patient` says whether running out of time is
   * the upstream's fault: not if the client has set the time, or is the one that is slow.
   */
  attempt<Result extends Attempted>(
    upstream: string,
    patient: boolean,
    attempt: () => Promise<Result>,
  ): Promise<Result | null>
  /** `closed` also for an upstream that has not been called. */
  stateOf(upstream: string): Circuit
}

export function createBreakers(onChange: (upstream: string, circuit: Circuit) => void): Breakers {
  const policies = new Map<string, CircuitBreakerPolicy>()

  function policyOf(upstream: string): CircuitBreakerPolicy {
    const known = policies.get(upstream)
    if (known) return known
    const policy = circuitBreaker(
      handleWhenResult((attempt) => (attempt as { readonly isDown: boolean }).isDown),
      { halfOpenAfter: OPEN_MS, breaker: new ConsecutiveBreaker(FAILURES_MAX) },
    )
    policy.onStateChange((state) => onChange(upstream, circuitOf(state)))
    policies.set(upstream, policy)
    return policy
  }

  return {
    async attempt(upstream, patient, attempt) {
      try {
        const { result } = await policyOf(upstream).execute(async () => {
          const result = await attempt()
          return { result, isDown: isDown(result, patient) }
        })
        return result
      } catch (error) {
        if (error instanceof BrokenCircuitError) return null
        throw error
      }
    },
    stateOf(upstream) {
      const policy = policies.get(upstream)
      return policy ? circuitOf(policy.state) : 'closed'
    },
  }
}

function isDown(result: Attempted, patient: boolean): boolean {
  if (result.ok) return DOWN.includes(result.response.status)
  return result.failure === 'upstream_error' || (result.failure === 'upstream_timeout' && patient)
}

function circuitOf(state: CircuitState): Circuit {
  if (state === CircuitState.Closed) return 'closed'
  return state === CircuitState.HalfOpen ? 'half_open' : 'open'
}
