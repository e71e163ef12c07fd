/**
 * One call, top to bottom: authenticate → read → resolve → admit → exchange. Nothing before the admission costs the key
 * anything; every exit after it settles exactly once. What is remembered of a key may be out of date, so a call that would
 * be refused for it goes through the same steps again with the key as the store has it.
 */

import type { Credential } from '../domain/key.ts'
import type { Units } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import type { Sender } from '../http/request/sender.ts'
import { type AdmitOptions, type Admitted, createAdmit } from './admit.ts'
import { refused } from './answer/respond.ts'
import { type Authentication, authenticate, authenticateAnew } from './authenticate.ts'
import { type Call, type CallParties, endCall, refusedEnd } from './call.ts'
import { createExchange, type ExchangeOptions } from './exchange.ts'
import { createSocketExchange } from './exchange-socket.ts'
import type { QuotaNote } from './headers/quota.ts'
import { type InFlight, isSlot, type Slot } from './in-flight.ts'
import type { Ingress } from './ingress.ts'
import type { KeyMemory } from './key-memory.ts'
import { type ClientCallRead, type Received, readClientCall } from './request/client-call.ts'
import { type ResolveOptions, resolve, type Target } from './resolve.ts'
import type { Upgrade } from './send/websocket.ts'
import type { Tracer } from './trace.ts'

export type HandleOptions = AdmitOptions &
  ExchangeOptions & {
    readonly keys: KeyMemory
    readonly inFlight: InFlight
    /** Asked once a call, which ends under the rules that it began with. */
    readonly rules: () => ResolveOptions
    /** Null if nobody traces. */
    readonly tracer: Tracer | null
  }

/** Undefined if the request has become a WebSocket, which is answered already. */
export type Handle = (
  received: Received,
  sender: Sender,
  upgrade: Upgrade,
) => Promise<Response | undefined>

/** Rejects only with a fault, such as a store that fails while the key is looked up. */
export function createHandle(options: HandleOptions): Handle {
  const { keys, clock, tracer } = options
  const prepare = createPrepare(options)
  const exchange = createExchange(options)
  const exchangeSocket = createSocketExchange(options)

  return async function handle(received, { ip, requestId }, upgrade) {
    const { request, fields, ingress } = received
    const trace = tracer?.start(request, ingress) ?? null
    const call: Call = { requestId, ip, at: clock(), startedMs: performance.now(), trace }
    const progress: Progress = { rules: options.rules(), slot: null, read: null }
    try {
      let caller = await authenticate(fields, keys, call.at)
      for (let round = 0; ; round++, caller = await authenticateAnew(fields, keys, call.at)) {
        if (!caller.ok) return refuse(call, NOBODY, caller.refusal, null)
        const prepared = await prepare(call, received, caller, progress)
        if (!prepared.ok && prepared.isStale && round < ROUNDS_MAX) continue
        const { key, raw } = caller
        if (!prepared.ok)
          return refuse(call, partiesOf(key, ingress), prepared.refusal, prepared.quota)
        const { target, admission } = prepared
        const admitted = { call, key, target, admission, client: request.signal }
        return target.socketMs === null
          ? await exchange(admitted)
          : await exchangeSocket(admitted, { request, raw, lifeMs: target.socketMs, upgrade })
      }
    } catch (fault) {
      trace?.fail()
      throw fault
    } finally {
      progress.slot?.release()
    }
  }

  function refuse(
    call: Call,
    parties: CallParties,
    refusal: Refusal,
    quota: QuotaNote | null,
  ): Response {
    const response = refused(refusal, call.requestId, quota)
    const latencyMs = performance.now() - call.startedMs
    endCall(call, parties, refusedEnd(refusal.code, response.status, latencyMs), options.report)
    return response
  }
}

/** What a call has done already, if it goes through the steps again. */
type Progress = {
  readonly rules: ResolveOptions
  /** Null before it has one, and after the admission, whose settlement gives it back. */
  slot: Slot | null
  read: ClientCallRead | null
}

type Prepared =
  | { readonly ok: true; readonly target: Target; readonly admission: Admitted }
  | {
      readonly ok: false
      readonly refusal: Refusal
      readonly quota: QuotaNote | null
      /** Whether the key may be another one in the store, so that the refusal may be wrong. */
      readonly isStale: boolean
    }

/** All steps up to the admission. */
function createPrepare(options: HandleOptions) {
  const { inFlight, clock, ledger } = options
  const admit = createAdmit(options)

  return async function prepare(
    call: Call,
    received: Received,
    { key, raw, isRemembered: isStale }: Extract<Authentication, { ok: true }>,
    progress: Progress,
  ): Promise<Prepared> {
    const slot = inFlight.enter(key.seq, key.concurrency, progress.slot)
    if (!isSlot(slot)) return { ok: false, refusal: slot, quota: null, isStale }
    progress.slot = slot

    const { ip, requestId } = call
    const { upstream } = partiesOf(key, received.ingress)
    const foresee = (units: Units) =>
      ledger.foresee({ key, at: clock(), upstream, requestId, units })
    const caller = { key, raw, ip, slot, foresee }
    progress.read ??= await readClientCall(received, caller, progress.rules)
    const { read } = progress
    if (!read.ok) return { ...read, quota: null, isStale: false }
    const resolved = await resolve(received, read.clientCall, caller, progress.rules)
    if (!resolved.ok) return { ...resolved, quota: null, isStale }

    const { target } = resolved
    const admission = await admit(call, { key, slot, client: received.request.signal }, target)
    if (admission.ok) {
      progress.slot = null
      return { ok: true, target, admission }
    }
    return admission.changed ? KEY_CHANGES : { ...admission, isStale: false }
  }
}

const NOBODY: CallParties = { keyId: null, upstream: '' }

function partiesOf(key: Credential, ingress: Ingress): CallParties {
  return { keyId: key.id, upstream: ingress.kind === 'upstream' ? ingress.upstream.name : '' }
}

/** How often a call goes through the steps again because its key is being changed. */
const ROUNDS_MAX = 5

const KEY_CHANGES: Prepared = {
  ok: false,
  refusal: {
    code: 'storage_unavailable',
    message: 'The key is being changed again and again. Try again in a moment.',
    retryAfterS: 1,
  },
  quota: null,
  isStale: true,
}
