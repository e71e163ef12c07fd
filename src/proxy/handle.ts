/**
 * One call, top to bottom: authenticate → read → resolve → admit → exchange. Nothing before the admission costs the key
 * anything; every exit after it settles exactly once. What is remembered of a key may be out of date, so a call that would
 * be refused for it goes through the same steps again with the key as the store has it.
 */

import type { Credential } from '../domain/key.ts'
import type { Units } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import type { Sender } from '../http/request/sender.ts'
import { type AdmitOptions, createAdmit } from './admit.ts'
import { refused } from './answer/respond.ts'
import { authenticate, authenticateAnew } from './authenticate.ts'
import { type Call, type CallParties, endCall, refusedEnd } from './call.ts'
import { createExchange, type ExchangeOptions } from './exchange.ts'
import { createSocketExchange } from './exchange-socket.ts'
import type { QuotaNote } from './headers/quota.ts'
import { type InFlight, isSlot, type Slot } from './in-flight.ts'
import type { Ingress } from './ingress.ts'
import type { KeyMemory } from './key-memory.ts'
import { type ClientCallRead, type Received, readClientCall } from './request/client-call.ts'
import { type ResolveOptions, resolve } from './resolve.ts'
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
  const { keys, inFlight, clock, ledger, tracer } = options
  const admit = createAdmit(options)
  const exchange = createExchange(options)
  const exchangeSocket = createSocketExchange(options)

  return async function handle(received, { ip, requestId }, upgrade) {
    const { request, fields, ingress } = received
    const rules = options.rules()
    const trace = tracer?.start(request, ingress) ?? null
    const call: Call = { requestId, ip, at: clock(), startedMs: performance.now(), trace }
    let slot: Slot | null = null
    let read: ClientCallRead | null = null
    try {
      let caller = await authenticate(fields, keys, call.at)
      for (let round = 0; ; round++, caller = await authenticateAnew(fields, keys, call.at)) {
        if (!caller.ok) return refuse(call, NOBODY, caller.refusal)
        const { key, raw, isRemembered } = caller
        const parties = partiesOf(key, ingress)

        const entered = inFlight.enter(key.seq, key.concurrency, slot)
        if (!isSlot(entered) && isRemembered) continue
        if (!isSlot(entered)) return refuse(call, parties, entered)
        slot = entered

        const foresee = (units: Units) =>
          ledger.foresee({ key, at: clock(), upstream: parties.upstream, requestId, units })
        const reader = { key, raw, ip, slot, foresee }
        read ??= await readClientCall(received, reader, rules)
        if (!read.ok) return refuse(call, parties, read.refusal)
        const resolved = await resolve(received, read.clientCall, reader, rules)
        if (!resolved.ok && isRemembered) continue
        if (!resolved.ok) return refuse(call, parties, resolved.refusal)

        const { target } = resolved
        const client = request.signal
        const admission = await admit(call, { key, slot, client }, target)
        if (!admission.ok && admission.changed && round < ROUNDS_MAX) continue
        if (!admission.ok && admission.changed) return refuse(call, parties, KEY_CHANGES)
        if (!admission.ok) return refuse(call, parties, admission.refusal, admission.quota)

        slot = null // The settlement gives it back from here on.
        const admitted = { call, key, target, admission, client }
        return target.socketMs === null
          ? await exchange(admitted)
          : await exchangeSocket(admitted, { request, raw, lifeMs: target.socketMs, upgrade })
      }
    } catch (fault) {
      trace?.fail()
      throw fault
    } finally {
      slot?.release()
    }
  }

  function refuse(call: Call, parties: CallParties, refusal: Refusal, quota?: QuotaNote | null) {
    const response = refused(refusal, call.requestId, quota)
    const latencyMs = performance.now() - call.startedMs
    endCall(call, parties, refusedEnd(refusal.code, response.status, latencyMs), options.report)
    return response
  }
}

const NOBODY: CallParties = { keyId: null, upstream: '' }

function partiesOf(key: Credential, ingress: Ingress): CallParties {
  return { keyId: key.id, upstream: ingress.kind === 'upstream' ? ingress.upstream.name : '' }
}

/** How often a call goes through the steps again because its key is being changed. */
const ROUNDS_MAX = 5

const KEY_CHANGES: Refusal = {
  code: 'storage_unavailable',
  message: 'The key is being changed again and again. Try again in a moment.',
  retryAfterS: 1,
}
