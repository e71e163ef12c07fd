/** The request that goes to the upstream. `forward` and `openSocket` take it only once an admission has marked it. */
import type { Fields } from '../headers/fields.ts'
import type { Upload } from '../request/body/upload.ts'
import type { Destination } from './egress.ts'

export type Outbound = {
  readonly destination: Destination
  readonly method: string
  /** Path and query, as they stand in the request line. */
  readonly target: string
  readonly headers: Fields
  readonly body: Upload['body']
  /** Whether a refused connection is tried once more. */
  readonly retryConnect: boolean
  /** Whether a safe method may use a kept connection, on which Bun sends it again if that has died (RFC 9110 section 9.2.2). */
  readonly resendSafe: boolean
}

declare const admitted: unique symbol

/** An outbound request whose units are reserved. Only src/proxy/admit.ts makes one. */
export type AdmittedOutbound = Outbound & { readonly [admitted]: true }

export function markAdmitted(outbound: Outbound): AdmittedOutbound {
  return outbound as AdmittedOutbound
}
