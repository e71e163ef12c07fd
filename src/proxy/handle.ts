/**
 * One call, top to bottom: authenticate → enter → read → resolve → admit → exchange. Read this file first. Nothing before
 * the admission costs the key anything; every exit after it settles exactly once.
 */
import { type AdmitOptions, createAdmit } from './admit.ts'
import { createExchange } from './exchange.ts'
import { createSocketExchange, type SocketExchangeOptions } from './exchange-socket.ts'
import { isSlot } from './in-flight.ts'
import { readClientCall } from './request/client-call.ts'
import { resolve } from './resolve.ts'
import {
  foreseeing,
  type Handle,
  inRounds,
  Refused,
  type RoundsOptions,
  refusedAtAdmission,
} from './rounds.ts'
import { socketRefusal } from './sockets/meter.ts'

export type HandleOptions = RoundsOptions & AdmitOptions & SocketExchangeOptions

export function createHandle(options: HandleOptions): Handle {
  const { inFlight } = options
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

    const foresee = foreseeing(options, round, key)
    const asker = { key, raw, ip: call.ip, slot, foresee, mayAsk: round.mayAsk }
    round.read ??= await readClientCall(received, asker, rules)
    if (!round.read.ok) return new Refused(round.read.refusal, false)

    const resolved = await resolve(received, round.read.clientCall, asker, rules)
    if (!resolved.ok) return new Refused(resolved.refusal, isRemembered, resolved.model)

    const { target, model } = resolved
    const spent = target.socketMs === null ? null : await socketRefusal(target, foresee)
    if (spent) return new Refused(spent, isRemembered)
    const client = received.request.signal
    const admission = await admit(call, { key, slot, client }, target)
    if (!admission.ok) return refusedAtAdmission(admission, isRemembered, model)
    round.slot = null

    const admitted = { call, received, key, target, admission, client }
    if (target.socketMs === null) return await exchange(admitted)
    return await exchangeSocket(admitted, { received, raw, upgrade })
  })
}
