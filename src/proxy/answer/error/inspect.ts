/**
 * Looks at what an upstream says instead of success, before any of it is passed on: at the beginning of the body, which is
 * read for it, and at no more. What concerns the operator's credential is for the operator alone, and goes no further. What
 * concerns an option of ours makes the request go out again without it. All else is the client's, less what shows the
 * credential or where a redirect would have led.
 */
import { withoutSecret } from '../../../lib/text/secret-traces.ts'
import { parseReference } from '../../../lib/text/uri-reference.ts'
import { OF_THE_BYTES } from '../../headers/response.ts'
import type { Target } from '../../resolve.ts'
import type { Deadline } from '../../send/deadline.ts'
import type { ForwardFailure } from '../../send/forward.ts'
import { isOfOption, mayBeOfOption } from '../option-refused.ts'
import {
  type Beginning,
  put,
  readBeginning,
  UNPACKED_BYTES_MAX,
  unpack,
  withoutBody,
} from './beginning.ts'
import { isAboutCredential } from './credential.ts'
import { lacksQuota, mayLackQuota } from './operators-quota.ts'

/** Statuses by which upstreams refuse a credential; the first is Google's, for a key that is none. */
const REFUSALS = [400, 401, 403]

export type Inspected =
  | {
      readonly response: Response
      /** Whether it says that the operator's account has no more. */
      readonly lacksQuota: boolean
    }
  | ForwardFailure
  | 'credential_rejected'
  | 'option_refused'

type Asked = Pick<Target, 'upstream' | 'base' | 'timeouts' | 'wish'>

/** Whether the answer has to be looked at: no success has. Who gives no credential need not hide one. */
export function isInspected({ upstream, base, wish }: Asked, status: number): boolean {
  if (status < 300 || upstream === null) return false
  if (status < 400) return base !== null && status !== 304
  return (
    upstream.secret !== null || mayLackQuota(status) || (wish !== null && mayBeOfOption(status))
  )
}

/** The answer to pass on in the place of `response`, or why there is none. */
export async function inspect(
  response: Response,
  target: Asked,
  deadline: Deadline,
): Promise<Inspected> {
  const { status, headers } = response
  const host = status < 400 ? hostOfRedirect(headers, target) : null
  if (status < 400 && host === null) return { response, lacksQuota: false }
  deadline.answered(target.timeouts.idleMs)
  const read = await readBeginning(response, deadline)
  if (read.failed && status !== 401) return deadline.cause() ?? 'upstream_error'
  const unpacked = unpack(read.bytes, headers.get('content-encoding'))
  if (host !== null) {
    const passes = unpacked.includes(host) ? withoutBody(read, response) : put(read, response)
    return { response: passes, lacksQuota: false }
  }
  const text = unpacked.toString()
  const refused = refusedIn(status, text, target)
  if (refused) {
    read.drop()
    return refused
  }
  const secret = target.upstream?.secret ?? null
  const passes = passed(read, response, unpacked, secret)
  return { response: passes, lacksQuota: lacksQuota(status, text) }
}

/** What the upstream has refused that is ours and not the client's; null if nothing. */
function refusedIn(
  status: number,
  text: string,
  { upstream, wish }: Asked,
): 'option_refused' | 'credential_rejected' | null {
  if (wish !== null && isOfOption(status, text)) return 'option_refused'
  const mayBeOfCredential = (upstream?.secret ?? null) !== null && REFUSALS.includes(status)
  return mayBeOfCredential && isAboutCredential(status, text) ? 'credential_rejected' : null
}

/** The host that a redirect names and its client is not to see; null if it sees all of it. */
function hostOfRedirect(headers: Headers, { upstream }: Asked): string | null {
  const location = headers.get('location')
  if (location === null || upstream?.settings.passLocations) return null
  return parseReference(location)?.authority || null
}

function passed(
  read: Beginning,
  response: Response,
  unpacked: Buffer,
  secret: string | null,
): Response {
  // Every byte is a character, so that the rest stays what it is, whatever it is.
  const blanked = withoutSecret(unpacked.toString('latin1'), secret)
  if (blanked === null) return put(read, response)
  const isPacked = !unpacked.equals(read.bytes)
  // The end of what is packed cannot be told from what was left out of it.
  if (isPacked && (read.rest || unpacked.byteLength > UNPACKED_BYTES_MAX))
    return withoutBody(read, response)
  const headers = new Headers(response.headers)
  for (const name of OF_THE_BYTES) headers.delete(name)
  const bytes = Buffer.from(blanked, 'latin1')
  if (isPacked) {
    headers.delete('content-encoding')
    headers.set('content-length', String(bytes.byteLength))
  }
  return put({ ...read, bytes }, response, headers)
}
