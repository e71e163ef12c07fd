/**
 * One call, top to bottom: authenticate → enter → read → resolve → admit → exchange. Read this file first. Nothing before
 * the admission costs the key anything; every exit after it settles exactly once.
 */
import type { Units } from '../domain/limit.ts'
import { type AdmitOptions, createAdmit } from './admit.ts'
import { OPTION_REFUSED } from './answer/option-refused.ts'
import { createExchange } from './exchange.ts'
import { createSocketExchange, type SocketExchangeOptions } from './exchange-socket.ts'
import { isSlot } from './in-flight.ts'
import { readClientCall } from './request/client-call.ts'
import { createUsageWishes } from './request/usage-wishes.ts'
import { resolve } from './resolve.ts'
import {
  type Handle,
  inRounds,
  OPTION_REFUSED_AGAIN,
  partiesOf,
  Refused,
  type RoundsOptions,
  refusedAtAdmission,
} from './rounds.ts'
import { socketRefusal } from './sockets/meter.ts'

export type HandleOptions = RoundsOptions & AdmitOptions & SocketExchangeOptions

export function createHandle(options: HandleOptions): Handle {
  const { inFlight, ledger, clock, leaving } = options
  const admit = createAdmit(options)
  const exchange = createExchange(options)
  const exchangeSocket = createSocketExchange(options)
  const wishes = createUsageWishes()

  return inRounds(options, async (round) => {
    const { call, received, rules, upgrade, caller } = round
    if (!caller.ok) return new Refused(caller.refusal, false)

    const { key, raw, isRemembered } = caller
    let slot = inFlight.enter(key.seq, key.concurrency, round.slot)
    if (!isSlot(slot) && leaving.giveWay((call) => call.key === key.seq))
      slot = inFlight.enter(key.seq, key.concurrency, round.slot)
    if (!isSlot(slot)) return new Refused(slot, isRemembered)
    round.slot = slot

    const { upstream } = partiesOf(round)
    const { ip, requestId } = call
    const foresee = (units: Units) =>
      ledger.foresee({ key, at: clock(), upstream, requestId, units })
    const mayAsk = round.refusedWish === null ? wishes.mayAsk : never
    const asker = { key, raw, ip, slot, foresee, mayAsk }
    round.read ??= await readClientCall(received, asker, rules)
    if (!round.read.ok) return new Refused(round.read.refusal, false)

    const resolved = await resolve(received, round.read.clientCall, asker, rules)
    if (!resolved.ok) return new Refused(resolved.refusal, isRemembered)

    const { target } = resolved
    const spent = target.socketMs === null ? null : await socketRefusal(target, foresee)
    if (spent) return new Refused(spent, isRemembered)
    const client = received.request.signal
    const admission = await admit(call, { key, slot, client }, target)
    if (!admission.ok) return refusedAtAdmission(admission, isRemembered)
    round.slot = null

    const admitted = { call, received, key, target, admission, client }
    if (target.socketMs !== null) return await exchangeSocket(admitted, { received, raw, upgrade })
    const answer = await exchange(admitted)
    if (answer === OPTION_REFUSED) {
      // The charge was given back with the request that it was for: the next one is charged anew.
      round.slot = slot
      round.refusedWish = target.wish
      return new Refused(OPTION_REFUSED_AGAIN, true)
    }
    if (round.refusedWish !== null && answer.ok) wishes.noteRefused(round.refusedWish)
    return answer
  })
}

function never(): boolean {
  return false
}
