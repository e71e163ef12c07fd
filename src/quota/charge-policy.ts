/** What a call costs in the end, by the upstream's `charge_on`. Pure. */

import type { Outcome } from '../domain/call.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { ChargeOn } from '../domain/upstream.ts'

export function chargeFor(
  chargeOn: ChargeOn,
  units: Units,
  outcome: Outcome,
  status: number | null,
): Units {
  if (outcome === 'not_sent') return NO_UNITS
  if (chargeOn === 'attempt' || outcome === 'client_aborted') return units
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
      return `${verdict}: the upstream answered ${status}.`
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
