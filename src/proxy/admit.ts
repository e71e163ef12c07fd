/**
 * Lets a call in: counts it to its upstream, then reserves, the last and only expensive check. What it gives back is the one
 * way out: `settle` ends the hold, frees the slot and reports the call, once.
 */

import type { Metered, Outcome } from '../domain/call.ts'
import type { Credential } from '../domain/key.ts'
import { UNKNOWN_KEY } from '../domain/key-usability.ts'
import { type Units, withUsed } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { nextTurn } from '../lib/process/next-turn.ts'
import { type Report, reckon } from '../metering/reckon.ts'
import { chargeFor } from '../quota/charge-policy.ts'
import type { Ledger } from '../quota/ledger.ts'
import { CLIENT_LEFT } from './answer/failures.ts'
import { type Call, type CallReport, tell } from './call.ts'
import type { QuotaNote } from './headers/quota.ts'
import type { Slot } from './in-flight.ts'
import type { Target } from './resolve.ts'
import type { Outbound } from './send/forward.ts'

type CallEnd = {
  readonly outcome: Outcome
  /** The upstream's status; null if it gave none. */
  readonly upstreamStatus: number | null
  readonly code: CallReport['code']
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** What the upstream said that the call consumed. */
  readonly reported?: Report
}

export type Admitted = {
  readonly ok: true
  readonly slot: Slot
  /** What the client may be told before the end is written, if the upstream answers with this status and reports this. */
  expect(status: number, reported?: Report): QuotaNote
  /** Must be told right before the request goes to the upstream. */
  sending(outbound: Outbound): void
  /** Ends the call; only the first time counts. Resolves when that is written, with what is left. */
  settle(end: CallEnd): Promise<QuotaNote>
}

type Admission =
  | Admitted
  | { readonly ok: false; readonly refusal: Refusal; readonly quota: QuotaNote | null }

export type AdmitOptions = {
  readonly ledger: Ledger
  readonly clock: Clock
  /** Told once of every call, when it has ended. */
  readonly report: (call: CallReport) => void
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

export type Admit = (call: Call, applicant: Applicant, order: Order) => Promise<Admission>

export function createAdmit({ ledger, clock, report }: AdmitOptions): Admit {
  return async function admit(call, { key, slot, client }, order) {
    const { upstream, units, chargeOn, metering, outbound } = order
    const { requestId } = call
    const name = upstream?.name ?? ''
    const crowded = slot.callUpstream(
      upstream ? name : outbound.destination.url.host,
      upstream?.settings.concurrency ?? null,
    )
    if (crowded) return { ok: false, refusal: crowded, quota: null }
    // What follows a request in the same packet makes Bun close its connection in this very turn (1.4.5), as a second request
    // does that does not wait for its answer. Such a call must cost nothing.
    await nextTurn()
    if (client.aborted) return { ok: false, refusal: CLIENT_LEFT, quota: null }

    // Not when it arrived: its body may have taken longer than a window.
    const at = clock()
    const reservation = await ledger.reserve({ key, at, upstream: name, requestId, units })
    if (!reservation.ok) {
      if (reservation.changed) return { ok: false, refusal: UNKNOWN_KEY, quota: null }
      const { refusal, balances } = reservation
      return { ok: false, refusal, quota: { balances, at, cost: null, seq: null } }
    }

    const { hold } = reservation
    let settled: Promise<QuotaNote> | undefined
    let sentMs: number | null = null

    function chargeOf(
      outcome: Outcome,
      status: number | null,
      reported = NO_REPORT,
    ): { charged: Units; metered?: Metered } {
      const due = chargeFor(chargeOn, units, outcome, status)
      return metering ? reckon(due, status, metering, reported) : { charged: due }
    }

    async function settle(end: CallEnd): Promise<QuotaNote> {
      slot.release()
      const { outcome, upstreamStatus, code, status, bytesIn, bytesOut } = end
      const { charged, metered } = chargeOf(outcome, upstreamStatus, end.reported)
      const endedMs = performance.now()
      const latencyMs = endedMs - call.startedMs
      const upstreamMs = sentMs === null ? null : endedMs - sentMs
      const who = { requestId, ip: call.ip, keyId: key.id, upstream: name }
      const bytes = { bytesIn, bytesOut }
      const sums = { reserved: units, charged, latencyMs, upstreamMs, ...bytes }
      tell(call, { ...who, outcome, code, status, upstreamStatus, ...sums }, report)
      const settlement = {
        ...{ outcome, status: upstreamStatus, charged, latencyMs: Math.round(latencyMs), ...bytes },
        ...(metered && { metered }),
      }
      const balances = await ledger.settle(hold, settlement)
      return { balances, at, cost: charged.requests, seq: hold.seq }
    }

    return {
      ok: true,
      slot,
      expect(status, reported) {
        const { charged } = chargeOf('answered', status, reported)
        const balances = hold.balances.map((balance) =>
          withUsed(balance, balance.used - units[balance.unit] + charged[balance.unit]),
        )
        return { balances, at, cost: charged.requests, seq: hold.seq }
      },
      sending(outbound) {
        sentMs = performance.now()
        call.trace?.send(outbound)
      },
      settle(end) {
        settled ??= settle(end)
        return settled
      },
    }
  }
}

const NO_REPORT: Report = { usage: null, units: null }
