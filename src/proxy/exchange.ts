/**
 * Sends a call that was admitted and answers it. Its end is settled here, or when the last byte of the answer has passed;
 * once, whatever happens.
 */

import type { Report } from '../metering/reckon.ts'
import type { AdmittedCall } from './admit.ts'
import { inspect, isInspected } from './answer/error/inspect.ts'
import { answerFailure } from './answer/failures.ts'
import { OptionRefused } from './answer/option-refused.ts'
import { relay } from './answer/relay.ts'
import type { RelayEnd } from './answer/stream.ts'
import type { OnUnknownUsage } from './answer/unknown-usage.ts'
import { answerHeaders, copyCookies } from './headers/response.ts'
import type { Target } from './resolve.ts'
import type { Attempted, Breakers } from './send/breakers.ts'
import { type Deadline, startDeadline } from './send/deadline.ts'
import { forward } from './send/forward.ts'
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
  return (admitted) => {
    const send = (deadline: Deadline) => forward(admitted.admission.outbound(), deadline)
    return exchangeBy(options, admitted, send, ({ response }, deadline) =>
      isInspected(admitted.target, response.status)
        ? answerInspected(options, admitted, response, deadline)
        : answer(options, admitted, response, deadline),
    )
  }
}

type Failed = Extract<Attempted, { readonly ok: false }>

/** Sends by `send`, if the circuit lets it, and answers by `take`. Whatever else happens, the call is settled. */
export async function exchangeBy<Sent extends Exclude<Attempted, Failed>, Answer>(
  { breakers, leaving }: ExchangeOptions,
  admitted: AdmittedCall,
  send: (deadline: Deadline) => Promise<Sent | Failed>,
  take: (sent: Sent, deadline: Deadline) => Promise<Answer>,
): Promise<Answer | Response> {
  const { key, target, client } = admitted
  const { upstream, timeouts, timeoutBlamesUpstream } = target
  const name = upstream?.name ?? ''
  const deadline = startDeadline(client, timeouts, { leaving, key: key.seq, upstream: name })
  try {
    const attempt = { upstream: name, key: key.seq, timeoutBlamesUpstream }
    const sending = () => send(deadline)
    const sent = await (upstream ? breakers.attempt(attempt, sending) : sending())
    if (sent === null) return await answerFailure(admitted, deadline, 'circuit_open')
    if (!sent.ok) return await answerFailure(admitted, deadline, sent.failure)
    return await take(sent, deadline)
  } catch (fault) {
    // A defect of ours, which must not leave the hold open.
    await answerFailure(admitted, deadline, 'upstream_error')
    throw fault
  }
}

/** Of an answer that is no success, what may be passed on; or what comes in its place. */
async function answerInspected(
  options: ExchangeOptions,
  admitted: AdmittedCall,
  response: Response,
  deadline: Deadline,
): Promise<Response | OptionRefused> {
  const { target, admission } = admitted
  const { status } = response
  const inspected = await inspect(response, target, deadline)
  if (inspected === 'option_refused') {
    deadline.end()
    await admission.withdraw(status, target.bytesIn())
    return new OptionRefused(admission.slot, target.wish)
  }
  if (inspected === 'credential_rejected')
    options.onCredentialRejected(target.upstream?.name ?? '', status)
  if (typeof inspected === 'string') return await answerFailure(admitted, deadline, inspected)
  return await answer(options, admitted, inspected.response, deadline, inspected.lacksQuota)
}

/** Passes the upstream's answer on. The call is settled when that has ended. */
async function answer(
  { onUnknownUsage }: ExchangeOptions,
  admitted: AdmittedCall,
  response: Response,
  deadline: Deadline,
  lacksQuota = false,
): Promise<Response> {
  const { call, target, admission } = admitted
  const { status } = response
  deadline.answered(silenceOf(target, response))
  const tap = target.tap?.(response) ?? null
  // Known before the answer begins if that is short enough to be read whole.
  let known: Report | undefined
  const onEnd = ({ outcome, isWhole, bytes, reported }: RelayEnd) => {
    known = reported
    const unknown = reported.unknown?.()
    if (unknown) onUnknownUsage(target.upstream?.name ?? '', unknown)
    const sums = { bytesIn: target.bytesIn(), bytesOut: bytes }
    const end = { outcome, isWhole, upstreamStatus: status, code: null, status, reported }
    void admission.settle({ ...end, lacksQuota, ...sums })
  }
  const readsOn = tap !== null && target.metering?.settings.kind === 'tokens' && status < 300
  const { slot } = admission
  const relayed = await relay(response, { deadline, tap, readsOn, slot, onEnd })
  if (!relayed) {
    return await answerFailure(admitted, deadline, deadline.cause() ?? 'upstream_error')
  }
  const headers = answerHeaders(response, {
    target,
    requestId: call.requestId,
    isAltered: tap?.alters ?? false,
    quota: admission.expect(status, known, lacksQuota),
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
  return EVENTS.test(headers.get('content-type') ?? '') ? null : timeouts.idleMs
}

/** The latter is Bedrock's. */
const EVENTS = /^(?:text\/event-stream|application\/vnd\.amazon\.eventstream)\b/i
