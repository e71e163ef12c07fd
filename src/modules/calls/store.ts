/** The port of the ledger's readers: one entry per call, newest first. */
import type { Metered, Outcome, Units } from '../../quota/ledger.ts'

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
