/** What the ledger is asked for between two transactions. */
import type { Balance } from '../../domain/limit.ts'
import type { Refusal } from '../../errors.ts'
import {
  CLIENT_LEFT,
  type Claim,
  type Hold,
  type Reservation,
  type Settlement,
} from '../../quota/ledger.ts'

export type ReserveJob = {
  readonly kind: 'reserve'
  /** With the instant at which it is charged. */
  claim: Claim
  /** Aborts when whoever asks has left. */
  readonly client: AbortSignal | undefined
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
export type RecordJob = {
  readonly kind: 'record'
  /** With the instant at which it is charged. */
  claim: Claim
  readonly settlement: Settlement
  readonly resolve: (refusal: Refusal | null) => void
  answer?: Refusal | null
}
export type Job = ReserveJob | SettleJob | RecordJob

/**
 * The reservations of a batch by key, each group in order of arrival. Callers that know a key by different revisions are
 * in groups of their own: at most one of these can be charged.
 */
export function byKey(jobs: readonly Job[]): ReserveJob[][] {
  const groups: ReserveJob[][] = []
  const groupOf = new Map<number, ReserveJob[]>()
  for (const job of jobs) {
    if (job.kind !== 'reserve') continue
    const { seq, revision } = job.claim.key
    const group = groupOf.get(seq)
    if (group?.[0]?.claim.key.revision === revision) {
      group.push(job)
      continue
    }
    const started = [job]
    groupOf.set(seq, started)
    groups.push(started)
  }
  return groups
}

export const LEFT = {
  ok: false,
  changed: false,
  balances: [],
  refusal: CLIENT_LEFT,
} as const satisfies Reservation

/** The answer to whoever asks for quota while the store fails. */
export const UNAVAILABLE = {
  ok: false,
  changed: false,
  balances: [],
  refusal: {
    code: 'storage_unavailable',
    message:
      'The quota cannot be checked right now, so the call was not made and nothing was charged.',
    retryAfterS: 5,
  },
} as const satisfies Reservation
