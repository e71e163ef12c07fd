/**
 * What a key holder is told about their quota on every answer: the IETF fields (draft-ietf-httpapi-ratelimit-headers-10,
 * structured fields of RFC 9651) and the plainer `X-Quota-*`. Pure.
 */

import { chargeId } from '../../domain/call.ts'
import type { Balance } from '../../domain/limit.ts'
import { formatInstant } from '../../lib/clock.ts'
import type { Fields } from './fields.ts'

export type QuotaNote = {
  readonly balances: readonly Balance[]
  readonly at: number
  /** What this call cost, in requests; null if nothing was reserved. */
  readonly cost: number | null
  /** Number of the ledger entry; null if nothing was reserved. */
  readonly seq: number | null
}

export function setQuotaHeaders(fields: Fields, { balances, at, cost, seq }: QuotaNote): void {
  const policies: string[] = []
  const states: string[] = []
  for (const balance of balances) {
    // An unlimited amount has no `q`, which the field requires.
    if (balance.amount === null || balance.remaining === null) continue
    const window = balance.windowS === null ? '' : `;w=${balance.windowS}`
    // The registry of quota units knows no tokens and no money, so those are named by a parameter of our own.
    const unit = balance.unit === 'requests' ? '' : `;qp-unit="${balance.unit}"`
    policies.push(`"${balance.name}";q=${integer(balance.amount)}${window}${unit}`)
    states.push(`"${balance.name}";r=${integer(balance.remaining)}${secondsLeft(balance, at)}`)
  }
  if (policies.length > 0) {
    fields['ratelimit-policy'] = policies.join(', ')
    fields['ratelimit'] = states.join(', ')
  }

  // As OpenAI names them, for clients that pace themselves by tokens.
  const tokens = balances.find((balance) => balance.unit === 'tokens' && balance.amount !== null)
  if (tokens) {
    fields['x-ratelimit-limit-tokens'] = String(tokens.amount)
    fields['x-ratelimit-remaining-tokens'] = String(tokens.remaining)
    if (tokens.resetsAt !== null)
      fields['x-ratelimit-reset-tokens'] = `${secondsUntil(tokens.resetsAt, at)}s`
  }

  const main = balances[0]
  if (main && main.amount !== null) {
    fields['x-quota-limit'] = String(main.amount)
    fields['x-quota-remaining'] = String(main.remaining)
    if (main.resetsAt !== null) fields['x-quota-reset'] = formatInstant(main.resetsAt)
  }
  if (cost !== null) fields['x-quota-cost'] = String(cost)
  if (seq !== null) fields['x-quota-charge-id'] = chargeId(seq)
}

function secondsLeft({ resetsAt }: Balance, at: number): string {
  return resetsAt === null ? '' : `;t=${secondsUntil(resetsAt, at)}`
}

function secondsUntil(instant: number, at: number): number {
  return Math.max(0, Math.ceil((instant - at) / 1000))
}

/** RFC 9651 section 3.3.1: an integer has at most fifteen digits. */
function integer(value: number): number {
  return Math.min(value, 999_999_999_999_999)
}
