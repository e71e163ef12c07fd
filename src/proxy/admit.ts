/**
 * Lets a call in: counts it to its upstream, then reserves, the last and only expensive check. What it gives back is the one
 * way out: `settle` ends the hold, frees the slot and reports the call, once.
 */

import type { Outcome } from '../domain/call.ts'
import type { Credential } from '../domain/key.ts'
import { NO_UNITS, type Units, withUsed } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { NO_REPORT, type Report, reckon } from '../metering/reckon.ts'
import { chargeFor } from '../quota/charge-policy.ts'
import type { Hold, Ledger } from '../quota/ledger.ts'
import type { Reckoned } from './answer/deferred.ts'
import { type Call, type CallEnd, endCall, type ReportCall } from './call.ts'
import type { QuotaNote } from './headers/quota.ts'
import { setTraceHeaders } from './headers/request.ts'
import type { Slot } from './in-flight.ts'
import type { Received } from './request/client-call.ts'
import type { Target } from './resolve.ts'
import { type AdmittedOutbound, markAdmitted } from './send/outbound.ts'

/** How an admitted call ended. */
export type AdmittedEnd = Pick<
  CallEnd,
  'code' | 'status' | 'upstreamStatus' | 'bytesIn' | 'bytesOut'
> & {
  readonly outcome: Outcome
  /** What was seen of the call's work; absent if nothing looked. */
  readonly reported?: Report | undefined
  /** Whether the answer was read to its end, though perhaps nobody got it any more. */
  readonly isWhole?: boolean
  /** Whether the upstream says that the operator's account has no more. */
  readonly lacksQuota?: boolean
}

export type Admitted = {
  readonly ok: true
  readonly slot: Slot
  /**
   * The quota headers to send before settlement, assuming that an answer of this status ends well. What a successful one
   * consumed is what was reserved, unless it was seen already.
   */
  expect(status: number, reported?: Report, lacksQuota?: boolean): QuotaNote
  /** The request to send. To be asked right before it goes out, once. */
  outbound(): AdmittedOutbound
  /**
   * Gives back all that was charged for a request that is to go out again, and is charged anew then. The slot stays. Nothing
   * is reported: the call goes on, and is reported once, when it ends.
   */
  withdraw(status: number, bytesIn: number): Promise<QuotaNote>
  /** Ends the call; only the first time counts. Resolves with what is left when that is written. */
  settle(end: AdmittedEnd): Promise<QuotaNote>
}

export type AdmitResult =
  | Admitted
  /** The key is not what the caller knows of it; nothing was charged. */
  | { readonly ok: false; readonly changed: true }
  | {
      readonly ok: false
      readonly changed: false
      readonly refusal: Refusal
      readonly quota: QuotaNote | null
    }

export type AdmitOptions = {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly report: ReportCall
}

export type AdmittedCall = {
  readonly call: Call
  readonly key: Pick<Credential, 'seq' | 'id' | 'name' | 'revision' | 'scope'>
  readonly received: Received
  readonly target: Target
  readonly admission: Admitted
  /** Aborts when the client leaves. */
  readonly client: AbortSignal
}

/** What of a target decides about its admission. */
type Order = Pick<Target, 'upstream' | 'outbound' | 'units' | 'chargeOn' | 'metering' | 'deferred'>

/** Who asks. The slot stays the caller's until the call is admitted. */
export type Applicant = {
  readonly key: Credential
  readonly slot: Slot
  /** Aborts when the client leaves. */
  readonly client: AbortSignal
}

export type Admit = (call: Call, applicant: Applicant, order: Order) => Promise<AdmitResult>

export function createAdmit(options: AdmitOptions): Admit {
  const { ledger, clock } = options
  return async function admit(call, applicant, order) {
    const { key, slot, client } = applicant
    const { upstream, units, outbound } = order
    const name = upstream?.name ?? ''
    const called = upstream ? name : outbound.destination.hostField
    const concurrency = upstream?.settings.concurrency ?? null
    const crowded = slot.callUpstream(called, concurrency)
    if (crowded) return { ok: false, changed: false, refusal: crowded, quota: null }
    // Not when it arrived: its body may have taken longer than a window.
    const at = clock()
    const { requestId } = call
    const revision = upstream?.revision ?? null
    const target =
      revision === null && concurrency === null
        ? undefined
        : { name: called, revision, concurrency }
    const claim = { key, at, upstream: name, target, requestId, units }
    const reservation = await ledger.reserve(claim, client)
    if (reservation.ok)
      return new Admission(options, { call, applicant, order, hold: reservation.hold })
    if (reservation.changed) return reservation
    const { refusal, balances } = reservation
    const quota = { balances, at: reservation.at ?? at, cost: null, seq: null }
    return { ok: false, changed: false, refusal, quota }
  }
}

type Granted = {
  readonly call: Call
  readonly applicant: Applicant
  readonly order: Order
  readonly hold: Hold
}

