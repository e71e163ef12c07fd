/**
 * Names every request, so that its answer, its log lines and its ledger entry can be found from
 * each other. It also remembers who sent a request, for the routes of the API, which get only the
 * request itself.
 */
import { randomBytes } from 'node:crypto'

/** Who sent a request, and the id of the request. */
export type Sender = {
  readonly requestId: string
  readonly ip: string
  /** The listener that it came by; absent for the main one. */
  readonly listener?: ListenerKind
}

/**
 * `admin` and `metrics` are listeners of their own, if the settings ask for them. `control` is the
 * socket in the data directory: whoever can open it can read the database, and needs no token.
 */
export type ListenerKind = 'main' | 'admin' | 'metrics' | 'control'

/**
 * Differs in every process, so that two processes never give the same id. A random id for each
 * request would cost more than it is worth.
 */
const PROCESS = randomBytes(9).toString('hex')
let count = 0

const senders = new WeakMap<Request, Sender>()

/** Always our own: an id that the caller chose could imitate somebody else's. */
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
