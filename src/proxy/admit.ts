/**
 * Lets a call in: counts it to its upstream, then reserves, the last and only expensive check. What it gives back is the one
 * way out: `settle` ends the hold, frees the slot and reports the call, once.
 */

import type { Metered, Outcome } from '../domain/call.ts'
import type { Credential } from '../domain/key.ts'
import { type Units, withUsed } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { nextTurn } from '../lib/process/next-turn.ts'
import { type Report, reckon } from '../metering/reckon.ts'
import { chargeFor } from '../quota/charge-policy.ts'
import type { Hold, Ledger } from '../quota/ledger.ts'
import { type Call, type CallEnd, endCall, type ReportCall } from './call.ts'
import type { QuotaNote } from './headers/quota.ts'
import { setTraceHeaders } from './headers/request.ts'
import type { Slot } from './in-flight.ts'
import type { Target } from './resolve.ts'
import { type AdmittedOutbound, markAdmitted } from './send/outbound.ts'

/** How an admitted call ended. */
export type AdmittedEnd = Pick<
  CallEnd,
  'code' | 'status' | 'upstreamStatus' | 'bytesIn' | 'bytesOut'
> & {
  readonly outcome: Outcome
  /** What the upstream said that the call consumed. */
  readonly reported?: Report | undefined
}

export type Admitted = {
  readonly ok: true
  readonly slot: Slot
  /** The quota headers to send before settlement, assuming this status and this reported usage. */
  expect(status: number, reported?: Report): QuotaNote
  /** The request to send. To be asked right before it goes out, once. */
  outbound(): AdmittedOutbound
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
  readonly key: { readonly seq: number }
  readonly target: Target
  readonly admission: Admitted
  /** Aborts when the client leaves. */
  readonly client: AbortSignal
}

/** What of a target decides about its admission. */
type Order = Pick<Target, 'upstream' | 'outbound' | 'units' | 'chargeOn' | 'metering'>

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
    const crowded = slot.callUpstream(
      upstream ? name : outbound.destination.hostField,
      upstream?.settings.concurrency ?? null,
    )
    if (crowded) return { ok: false, changed: false, refusal: crowded, quota: null }
    // What follows a request in the same packet makes Bun close its connection in this very turn (1.4.5), as a second request
    // does that does not wait for its answer, or the end of the client's side. Such a call must cost nothing.
    await nextTurn()
    if (client.aborted) return { ok: false, changed: false, refusal: CLIENT_LEFT, quota: null }

    // Not when it arrived: its body may have taken longer than a window.
    const at = clock()
    const { requestId } = call
    const reservation = await ledger.reserve({ key, at, upstream: name, requestId, units })
    if (reservation.ok)
      return new Admission(options, { call, applicant, order, hold: reservation.hold, at })
    if (reservation.changed) return reservation
    const { refusal, balances } = reservation
    return { ok: false, changed: false, refusal, quota: { balances, at, cost: null, seq: null } }
  }
}

type Granted = {
  readonly call: Call
  readonly applicant: Applicant
  readonly order: Order
  readonly hold: Hold
  readonly at: number
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

  expect(status: number, reported?: Report): QuotaNote {
    const { hold, order } = this.#granted
    const { charged } = this.#chargeOf('answered', status, reported)
    const { units } = order
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

  settle(end: AdmittedEnd): Promise<QuotaNote> {
    this.#settled ??= this.#settle(end)
    return this.#settled
  }

  async #settle(end: AdmittedEnd): Promise<QuotaNote> {
    this.slot.release()
    const { call, applicant, order, hold } = this.#granted
    const { outcome, upstreamStatus, code, status, bytesIn, bytesOut } = end
    const { charged, metered } = this.#chargeOf(outcome, upstreamStatus, end.reported)
    const endedMs = performance.now()
    const latencyMs = endedMs - call.startedMs
    const upstreamMs = this.#sentMs === null ? null : endedMs - this.#sentMs
    const settlement = {
      outcome, status: upstreamStatus, charged, latencyMs: Math.round(latencyMs), bytesIn, bytesOut, metered,
    } // biome-ignore format: one row
    const balances = await this.#options.ledger.settle(hold, settlement)
    const parties = { keyId: applicant.key.id, upstream: order.upstream?.name ?? '' }
    const sums = { reserved: order.units, charged, latencyMs, upstreamMs, bytesIn, bytesOut }
    endCall(call, parties, { outcome, code, status, upstreamStatus, ...sums }, this.#options.report)
    return this.#note(balances, charged)
  }

  #chargeOf(
    outcome: Outcome,
    status: number | null,
    reported = NO_REPORT,
  ): { readonly charged: Units; readonly metered?: Metered } {
    const { chargeOn, units, metering } = this.#granted.order
    const due = chargeFor(chargeOn, units, outcome, status)
    return metering ? reckon(due, status, metering, reported) : { charged: due }
  }

  #note(balances: QuotaNote['balances'], charged: Units): QuotaNote {
    const { at, hold } = this.#granted
    return { balances, at, cost: charged.requests, seq: hold.seq }
  }
}

const NO_REPORT: Report = { usage: {}, units: null, writtenBytes: 0, failed: false }

/** Nobody is left to read it. */
export const CLIENT_LEFT: Refusal = {
  code: 'client_closed_request',
  message: 'The client left before the call was answered.',
}
