/** What the ledger is asked for between two transactions. */
import type { Balance } from '../../domain/limit.ts'
import type { Claim, Hold, Reservation, Settlement } from '../../quota/ledger.ts'

export type ReserveJob = {
  readonly kind: 'reserve'
  readonly claim: Claim
  readonly resolve: (reservation: Reservation) => void
  answer?: Reservation
}
export type SettleJob = {
  readonly kind: 'settle'
  readonly hold: Hold
  readonly settlement: Settlement
  readonly resolve: (balances: readonly Balance[]) => void
  answer?: readonly Balance[]
}
export type Job = ReserveJob | SettleJob

/** The reservations of a batch by key, each in order of arrival. */
export function byKey(jobs: readonly Job[]): Iterable<ReserveJob[]> {
  const groups = new Map<number, ReserveJob[]>()
  for (const job of jobs) {
    if (job.kind !== 'reserve') continue
    const group = groups.get(job.claim.key.seq)
    if (group) group.push(job)
    else groups.set(job.claim.key.seq, [job])
  }
  return groups.values()
}

/** The answer to whoever asks for quota while the store fails. */
export const UNAVAILABLE = {
  ok: false,
  balances: [],
  refusal: {
    code: 'storage_unavailable',
    message:
      'The quota cannot be checked right now, so the call was not made and nothing was charged.',
    retryAfterS: 5,
  },
} as const satisfies Reservation
