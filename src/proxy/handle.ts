/**
 * One call, top to bottom: authenticate → match → admit → forward → meter → settle. Nothing before the admission costs
 * the key anything; every exit after it settles exactly once.
 */

import type { FindCredential } from '../domain/key.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import type { Sender } from '../http/request/sender.ts'
import type { Clock } from '../lib/clock.ts'
import { type AdmitOptions, createAdmit } from './admit.ts'
import { refused } from './answer/respond.ts'
import { authenticate } from './authenticate.ts'
import { type Call, type CallReport, tell } from './call.ts'
import { createExchange, type ExchangeOptions } from './exchange.ts'
import { createSocketExchange } from './exchange-socket.ts'
import type { QuotaNote } from './headers/quota.ts'
import { type InFlight, isSlot } from './in-flight.ts'
import type { Ingress } from './ingress.ts'
import { type ResolveOptions, resolve } from './resolve.ts'
import { isUpgrade, type Upgrade } from './send/websocket.ts'
import type { Tracer } from './trace.ts'

export type HandleOptions = AdmitOptions &
  ExchangeOptions & {
    readonly find: FindCredential
    readonly inFlight: InFlight
    readonly clock: Clock
    /** Asked once a call, which ends under the rules that it began with. */
    readonly rules: () => ResolveOptions
    /** Null if nobody traces. */
    readonly tracer: Tracer | null
  }

/** Who was refused, as far as that is known. */
type Refused = Pick<CallReport, 'keyId' | 'upstream'>

/** Undefined if the request has become a WebSocket, which is answered already. */
export type Handle = (
  request: Request,
  ingress: Ingress,
  sender: Sender,
  upgrade: Upgrade,
) => Promise<Response | undefined>

/** Rejects only with a fault, such as a store that fails while the key is looked up. */
export function createHandle(options: HandleOptions): Handle {
  const admit = createAdmit(options)
  const carry = createExchange(options)
  const carrySocket = createSocketExchange(options)

  return async function handle(request, ingress, { ip, requestId }, upgrade) {
    const trace = options.tracer?.start(request, ingress) ?? null
    const at = options.clock()
    const call: Call = { requestId, ip, at, startedMs: performance.now(), trace }
    try {
      const caller = await authenticate(request.headers, options.find, at)
      if (!caller.ok) return refuse(call, { keyId: null, upstream: '' }, caller.refusal)
      const { key, raw } = caller
      const upstream = ingress.kind === 'upstream' ? ingress.upstream.name : ''
      const who = { keyId: key.id, upstream }

      const slot = options.inFlight.enter(key.seq, key.concurrency)
      if (!isSlot(slot)) return refuse(call, who, slot)
      let isAdmitted = false
      try {
        const foresee = (units: Units) =>
          options.ledger.foresee({ key, at: options.clock(), upstream, requestId, units })
        const matched = await resolve(
          request,
          ingress,
          { key, raw, ip, slot, foresee },
          options.rules(),
        )
        if (!matched.ok) return refuse(call, who, matched.refusal)
        const { target } = matched
        const socketMs = isUpgrade(request) ? (target.upstream?.settings.websocketMs ?? 0) : null
        if (socketMs === 0) return refuse(call, who, NO_WEBSOCKETS)

        const client = request.signal
        const admission = await admit(call, { key, slot, client }, target)
        if (!admission.ok) return refuse(call, who, admission.refusal, admission.quota)
        isAdmitted = true

        const admitted = { call, key, target, admission, client }
        return socketMs === null
          ? await carry(admitted)
          : await carrySocket(admitted, { request, raw, lifeMs: socketMs, upgrade })
      } finally {
        // From the admission on, its settlement does this.
        if (!isAdmitted) slot.release()
      }
    } catch (fault) {
      trace?.fail()
      throw fault
    }
  }

  function refuse(call: Call, who: Refused, refusal: Refusal, quota?: QuotaNote | null) {
    const { requestId, ip } = call
    const response = refused(refusal, requestId, quota ?? undefined)
    const { code } = refusal
    const latencyMs = performance.now() - call.startedMs
    const end = { outcome: 'refused', code, status: response.status, latencyMs } as const
    tell(call, { requestId, ip, ...who, ...end, ...NOTHING_SENT }, options.report)
    return response
  }
}

const NOTHING_SENT = {
  upstreamStatus: null,
  upstreamMs: null,
  reserved: NO_UNITS,
  charged: NO_UNITS,
  bytesIn: 0,
  bytesOut: 0,
} as const

const NO_WEBSOCKETS: Refusal = {
  code: 'target_not_allowed',
  message: 'This target is not open for WebSockets.',
}
