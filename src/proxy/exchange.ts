/**
 * Sends a call that was admitted and answers it. Its end is settled here, or when the last byte of the answer has passed;
 * once, whatever happens.
 */

import type { Report } from '../metering/reckon.ts'
import type { AdmittedCall } from './admit.ts'
import { inspect, isInspected } from './answer/error/inspect.ts'
import { answerFailure } from './answer/failures.ts'
import { lacksQuota } from './answer/operators-quota.ts'
import { lookAtRefusal, mayBeOfOption, OptionRefused } from './answer/option-refused.ts'
import { relay } from './answer/relay.ts'
import type { RelayEnd } from './answer/stream.ts'
import type { OnUnknownUsage } from './answer/unknown-usage.ts'
import { answerHeaders, copyCookies } from './headers/response.ts'
import type { Target } from './resolve.ts'
import type { Breakers } from './send/breakers.ts'
import { type Deadline, startDeadline } from './send/deadline.ts'
import { type ForwardResult, forward } from './send/forward.ts'
import type { Leaving } from './send/leaving.ts'

export type ExchangeOptions = {
  readonly breakers: Breakers
  /** Told when an upstream has refused the operator's credential: nobody's calls to it succeed until that is mended. */
  readonly onCredentialRejected: (upstream: string, status: number) => void
  /** Told when an answer that reports nothing else has a report that nobody understands. */
  readonly onUnknownUsage: OnUnknownUsage
  readonly leaving: Leaving
}

/** `OptionRefused` if the request is to go out again without what we put into it; its charge is given back. */
export type Exchange = (admitted: AdmittedCall) => Promise<Response | OptionRefused>

export function createExchange(options: ExchangeOptions): Exchange {
  const { breakers, onCredentialRejected, onUnknownUsage, leaving } = options
  return async function exchange(admitted) {
    const { key, target, admission, client } = admitted
    const { upstream, timeoutBlamesUpstream } = target
    const name = upstream?.name ?? ''
    const caller = { leaving, key: key.seq, upstream: name }
    const deadline = startDeadline(client, target.timeouts, caller)
    const send = () => forward(admission.outbound(), deadline)
    try {
      const attempt = { upstream: name, key: key.seq, timeoutBlamesUpstream }
      const sent: ForwardResult | null = await (upstream ? breakers.attempt(attempt, send) : send())
      if (sent === null) return await answerFailure(admitted, deadline, 'circuit_open')
      if (!sent.ok) return await answerFailure(admitted, deadline, sent.failure)
      const { response } = sent
      const { status } = response
      const mayBe = target.wish !== null && mayBeOfOption(status)
      const looked = mayBe ? await withoutOption(admitted, response, deadline) : response
      if (looked instanceof OptionRefused) return looked
      if (!isInspected(target, status))
        return await answer(admitted, looked, deadline, onUnknownUsage)
      const inspected = await inspect(looked, target, deadline)
      if (inspected === 'credential_rejected') onCredentialRejected(name, status)
      if (typeof inspected === 'string') return await answerFailure(admitted, deadline, inspected)
      return await answer(admitted, inspected, deadline, onUnknownUsage)
    } catch (fault) {
      // A defect of ours, which must not leave the hold open.
      await answerFailure(admitted, deadline, 'upstream_error')
      throw fault
    }
  }
}

/** A refusal of what we put into the request does not concern its client. */
async function withoutOption(
  { target, admission }: AdmittedCall,
  response: Response,
  deadline: Deadline,
): Promise<Response | OptionRefused> {
  const { status } = response
  const looked = await lookAtRefusal(response)
  if (!looked.isOfOption) return looked.response
  deadline.end()
  await admission.withdraw(status, target.bytesIn())
  return new OptionRefused(admission.slot, target.wish)
}

/** Passes the upstream's answer on. The call is settled when that has ended. */
async function answer(
  admitted: AdmittedCall,
  response: Response,
  deadline: Deadline,
  onUnknownUsage: OnUnknownUsage,
): Promise<Response> {
  const { call, target, admission } = admitted
  const { status } = response
  deadline.answered(silenceOf(target, response))
  const tap = target.tap?.(response) ?? null
  // Known before the answer begins if that is short enough to be read whole.
  let known: Report | undefined
  let hasNoQuota = false
  const onEnd = ({ outcome, isWhole, bytes, start, reported }: RelayEnd) => {
    known = reported
    const unknown = reported.unknown?.()
    if (unknown) onUnknownUsage(target.upstream?.name ?? '', unknown)
    hasNoQuota = lacksQuota(status, start)
    const sums = { bytesIn: target.bytesIn(), bytesOut: bytes }
    const end = { outcome, isWhole, upstreamStatus: status, code: null, status, reported }
    void admission.settle({ ...end, lacksQuota: hasNoQuota, ...sums })
  }
  const readsOn = tap !== null && target.metering?.settings.kind === 'tokens' && status < 300
  const { slot } = admission
  const keepsStart = status >= 400
  const relayed = await relay(response, { deadline, tap, readsOn, keepsStart, slot, onEnd })
  if (!relayed) {
    return await answerFailure(admitted, deadline, deadline.cause() ?? 'upstream_error')
  }
  const headers = answerHeaders(response, {
    target,
    requestId: call.requestId,
    isAltered: tap?.alters ?? false,
    quota: admission.expect(status, known, hasNoQuota),
  })
  const passed = new Response(relayed.body, { status, headers })
  if (target.upstream?.settings.cookies)
    copyCookies(response.headers, passed.headers, target.upstream)
  return passed
}

/**
 * Whether the answer to the handshake of a WebSocket, of which nothing but the status is known, is about the operator's
 * credential. A 403 may be about what the holder asks for.
 */
export function isCredentialRejected({ upstream }: Target, status: number): boolean {
  return upstream !== null && upstream.secret !== null && status === 401
}

/** How long an answer may be silent. An event stream may be quiet for as long as the call may take. */
function silenceOf({ upstream, timeouts }: Target, { headers }: Response): number | null {
  const isBounded = upstream !== null && upstream.settings.idleMs !== null
  if (isBounded) return timeouts.idleMs
  const isEventStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false
  return isEventStream ? null : timeouts.idleMs
}
