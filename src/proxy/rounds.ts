/**
 * Takes a call through the steps of src/proxy/handle.ts, and answers and reports what they refuse. What is remembered of a
 * key or an upstream may be out of date: a call that would be refused for it goes through the steps again with both as the store
 * has them.
 */

import type { Credential } from '../domain/key.ts'
import type { ErrorCode, Refusal } from '../errors.ts'
import type { Sender } from '../http/request/sender.ts'
import type { Clock } from '../lib/clock.ts'
import type { Ledger } from '../quota/ledger.ts'
import type { AdmitResult } from './admit.ts'
import { OptionRefused } from './answer/option-refused.ts'
import { shapeOf } from './answer/refusal/shape.ts'
import { refused } from './answer/respond.ts'
import { type Authentication, authenticate, authenticateAnew } from './authenticate.ts'
import { type Call, type CallParties, endCall, type ReportCall, refusedEnd } from './call.ts'
import type { QuotaNote } from './headers/quota.ts'
import type { InFlight, Slot } from './in-flight.ts'
import { pathOf } from './ingress.ts'
import type { KeyMemory } from './key-memory.ts'
import type { ClientCallRead, Foresee, Received } from './request/client-call.ts'
import { renewed } from './request/renew.ts'
import { createUsageWishes, type UsageWishes, type Wish } from './request/usage-wishes.ts'
import type { ResolveOptions } from './resolve.ts'
import type { Upgrade } from './send/websocket.ts'
import type { Tracer } from './trace.ts'

export type RoundsOptions = {
  readonly keys: KeyMemory
  readonly inFlight: InFlight
  readonly clock: Clock
  /** Asked once a call, which ends under the rules that it began with. */
  readonly rules: () => ResolveOptions
  readonly report: ReportCall
  /** Null if nobody traces. */
  readonly tracer: Tracer | null
}

/** Undefined if the request has become a WebSocket, which is answered already. */
export type Handle = (
  received: Received,
  sender: Sender,
  upgrade: Upgrade,
) => Promise<Response | undefined>

/** One call, and what it keeps if it goes through the steps again. */
export type Round = {
  readonly call: Call
  received: Received
  readonly rules: ResolveOptions
  readonly upgrade: Upgrade
  caller: Authentication
  /** Null before the call has one, and after the admission, whose settlement gives it back. */
  slot: Slot | null
  read: ClientCallRead | null
  /** What the upstream has refused of what we asked for on our own: the request goes out without it. Null if nothing. */
  refusedWish: Wish | null
  /** Whether an upstream may be asked to report. */
  mayAsk: UsageWishes['mayAsk']
}

/** What a step has refused. */
export class Refused {
  readonly refusal: Refusal
  readonly quota: QuotaNote | null
  /** Whether the store may have the key otherwise, so that the refusal may be wrong. */
  readonly isStale: boolean
  /** That was asked for, as the client names it; null if none was read. */
  readonly model: string | null

  constructor(
    refusal: Refusal,
    isStale: boolean,
    model: string | null = null,
    quota: QuotaNote | null = null,
  ) {
    this.refusal = refusal
    this.isStale = isStale
    this.model = model
    this.quota = quota
  }
}

export type Steps = (round: Round) => Promise<Response | undefined | Refused | OptionRefused>

