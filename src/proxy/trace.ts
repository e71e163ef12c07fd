/**
 * The port of tracing: what the data path tells of a call while it goes on. Where nobody traces there is none, and what the
 * client says of a trace of its own goes to the upstream as it came.
 */
import type { CallTrace } from './call.ts'
import type { Ingress } from './ingress.ts'

export type Tracer = {
  /** A call has come in. Whatever the client says of its own trace is the parent. */
  start(request: Request, ingress: Ingress): CallTrace
}
