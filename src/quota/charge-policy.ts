/** What a call costs in the end, by the upstream's `charge_on`. Pure. */

import type { Outcome } from '../domain/call.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { ChargeOn } from '../domain/upstream.ts'

/**
 * What an upstream says to the operator: pay (402), I gave up waiting (408), you are too fast or your quota is used up (429),
 * I am overloaded (529). It did no work, clients try such calls again by themselves, and no holder can help it. An endpoint
 * that the holder has chosen may say so at will.
 */
const OF_THE_OPERATOR: readonly number[] = [402, 408, 429, 529]

/** How the call ended for the one who made it. */
export type Ended = {
  readonly outcome: Outcome
  /** The upstream's; null if it gave none. */
  readonly status: number | null
  /** Whether it went to an upstream that the operator has named. */
  readonly isNamed: boolean
  /** Whether the upstream says, in whatever status, that the operator's account has no more. */
  readonly lacksQuota: boolean
  /** Whether an answer that looks like a success says itself that the work failed. */
  readonly failed: boolean
}

export function chargeFor(
  chargeOn: ChargeOn,
  units: Units,
  { outcome, status, failed, isNamed, lacksQuota }: Ended,
): Units {
  if (outcome === 'not_sent') return NO_UNITS
  if (chargeOn === 'attempt') return units
  const isOfOperator = lacksQuota || (status !== null && OF_THE_OPERATOR.includes(status))
  if (isNamed && isOfOperator) return NO_UNITS
  if (chargeOn === 'success' && failed) return NO_UNITS
  // The upstream has got the request, and may have worked on it until then.
  if (outcome === 'client_aborted' || outcome === 'interrupted') return units
  if (status === null || status >= 500) return NO_UNITS
  if (chargeOn === 'answer') return units
  return outcome === 'answered' && status < 400 ? units : NO_UNITS
}

/** Says in one sentence of its ledger entry why a call cost what it cost. */
export function explain(
  outcome: Outcome,
  status: number | null,
  reserved: Units,
  charged: Units,
): string {
  const refunded = charged.requests < reserved.requests
  const verdict = refunded ? 'Given back' : 'Charged'
  switch (outcome) {
    case 'answered':
      return refunded && status !== null && status < 400
        ? `${verdict}: the upstream answered ${status}, and its answer says that the work failed.`
        : `${verdict}: the upstream answered ${status}.`
    case 'client_aborted':
      return `${verdict}: the client left before the answer had ended.`
    case 'upstream_error':
      return `${verdict}: the upstream could not be reached or broke off before it answered.`
    case 'upstream_timeout':
      return `${verdict}: the upstream took too long.`
    case 'upstream_truncated':
      return `${verdict}: the upstream answered ${status} and broke off before the end.`
    case 'not_sent':
      return `${verdict}: no whole request was sent to the upstream.`
    case 'interrupted':
      return `${verdict}: the server was stopped during the call, which may have reached the upstream.`
  }
}