/** Rejects only with a fault, such as a store that fails while the key is looked up. */
export function inRounds(
  { keys, clock, tracer, rules, report }: RoundsOptions,
  steps: Steps,
): Handle {
  const wishes = createUsageWishes()

  return async function handle(received, { ip, requestId }, upgrade) {
    const { fields } = received
    const trace = tracer?.start(received.request, received.ingress) ?? null
    const { method } = received.request
    const call: Call = {
      ...{ requestId, ip, at: clock(), startedMs: performance.now(), trace },
      ...{ method, path: pathOf(received.ingress) },
    }
    let round: Round | null = null
    try {
      round = {
        ...{ call, received, upgrade, rules: rules(), mayAsk: wishes.mayAsk },
        ...{ slot: null, read: null, refusedWish: null },
        caller: await authenticate(fields, keys, call.at),
      }
      for (let rounds = 1; ; rounds++) {
        const end = refusalOf(await steps(round), round)
        if (!(end instanceof Refused)) return answered(end, round)
        if (!end.isStale || rounds === ROUNDS_MAX) return refuse(round, end)
        round.caller = await authenticateAnew(fields, keys, call.at)
        const { read } = round
        if (read) Object.assign(round, renewed({ ...round, read }, round.rules.upstreams))
      }
    } catch (fault) {
      trace?.fail()
      throw fault
    } finally {
      round?.slot?.release()
    }
  }

  /** What was taken without the option is proof that only that was refused. */
  function answered(answer: Response | undefined, { refusedWish }: Round): Response | undefined {
    if (refusedWish !== null && answer?.ok) wishes.noteRefused(refusedWish)
    return answer
  }

  function refuse(round: Round, { refusal, quota, model }: Refused): Response {
    const { received } = round
    const call = withoutKey(round)
    const response = refused(refusal, call.requestId, quota, shapeOf(received))
    const latencyMs = performance.now() - call.startedMs
    const end = refusedEnd(refusal.code, response.status, latencyMs, model)
    endCall(call, partiesOf(round), end, report)
    return response
  }
}

/** Asks for a call of the key what the ledger would say of more than it is known to need. */
export function foreseeing(
  { ledger, clock }: { readonly ledger: Pick<Ledger, 'foresee'>; readonly clock: Clock },
  round: Round,
  key: Credential,
): Foresee {
  const { upstream } = partiesOf(round)
  const { requestId } = round.call
  return (units) => ledger.foresee({ key, at: clock(), upstream, requestId, units })
}

/** After a refused option the call goes through the steps again, charged anew and without the option. */
function refusalOf<End>(end: End | OptionRefused, round: Round): End | Refused {
  if (!(end instanceof OptionRefused)) return end
  round.slot = end.slot
  round.refusedWish = end.wish
  round.mayAsk = () => false
  return new Refused(OPTION_REFUSED, true)
}

export function partiesOf({ caller, received }: Round): CallParties {
  if (!caller.ok) return NOBODY
  const { ingress } = received
  return {
    keyId: caller.key.id,
    keyName: caller.key.name,
    upstream: ingress.kind === 'upstream' ? ingress.upstream.name : '',
  }
}

/** Nobody has read such a path yet: it may hold the key. */
function withoutKey({ call, caller, received }: Round): Call {
  if (caller.ok && !call.path.includes(caller.raw)) return call
  const { ingress } = received
  return ingress.kind === 'upstream' && ingress.rest !== ''
    ? { ...call, path: `${ingress.base}/…` }
    : call
}

const NOBODY: CallParties = { keyId: null, keyName: null, upstream: '' }

/** Two rounds are enough, unless somebody is changing the key or the upstream all the time. */
const ROUNDS_MAX = 5

const KEY_CHANGES: Refusal = {
  code: 'storage_unavailable',
  message: 'The key or the upstream is being changed again and again. Try again in a moment.',
  retryAfterS: 1,
}

/** Of a call that goes through the steps again: nobody is shown it. */
const OPTION_REFUSED: Refusal = {
  code: 'upstream_error',
  message: 'The upstream refused what was put into the request. Try again in a moment.',
}

/** What is refused for what the key is, and not for what it has left. */
const OF_KEY: readonly ErrorCode[] = ['invalid_api_key', 'api_key_disabled', 'api_key_expired']

/** The secret that a remembered key was found by may lead to none by now: only the store tells. */
export function refusedAtAdmission(
  admission: Extract<AdmitResult, { ok: false }>,
  isRemembered: boolean,
  model: string | null,
): Refused {
  if (admission.changed) return new Refused(KEY_CHANGES, true, model)
  const { refusal, quota } = admission
  return new Refused(refusal, isRemembered && OF_KEY.includes(refusal.code), model, quota)
}
