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

const LEFT = {
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

/**
 * What follows a request in the same packet makes Bun close its connection in that very turn (1.4.5), as a second request does
 * that does not wait for its answer, or the end of the client's side. Such a call must cost nothing.
 */
function hasLeft(job: Job): boolean {
  return job.kind === 'reserve' && job.client !== undefined && job.client.aborted
}

/** The jobs of those who are still there; the others are answered. */
export function withoutLeft(jobs: readonly Job[]): readonly Job[] {
  if (!jobs.some(hasLeft)) return jobs
  for (const job of jobs) if (job.kind === 'reserve' && hasLeft(job)) job.resolve(LEFT)
  return jobs.filter((job) => !hasLeft(job))
}

/** Tells whoever asks that the store does not write at present. */
export function answerUnwritten(job: Job): void {
  if (job.kind === 'reserve') job.resolve(UNAVAILABLE)
  else if (job.kind === 'settle') job.resolve(job.hold.balances)
  else job.resolve(UNAVAILABLE.refusal)
}

export function claimAt(claim: Claim, at: number): Claim {
  if (at === claim.at) return claim
  const { key, upstream, target, requestId, units } = claim
  return { key, at, upstream, target, requestId, units }
}
