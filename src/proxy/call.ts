/** One call as the data path knows it from its first instant, and what is told of it when it has ended. */
import type { ErrorCode } from '../errors.ts'
import type { Outcome } from '../quota/ledger.ts'

/** Who sent the request, as the listener knows it. */
export type Peer = { readonly ip: string; readonly requestId: string }

export type Call = {
  readonly requestId: string
  readonly ip: string
  /** Instant of arrival, ms; decides which periods are charged. */
  readonly at: number
  /** Monotonic, ms; only differences mean anything. */
  readonly startedMs: number
}

export type CallReport = {
  readonly requestId: string
  readonly ip: string
  /** Null if nobody was recognised. */
  readonly keyId: string | null
  readonly outcome: Outcome | 'refused'
  /** Why it was refused or failed; null if the upstream answered. */
  readonly code: ErrorCode | null
  /** What the client was answered. */
  readonly status: number
  /** Requests charged in the end. */
  readonly cost: number
  readonly latencyMs: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export function elapsedMs(call: Call): number {
  return Math.round(performance.now() - call.startedMs)
}
