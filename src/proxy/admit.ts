/**
 * Lets a call in: a place among the key's calls in flight, then the reservation, the last and only expensive check. What
 * it gives back is the one way out: `settle` ends the hold, frees the place and reports the call, once.
 */
import type { Refusal } from '../errors.ts'
import type { Credential } from '../modules/keys/store.ts'
import { type ChargeOn, chargeFor } from '../quota/charge-policy.ts'
import { type Ledger, type Outcome, type Units, withUsed } from '../quota/ledger.ts'
import { type Call, type CallReport, elapsedMs } from './call.ts'
import type { QuotaNote } from './quota-headers.ts'

type CallEnd = {
  readonly outcome: Outcome
  /** The upstream's status; null if it gave none. */
  readonly upstreamStatus: number | null
  readonly code: CallReport['code']
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export type Admitted = {
  readonly ok: true
  /** What the client may be told before the end is known, if the upstream answers with this status. */
  expect(status: number): QuotaNote
  /** Ends the call; only the first time counts. Resolves when that is written, with what is left. */
  settle(end: CallEnd): Promise<QuotaNote>
}

type Admission =
  | Admitted
  | { readonly ok: false; readonly refusal: Refusal; readonly quota: QuotaNote | null }

export type AdmitOptions = {
  readonly ledger: Ledger
  readonly chargeOn: ChargeOn
  /** Told once of every call, when it has ended. */
  readonly report: (call: CallReport) => void
}

export type Admit = (
  call: Call,
  key: Credential,
  upstream: string,
  units: Units,
) => Promise<Admission>

export function createAdmit({ ledger, chargeOn, report }: AdmitOptions): Admit {
  /** Calls in flight by key. Never stored: a count that outlives its calls locks a key out for ever. */
  const inFlight = new Map<number, number>()

  function leave(keySeq: number): void {
    const rest = (inFlight.get(keySeq) ?? 0) - 1
    if (rest > 0) inFlight.set(keySeq, rest)
    else inFlight.delete(keySeq)
  }

  return async function admit(call, key, upstream, units) {
    const { at, requestId } = call
    const others = inFlight.get(key.seq) ?? 0
    if (key.concurrency !== null && others >= key.concurrency) {
      return { ok: false, refusal: crowded(key.concurrency), quota: null }
    }
    inFlight.set(key.seq, others + 1)

    const reservation = await ledger.reserve({ key, at, upstream, requestId, units })
    if (!reservation.ok) {
      leave(key.seq)
      const { refusal, balances } = reservation
      return { ok: false, refusal, quota: { balances, at, cost: null, seq: null } }
    }

    const { hold } = reservation
    let settled: Promise<QuotaNote> | undefined

    async function settle(end: CallEnd): Promise<QuotaNote> {
      leave(key.seq)
      const { outcome, upstreamStatus, code, status, bytesIn, bytesOut } = end
      const charged = chargeFor(chargeOn, units, outcome, upstreamStatus)
      const cost = charged.requests
      const latencyMs = elapsedMs(call)
      const sums = { latencyMs, bytesIn, bytesOut }
      report({ requestId, ip: call.ip, keyId: key.id, outcome, code, status, cost, ...sums })
      const settlement = { outcome, status: upstreamStatus, charged, ...sums }
      return { balances: await ledger.settle(hold, settlement), at, cost, seq: hold.seq }
    }

    return {
      ok: true,
      expect(status) {
        const charged = chargeFor(chargeOn, units, 'answered', status)
        const balances = hold.balances.map((balance) =>
          withUsed(balance, balance.used - units[balance.unit] + charged[balance.unit]),
        )
        return { balances, at, cost: charged.requests, seq: hold.seq }
      },
      settle(end) {
        settled ??= settle(end)
        return settled
      },
    }
  }
}

function crowded(limit: number): Refusal {
  return {
    code: 'concurrency_limit_exceeded',
    message: `This key may have ${limit} calls in flight at once. Wait for one of them to end.`,
    limit,
    remaining: 0,
    retryAfterS: 1,
  }
}
