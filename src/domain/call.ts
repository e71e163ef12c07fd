/** A call: how it can end, its entry in the ledger, and the port that reads the entries. */
import type { Units } from './limit.ts'

/**
 * How a call ended. `answered` is an answer of the upstream that reached its end, whatever its
 * status.
 */
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

/**
 * Parts of the input and the output that have prices of their own, and work that is not counted in tokens. An absent part
 * was not reported, or is zero.
 */
export type UsageParts = {
  /** Tokens of the input that were written to the upstream's cache, to be kept for five minutes or for an hour. */
  readonly cacheWritten5m?: number
  readonly cacheWritten1h?: number
  /** Tokens of the input and of the output that are sound or images. */
  readonly audioInput?: number
  readonly audioOutput?: number
  readonly imageInput?: number
  readonly imageOutput?: number
  /** Images that were made, and seconds of sound that were read or made. */
  readonly images?: number
  readonly seconds?: number
}

/** What the proxy knows of the work behind a call. The ledger keeps it with the entry. */
export type Metered = {
  /** As the upstream reported it; null where it did not. */
  readonly model: string | null
  readonly input: number | null
  readonly output: number | null
  /**
   * The part of the input that the upstream read from its cache, and the part of the output that it
   * thought and did not show.
   */
  readonly cached: number | null
  readonly reasoning: number | null
  /** What else was reported; null if nothing was. */
  readonly parts: UsageParts | null
  /** Whether the charge for tokens or cost is an estimate. */
  readonly estimated: boolean
  /** The price list that gave the cost; null if nothing had a price. */
  readonly priceListId: number | null
}

export const NOT_METERED: Metered = {
  model: null,
  input: null,
  output: null,
  cached: null,
  reasoning: null,
  parts: null,
  estimated: false,
  priceListId: null,
}

export type CallEntry = {
  readonly seq: number
  readonly keyId: string
  readonly keyName: string
  /** When the call was admitted, ms. */
  readonly at: number
  /** Empty for an endpoint given in an envelope. */
  readonly upstream: string
  readonly requestId: string
  /** `in_flight` is a call that has not ended. */
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

/** What is absent filters nothing. */
export type CallFilter = {
  readonly keySeq?: number | undefined
  /** Admitted in `[from, to)`; instants, ms. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  /** The least and the greatest status. */
  readonly status?: readonly [number, number] | undefined
  readonly outcome?: Outcome | undefined
  readonly upstream?: string | undefined
  readonly model?: string | undefined
}

/**
 * `next` is the number below which the list goes on; null at its end. A page may have fewer calls than it could, even none:
 * a question looks through so many entries at most.
 */
export type CallPage = { readonly calls: readonly CallEntry[]; readonly next: number | null }

export interface CallReader {
  /**
   * Finds a call that is still in flight, too. Null if there is no such call, or it has been
   * pruned.
   */
  find(seq: number): Promise<CallEntry | null>
  /** Ended calls with a lower `seq` than `before`, the newest first. */
  list(
    filter: CallFilter,
    page: { readonly limit: number; readonly before?: number | undefined },
  ): Promise<CallPage>
}
