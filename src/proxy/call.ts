/** One call as the data path knows it from its first instant, and what is reported of it when it has ended. */

import type { Outcome } from '../domain/call.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { ErrorCode } from '../errors.ts'
import type { Sender } from '../http/request/sender.ts'
import type { Fields } from './headers/fields.ts'
import type { Outbound } from './send/outbound.ts'

export type Call = Sender & {
  /** Instant of arrival, ms. */
  readonly at: number
  /** Monotonic, ms; only differences mean anything. */
  readonly startedMs: number
  readonly method: string
  /** As the client wrote it, without the query. It may hold anything. */
  readonly path: string
  /** Null if nobody traces. */
  readonly trace: CallTrace | null
}

/** Whose call it was and where it went, as far as that is known. */
export type CallParties = {
  /** Null if nobody was recognised. */
  readonly keyId: string | null
  /** For people. Null with the id. */
  readonly keyName: string | null
  /** Empty for an endpoint that is no upstream's, and for a call that was refused before it was known. */
  readonly upstream: string
}

export type CallEnd = {
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
  /**
   * That the answer names, else the one that was asked for; of a refused call the one that it asked for, as the client names it.
   * Null if none was read. Others have chosen the text.
   */
  readonly model: string | null
  /** Whether a part of the tokens or the cost was estimated. */
  readonly estimated: boolean
  /** From the arrival of the call to the end of its answer, ms. */
  readonly latencyMs: number
  /** The part of it since the request went to the upstream; null if none did. */
  readonly upstreamMs: number | null
  readonly bytesIn: number
  readonly bytesOut: number
}

export type CallReport = Pick<Call, 'requestId' | 'ip' | 'method' | 'path'> & CallParties & CallEnd

export type TraceHeaders = {
  readonly headers: Fields
  /** Whether it is the very trace that the client speaks of, so that its `tracestate` may stay. */
  readonly isClients: boolean
}

/** Never throws; after its end nothing is taken any more. */
export type CallTrace = {
  /** The request is about to go to the upstream. Returns the headers that tell the upstream its part of the trace. */
  send(outbound: Outbound): TraceHeaders
  end(report: CallReport): void
  /** The call met a fault of ours. */
  fail(): void
}

/** Told once of every call, when it has ended and its settlement is committed. */
export type ReportCall = (report: CallReport) => void

/** Tells that a call has ended. */
export function endCall(call: Call, parties: CallParties, end: CallEnd, report: ReportCall): void {
  const told = reportOf(call, parties, end)
  report(told)
  call.trace?.end(told)
}

/** The one place that makes a report. */
export function reportOf(call: Call, parties: CallParties, end: CallEnd): CallReport {
  const { requestId, ip, method, path } = call
  const { keyId, keyName, upstream } = parties
  const { outcome, code, status, upstreamStatus, reserved, charged, model, estimated } = end
  const { latencyMs, upstreamMs, bytesIn, bytesOut } = end
  return {
    requestId, ip, method, path, keyId, keyName, upstream, outcome, code, status, upstreamStatus, reserved, charged, model,
    estimated, latencyMs, upstreamMs, bytesIn, bytesOut,
  } // biome-ignore format: a spread would cost a call as much as the rest of this
}

/** The end of a call that was refused: nothing was sent, and nothing charged. */
export function refusedEnd(
  code: ErrorCode,
  status: number,
  latencyMs: number,
  model: string | null = null,
): CallEnd {
  return {
    ...{ outcome: 'refused', code, status, latencyMs, upstreamStatus: null, upstreamMs: null },
    ...{
      reserved: NO_UNITS,
      charged: NO_UNITS,
      model,
      estimated: false,
      bytesIn: 0,
      bytesOut: 0,
    },
  }
}
