/** One call as the data path knows it from its first instant, and what is told of it when it has ended. */
import type { ErrorCode } from '../errors.ts'
import type { Sender } from '../http/request-name.ts'
import type { Outcome } from '../quota/ledger.ts'

export type Call = Sender & {
  /** Instant of arrival, ms; decides which periods are charged. */
  readonly at: number
  /** Monotonic, ms; only differences mean anything. */
  readonly startedMs: number
}

export type CallReport = Sender & {
  /** Null if nobody was recognised. */
  readonly keyId: string | null
  /** Empty for an endpoint that is no upstream's, and for a call that was refused before it was known. */
  readonly upstream: string
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
