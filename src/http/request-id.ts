/** Names every request, so that an answer, its log lines and its ledger entry can be found from each other. */
import { randomBytes } from 'node:crypto'

const ids = new WeakMap<Request, string>()

/** Always our own: an id chosen by the caller could imitate somebody else's. */
export function newRequestId(): string {
  return `req_${randomBytes(12).toString('base64url')}`
}

export function nameRequest(request: Request, id: string): void {
  ids.set(request, id)
}

export function requestIdOf(request: Request): string {
  return ids.get(request) ?? 'req_unknown'
}
