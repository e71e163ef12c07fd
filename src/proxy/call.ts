/** One call as the data path knows it from its first instant, and what is told of it when it has ended. */

import type { Outcome } from '../domain/call.ts'
import type { Units } from '../domain/limit.ts'
import type { ErrorCode } from '../errors.ts'
import type { Sender } from '../http/request/sender.ts'
import type { CallTrace } from './trace.ts'

export type Call = Sender & {
  /** Instant of arrival, ms; decides which periods are charged. */
  readonly at: number
  /** Monotonic, ms; only differences mean anything. */
  readonly startedMs: number
  /** Null if nobody traces. */
  readonly trace: CallTrace | null
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
  /** The upstream's status; null if it gave none. */
  readonly upstreamStatus: number | null
  /** What was set aside before the call went out, and what it was charged in the end. */
  readonly reserved: Units
  readonly charged: Units
  /** From the arrival of the call to the end of its answer, ms, with all that the clock tells. */
  readonly latencyMs: number
  /** The part of it since the request went to the upstream; null if none did. */
  readonly upstreamMs: number | null
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Tells whoever wants to know that a call has ended. */
export function tell(call: Call, report: CallReport, to: (report: CallReport) => void): void {
  to(report)
  call.trace?.end(report)
}
