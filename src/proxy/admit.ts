/**
 * Lets a call in: a place among the calls in flight of its key and of its upstream, then the reservation, the last and only expensive check. What
 * it gives back is the one way out: `settle` ends the hold, frees the place and reports the call, once.
 */
import type { Refusal } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { type Report, reckon } from '../metering/reckon.ts'
import type { Credential } from '../modules/keys/store.ts'
import { chargeFor } from '../quota/charge-policy.ts'
import { type Ledger, type Metered, type Outcome, type Units, withUsed } from '../quota/ledger.ts'
import type { QuotaNote } from './answer/quota-headers.ts'
import { type Call, type CallReport, tell } from './call.ts'
import type { Target } from './match.ts'
import { createPlaces } from './places.ts'
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
type Order = Pick<Target, 'upstream' | 'units' | 'chargeOn' | 'metering'>

export type Admit = (call: Call, key: Credential, order: Order) => Promise<Admission>

export function createAdmit({ ledger, clock, report }: AdmitOptions): Admit {
  const ofKeys = createPlaces<number>()
  const ofUpstreams = createPlaces<string>()

  return async function admit(call, key, { upstream, units, chargeOn, metering }) {
    const { requestId } = call
    const name = upstream?.name ?? ''
    const places = upstream?.settings.concurrency ?? null
    if (!ofKeys.enter(key.seq, key.concurrency))
      return { ok: false, refusal: crowded('This key', key.concurrency), quota: null }
    if (!ofUpstreams.enter(name, places)) {
      ofKeys.leave(key.seq)
      return { ok: false, refusal: crowded('This upstream', places), quota: null }
    }
    const leave = () => {
      ofKeys.leave(key.seq)
      ofUpstreams.leave(name)
    }

    // Not when it arrived: its body may have taken longer than a window.
    const at = clock()
    const reservation = await ledger.reserve({ key, at, upstream: name, requestId, units })
    if (!reservation.ok) {
      leave()
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
      leave()
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

function crowded(who: string, limit: number | null): Refusal {
  return {
    code: 'concurrency_limit_exceeded',
    message: `${who} may have ${limit} calls in flight at once. Wait for one of them to end.`,
    ...(limit !== null && { limit }),
    remaining: 0,
    retryAfterS: 1,
  }
}