/** A class, since one is made for every call: its methods are shared, where closures would be made anew. */
class Admission implements Admitted {
  readonly ok = true
  readonly slot: Slot
  readonly #options: AdmitOptions
  readonly #granted: Granted
  #sentMs: number | null = null
  #settled: Promise<QuotaNote> | undefined

  constructor(options: AdmitOptions, granted: Granted) {
    this.slot = granted.applicant.slot
    this.#options = options
    this.#granted = granted
  }

  expect(status: number, reported?: Report, lacksQuota = false): QuotaNote {
    const { hold, order } = this.#granted
    const { units } = order
    const isOpen = reported === undefined && status < 300
    const { charged } = isOpen
      ? { charged: units }
      : this.#chargeOf({ outcome: 'answered', upstreamStatus: status, reported, lacksQuota })
    const balances =
      charged === units
        ? hold.balances
        : hold.balances.map((balance) =>
            withUsed(balance, balance.used - units[balance.unit] + charged[balance.unit]),
          )
    return this.#note(balances, charged)
  }

  outbound(): AdmittedOutbound {
    const { call, order } = this.#granted
    const outbound = markAdmitted(order.outbound)
    this.#sentMs = performance.now()
    if (call.trace) setTraceHeaders(outbound.headers, call.trace.send(outbound))
    return outbound
  }

  withdraw(status: number, bytesIn: number): Promise<QuotaNote> {
    this.#settled ??= this.#withdraw(status, bytesIn)
    return this.#settled
  }

  async #withdraw(status: number, bytesIn: number): Promise<QuotaNote> {
    const latencyMs = Math.round(performance.now() - this.#granted.call.startedMs)
    const end = { outcome: 'answered', status, charged: NO_UNITS, latencyMs } as const
    const settlement = { ...end, bytesIn, bytesOut: 0 }
    const balances = await this.#options.ledger.settle(this.#granted.hold, settlement)
    return this.#note(balances, NO_UNITS)
  }

  settle(end: AdmittedEnd): Promise<QuotaNote> {
    this.#settled ??= this.#settle(end)
    return this.#settled
  }

  async #settle(end: AdmittedEnd): Promise<QuotaNote> {
    this.slot.release()
    const { call, applicant, order, hold } = this.#granted
    const { outcome, upstreamStatus, code, status, bytesIn, bytesOut } = end
    const reckoned = this.#chargeOf(end)
    const { metered, object } = reckoned
    const charged =
      object === undefined ? reckoned.charged : await this.#chargeOnce(reckoned, object)
    const endedMs = performance.now()
    const latencyMs = endedMs - call.startedMs
    const upstreamMs = this.#sentMs === null ? null : endedMs - this.#sentMs
    const settlement = {
      outcome, status: upstreamStatus, charged, latencyMs: Math.round(latencyMs), bytesIn, bytesOut, metered, object,
    } // biome-ignore format: one row
    const balances = await this.#options.ledger.settle(hold, settlement)
    const { id: keyId, name: keyName } = applicant.key
    const parties = { keyId, keyName, upstream: order.upstream?.name ?? '' }
    const model = metered?.model ?? order.metering?.model ?? null
    const sums = { reserved: order.units, charged, latencyMs, upstreamMs, bytesIn, bytesOut }
    const estimated = metered?.estimated ?? false
    const ended = { outcome, code, status, upstreamStatus, model, estimated }
    endCall(call, parties, { ...ended, ...sums }, this.#options.report)
    return this.#note(balances, charged)
  }

  #chargeOf({
    outcome,
    upstreamStatus: status,
    isWhole = outcome === 'answered',
    reported = NO_REPORT,
    lacksQuota = false,
  }: Omit<AdmittedEnd, 'code' | 'status' | 'bytesIn' | 'bytesOut'>): Reckoned {
    const { chargeOn, units, metering, upstream, deferred } = this.#granted.order
    const { failed } = reported
    const ended = { outcome, status, failed, isNamed: upstream !== null, lacksQuota }
    const due = chargeFor(chargeOn, units, ended)
    const reckoned = metering
      ? reckon(due, { status, isWhole }, metering, reported)
      : { charged: due }
    return deferred ? deferred.settle(reckoned) : reckoned
  }

  /** The ledger looks again, in the transaction that charges: two calls may read the same report at once. */
  async #chargeOnce({ charged }: Reckoned, object: string): Promise<Units> {
    const upstream = this.#granted.order.upstream?.name ?? ''
    const isCharged = await this.#options.ledger.isCharged(upstream, object)
    return isCharged ? { ...charged, tokens: 0, cost: 0 } : charged
  }

  #note(balances: QuotaNote['balances'], charged: Units): QuotaNote {
    const { hold } = this.#granted
    // Of the clock by which its windows end, which need not be the one here.
    return { balances, at: hold.claim.at, cost: charged.requests, seq: hold.seq }
  }
}
