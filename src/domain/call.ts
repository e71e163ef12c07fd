/** A call: how it can end, its entry in the ledger, and the port that reads the entries. */
import type { Units } from './limit.ts'

/** How a call ended. `answered` is any answer of the upstream that reached its end, whatever the status. */
export const OUTCOMES = [
  'answered',
  'client_aborted',
  'upstream_error',
  'upstream_timeout',
  'upstream_truncated',
  'not_sent',
  'interrupted',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** What is known of the work behind a call; kept with its entry. */
export type Metered = {
  /** As the upstream reported it; null where it did not. */
  readonly model: string | null
  readonly input: number | null
  readonly output: number | null
  /** Of the input, read from the upstream's cache; of the output, thought and not shown. */
  readonly cached: number | null
  readonly reasoning: number | null
  /** Whether tokens or cost are charged as estimated. */
  readonly estimated: boolean
  /** The price list by which the cost was reckoned; null if nothing had a price. */
  readonly priceListId: number | null
}

export const NOT_METERED: Metered = {
  model: null,
  input: null,
  output: null,
  cached: null,
  reasoning: null,
  estimated: false,
  priceListId: null,
}

export type CallEntry = {
  readonly seq: number
  readonly keyId: string
  /** When the call was admitted, ms. */
  readonly at: number
  /** Empty for an endpoint given in an envelope. */
  readonly upstream: string
  readonly requestId: string
  /** `in_flight` has no end yet. */
  readonly outcome: Outcome | 'in_flight'
  readonly status: number | null
  readonly reserved: Units
  readonly charged: Units
  readonly metered: Metered
  readonly latencyMs: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** The public name of a call: `X-Quota-Charge-Id`. */
export const CHARGE_ID = /^call_[0-9]{1,15}$/

export function chargeId(seq: number): string {
  return `call_${seq}`
}

/** Null if the text is not the name of a call. */
export function seqOf(id: string): number | null {
  return CHARGE_ID.test(id) ? Number(id.slice('call_'.length)) : null
}

export type CallPage = { readonly calls: readonly CallEntry[]; readonly more: boolean }

export interface CallReader {
  /** Also a call that is still in flight; null if it never was, or has been pruned. */
  find(seq: number): Promise<CallEntry | null>
  /** Ended calls, of one key if given, with a lower `seq` than `before`. */
  list(
    keySeq: number | undefined,
    page: { readonly limit: number; readonly before?: number | undefined },
  ): Promise<CallPage>
}
