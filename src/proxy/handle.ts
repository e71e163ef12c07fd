/**
 * One call, top to bottom: authenticate → enter → read → resolve → admit → exchange. Read this file first. Nothing before
 * the admission costs the key anything; every exit after it settles exactly once.
 */
import type { Units } from '../domain/limit.ts'
import { type AdmitOptions, createAdmit } from './admit.ts'
import { createExchange, type ExchangeOptions } from './exchange.ts'
import { createSocketExchange } from './exchange-socket.ts'
import { isSlot } from './in-flight.ts'
import { readClientCall } from './request/client-call.ts'
import { resolve } from './resolve.ts'
import {
  type Handle,
  inRounds,
  partiesOf,
  Refused,
  type RoundsOptions,
  refusedAtAdmission,
} from './rounds.ts'

export type HandleOptions = RoundsOptions & AdmitOptions & ExchangeOptions

export function createHandle(options: HandleOptions): Handle {
  const { inFlight, ledger, clock } = options
  const admit = createAdmit(options)
  const exchange = createExchange(options)
  const exchangeSocket = createSocketExchange(options)

  return inRounds(options, async (round) => {
    const { call, received, rules, upgrade, caller } = round
    if (!caller.ok) return new Refused(caller.refusal, false)

    const { key, raw, isRemembered } = caller
    const slot = inFlight.enter(key.seq, key.concurrency, round.slot)
    if (!isSlot(slot)) return new Refused(slot, isRemembered)
    round.slot = slot

    const { upstream } = partiesOf(round)
    const { ip, requestId } = call
    const foresee = (units: Units) =>
      ledger.foresee({ key, at: clock(), upstream, requestId, units })
    const asker = { key, raw, ip, slot, foresee }
    round.read ??= await readClientCall(received, asker, rules)
    if (!round.read.ok) return new Refused(round.read.refusal, false)

    const resolved = await resolve(received, round.read.clientCall, asker, rules)
    if (!resolved.ok) return new Refused(resolved.refusal, isRemembered)

    const { target } = resolved
    const client = received.request.signal
    const admission = await admit(call, { key, slot, client }, target)
    if (!admission.ok) return refusedAtAdmission(admission, isRemembered)
    round.slot = null

    const admitted = { call, received, key, target, admission, client }
    if (target.socketMs === null) return await exchange(admitted)
    return await exchangeSocket(admitted, { received, raw, upgrade })
  })
}
