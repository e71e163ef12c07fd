/** Turns what `quota_write` answers into the answers of the jobs. Pure. */
import { UNKNOWN_KEY, whyUnusable } from '../../../domain/key.ts'
import { type Balance, leastOf } from '../../../domain/limit.ts'
import type { Refusal } from '../../../errors.ts'
import { type Account, type Bucket, balance, limitState } from '../../../quota/account.ts'
import { atConcurrency } from '../../../quota/concurrency.ts'
import { decide } from '../../../quota/decide.ts'
import type { Claim, Reservation } from '../../../quota/ledger.ts'
import { isSliding, periodAt } from '../../../quota/window.ts'
import type { SettleJob } from '../../ledger/jobs.ts'
import { balancesAfter } from '../../ledger/settle.ts'
import type { BucketView, ClaimAnswer, Written } from './batch.ts'
import { isWithin } from './known-limits.ts'
import type { AskJob, Plan, PlannedLimit } from './plan.ts'

/** Sets the answers of all jobs but of those that have to be asked again, which it returns. */
export function answer(
  { settled, asked, groupOf, limitsOf, work }: Plan,
  written: Written,
): AskJob[] {
  answerSettled(settled, written)
  const counters = countersOf(written)
  const groups = work.groups.map(({ first, at }, g) => {
    const limits = (limitsOf[g] ?? []).map((limit) => presentOf(limit, at ?? written.now))
    return seenLimits(limits, first - 1, counters, written)
  })
  const again: AskJob[] = []
  asked.forEach((job, i) => {
    const said = written.answers?.[i] ?? 'again'
    const limits = groups[groupOf[i] ?? -1] ?? []
    if (said === 'again' || (job.kind === 'record' && said === 'changed')) again.push(job)
    else if (job.kind === 'record') job.answer = refusalAfter(limits, counters, job.claim)
    else job.answer = reservationOf(limits, counters, job.claim, said, written.seqs?.[i] ?? 0)
  })
  return again
}

function answerSettled(settled: readonly SettleJob[], { ended, counters, used }: Written): void {
  const usedBy = new Map(counters.map((id, i) => [id, used[i] ?? 0]))
  const charged = new Map(ended.map(([seq, tokens, cost]) => [seq, { tokens, cost }]))
  for (const job of settled) {
    const { hold, settlement } = job
    const really = charged.get(hold.seq)
    job.answer = really
      ? balancesAfter(hold, { ...settlement.charged, ...really }, usedBy)
      : hold.balances
  }
}

/** What counters hold while the calls of a batch are answered one after the other. */
type Counters = Map<number, { used: number; held: number; readonly credited: number }>

function countersOf({ counters, used, held, credited }: Written): Counters {
  return new Map(
    counters.map((id, i) => [
      id,
      { used: used[i] ?? 0, held: held[i] ?? 0, credited: credited[i] ?? 0 },
    ]),
  )
}

/** A limit with its counter, what else counts beside that in a window that slides, and what is credited in all. */
type SeenLimit = PlannedLimit & {
  readonly counterId: number
  readonly other: number
  readonly credited: number
  readonly views: readonly BucketView[]
}

/** None if a limit has no counter: its key has changed, and nothing of it is granted. */
function seenLimits(
  limits: readonly PlannedLimit[],
  before: number,
  counters: Counters,
  { of, other, buckets }: Written,
): SeenLimit[] {
  return limits.flatMap((limit, i) => {
    const counterId = of?.[before + i] ?? null
    if (counterId === null) return []
    const views = buckets?.[before + i] ?? []
    const own = counters.get(counterId)?.credited ?? 0
    const credited = views.length > 0 ? sumOf(views.map(([, , , one]) => one)) : own
    return [{ ...limit, counterId, other: other?.[before + i] ?? 0, credited, views }]
  })
}

/** Of a window that slides, the database has found the bucket by its own clock, wherever it was planned. */
function presentOf(planned: PlannedLimit, at: number): PlannedLimit {
  const { limit, period } = planned
  if (!isSliding(limit.window) || isWithin(period, at)) return planned
  return { limit, period: periodAt(limit.window, at, limit.timezone, limit.weekStart) }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function reservationOf(
  limits: readonly SeenLimit[],
  counters: Counters,
  claim: Claim,
  said: ClaimAnswer,
  seq: number,
): Reservation {
  if (said === 'changed' || said === 'moved') return { ok: false, changed: true }
  if (said !== 'ok') return refused(limits, counters, claim, said)
  const charges = limits.map(({ limit, counterId }) => ({ counterId, unit: limit.unit }))
  for (const { counterId, unit } of charges) add(counters, counterId, claim.units[unit])
  return { ok: true, hold: { seq, claim, charges, balances: balancesOf(limits, counters) } }
}

function refused(
  limits: readonly SeenLimit[],
  counters: Counters,
  claim: Claim,
  said: ClaimAnswer,
): Reservation {
  const refusal = (why: Refusal, balances: readonly Balance[] = []): Reservation => ({
    ...{ ok: false, changed: false, refusal: why, balances, at: claim.at },
  })
  const { at, key, target, units } = claim
  if (said === 'full') {
    const why = decide(statesOf(limits, counters, at), units, at)
    if (!why) throw new Error('the database refused a claim for which there is room')
    return refusal(why, balancesOf(limits, counters))
  }
  if (said === 'key_busy') return refusal(atConcurrency('This key', key.concurrency ?? 0))
  if (said === 'upstream_busy')
    return refusal(atConcurrency('This upstream', target?.concurrency ?? 0))
  const unusable =
    said === 'disabled' ? { enabled: false, expiresAt: null } : { enabled: true, expiresAt: at }
  return refusal((said === 'unknown' ? null : whyUnusable(unusable, at)) ?? UNKNOWN_KEY)
}

/** Why more of the same units would be refused, after work that was done already was charged. */
function refusalAfter(
  limits: readonly SeenLimit[],
  counters: Counters,
  { units, at }: Claim,
): Refusal | null {
  const touched = limits.filter(({ limit }) => units[limit.unit] > 0)
  return decide(statesOf(touched, counters, at), leastOf(units), at)
}

function add(counters: Counters, counterId: number, n: number): void {
  const counter = counters.get(counterId)
  if (!counter) return
  counter.used += n
  counter.held += n
}

function balancesOf(limits: readonly SeenLimit[], counters: Counters): Balance[] {
  return limits.map((seen) => balance(accountOf(seen, counters)))
}

function statesOf(limits: readonly SeenLimit[], counters: Counters, at: number) {
  return limits.map((seen) => {
    const helds = new Map(seen.views.map(([id, , , , held]) => [id, held]))
    const heldBy = (id: number) => counters.get(id)?.held ?? helds.get(id) ?? 0
    return limitState(accountOf(seen, counters), heldBy, at)
  })
}

function accountOf(
  { limit, period, counterId, other, credited, views }: SeenLimit,
  counters: Counters,
): Account {
  const used = other + (counters.get(counterId)?.used ?? 0)
  const buckets = views.map(
    ([id, start, usedThen, creditedThere]): Bucket => ({
      ...{ id, start, credited: creditedThere, used: counters.get(id)?.used ?? usedThen },
    }),
  )
  return { limit, period, counterId, used, credited, buckets }
}
