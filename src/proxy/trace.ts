/**
 * The port of tracing: what the data path tells of a call while it goes on. Where nobody traces there is none, and what the
 * client says of a trace of its own goes to the upstream as it came.
 */
import type { CallReport } from './call.ts'
import type { Fields } from './headers/fields.ts'
import type { Ingress } from './ingress.ts'
import type { Outbound } from './send/outbound.ts'

export type Tracer = {
  /** A call has come in. Whatever the client says of its own trace is the parent. */
  start(request: Request, ingress: Ingress): CallTrace
}

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
