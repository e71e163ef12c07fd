/**
 * Sends a call that was admitted and answers it. Its end is settled here, or when the last byte of the answer has passed;
 * once, whatever happens.
 */

import type { Upstream } from '../domain/upstream.ts'
import type { Report } from '../metering/reckon.ts'
import type { Admitted } from './admit.ts'
import { answerFailure } from './answer/failures.ts'
import { type End, relay } from './answer/relay.ts'
import { rewriteAnswerUrls } from './answer/rewrite-urls.ts'
import type { Call } from './call.ts'
import type { Fields } from './headers/fields.ts'
import { setQuotaHeaders } from './headers/quota.ts'
import { responseHeaders, reveals } from './headers/response.ts'
import type { Target } from './resolve.ts'
import type { Breakers } from './send/breakers.ts'
import { startDeadline } from './send/deadline.ts'
import { type ForwardResult, forward } from './send/forward.ts'

export type ExchangeOptions = {
  readonly breakers: Breakers
  /** Told when an upstream has refused the operator's credential: nobody's calls to it succeed until that is mended. */
  readonly onCredentialRejected: (upstream: string, status: number) => void
}

export type AdmittedCall = {
  readonly call: Call
  readonly key: { readonly seq: number }
  readonly target: Target
  readonly admission: Admitted
  /** Aborts when the client leaves. */
  readonly client: AbortSignal
}

export type Exchange = (admitted: AdmittedCall) => Promise<Response>

/** What is no longer true of an answer that was changed on its way. */
const OF_THE_BYTES = [
  'content-length',
  'etag',
  'content-md5',
  'digest',
  'repr-digest',
  'accept-ranges',
]

export function createExchange({ breakers, onCredentialRejected }: ExchangeOptions): Exchange {
  return async function carry(admitted) {
    const { call, key, target, admission, client } = admitted
    const deadline = startDeadline(client, target.timeouts)
    try {
      const sent = await attempt(target, key.seq, () => {
        admission.sending(target.outbound)
        return forward(target.outbound, deadline)
      })
      if (sent === null) return await answerFailure(admitted, deadline, 'circuit_open')
      if (!sent.ok) return await answerFailure(admitted, deadline, sent.failure)
      const { response } = sent
      const { status } = response
      if (isCredentialRejected(target, status)) {
        onCredentialRejected(target.upstream?.name ?? '', status)
        // What it says of the credential is for the operator alone.
        void response.body?.cancel().catch(() => {})
        return await answerFailure(admitted, deadline, 'credential_rejected')
      }

      deadline.answered(silenceOf(target, response))
      const tap = target.tap?.(response) ?? null
      // Known before the answer begins if that is short enough to be read whole.
      let known: Report | undefined
      const onEnd = ({ outcome, bytes, reported }: End) => {
        known = reported
        const end = { outcome, upstreamStatus: status, code: null, status, reported }
        void admission.settle({ ...end, bytesIn: target.bytesIn(), bytesOut: bytes })
      }
      const metered = await relay(response, { deadline, tap, slot: admission.slot, onEnd })
      if (!metered) {
        return await answerFailure(admitted, deadline, deadline.cause() ?? 'upstream_error')
      }
      const headers = responseHeaders(response.headers, target.upstream)
      if (tap?.alters) for (const name of OF_THE_BYTES) delete headers[name]
      rewriteAnswerUrls(headers, target)
      headers['x-request-id'] = call.requestId
      // Bun would otherwise say that GET has an answer of no bytes; this is what it says of a GET itself.
      if (isHeadOfUnknownLength(target, status, headers)) headers['transfer-encoding'] = 'chunked'
      setQuotaHeaders(headers, admission.expect(status, known))
      const answer = new Response(metered.body, { status, headers })
      if (target.upstream?.settings.cookies) copyCookies(response, answer, target.upstream)
      return answer
    } catch (fault) {
      // A defect of ours, which must not leave the hold open.
      await answerFailure(admitted, deadline, 'upstream_error')
      throw fault
    }
  }

  function attempt(
    { upstream, timeoutBlamesUpstream }: Target,
    key: number,
    send: () => Promise<ForwardResult>,
  ) {
    return upstream
      ? breakers.attempt({ upstream: upstream.name, key, timeoutBlamesUpstream }, send)
      : send()
  }
}

/** Who gives no credential of their own is not told about the operator's. */
export function isCredentialRejected({ upstream }: Target, status: number): boolean {
  return upstream !== null && upstream.secret !== null && (status === 401 || status === 403)
}

/** RFC 9112 section 6.1: a 204 has no coding, nor does a 304 need one. */
function isHeadOfUnknownLength({ outbound }: Target, status: number, headers: Fields): boolean {
  const isHead = outbound.method === 'HEAD' && status !== 204 && status !== 304
  return isHead && headers['content-length'] === undefined
}

/** How long an answer may be silent. An event stream may be quiet for as long as the call may take. */
function silenceOf({ upstream, timeouts }: Target, { headers }: Response): number | null {
  const isEventStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false
  const isBounded = upstream !== null && upstream.settings.idleMs !== null
  return isEventStream && !isBounded ? null : timeouts.idleMs
}

/** One by one: RFC 6265 section 3 forbids to fold them into one field. */
function copyCookies(from: Response, to: Response, upstream: Upstream): void {
  for (const cookie of from.headers.getSetCookie())
    if (!reveals(cookie, upstream)) to.headers.append('set-cookie', cookie)
}
