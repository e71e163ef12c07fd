/**
 * Names every request, so that an answer, its log lines and its ledger entry can be found from each other, and remembers
 * for the routes of the API, which are handed nothing but the request, who sent it.
 */
import { randomBytes } from 'node:crypto'

/** Who sent a request, and what it is called. */
export type Sender = {
  readonly requestId: string
  readonly ip: string
  /** By which of the listeners it came; absent for the main one. */
  readonly listener?: ListenerKind
}

/**
 * `admin` and `metrics` are listeners of their own, if the settings ask for them. `control` is the socket in the data directory:
 * who can open it can read the database, and needs no token.
 */
export type ListenerKind = 'main' | 'admin' | 'metrics' | 'control'

/** Different in every process, so that ids of two never meet; drawing anew for each request would cost more than it gives. */
const PROCESS = randomBytes(9).toString('hex')
let count = 0

const senders = new WeakMap<Request, Sender>()

/** Always our own: an id chosen by the caller could imitate somebody else's. */
export function newRequestId(): string {
  count++
  return `req_${PROCESS}${count.toString(36).padStart(6, '0')}`
}

export function rememberSender(request: Request, sender: Sender): void {
  senders.set(request, sender)
}

export function senderOf(request: Request): Sender {
  return senders.get(request) ?? { requestId: 'req_unknown', ip: '' }
}
