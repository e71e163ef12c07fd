/** Turns what was asked of the ledger into the work of one batch. Pure, but for what it remembers of names of models. */
import type { Limit } from '../../../quota/account.ts'
import type { Claim } from '../../../quota/ledger.ts'
import { isSliding, type Period, SLIDING } from '../../../quota/window.ts'
import type { Job, RecordJob, ReserveJob, SettleJob } from '../../ledger/jobs.ts'
import { hourOf, type ModelNames } from '../../ledger/settle.ts'
import {
  type Entry,
  entryOf,
  type Group,
  type GroupCall,
  type GroupLimit,
  type Work,
} from './batch.ts'
import type { KnownLimit } from './known-limits.ts'

export type AskJob = ReserveJob | RecordJob

export type PlannedLimit = { readonly limit: Limit; readonly period: Period }

export type Plan = {
  readonly work: Work
  readonly settled: readonly SettleJob[]
  /** In the order of the calls of the work. */
  readonly asked: readonly AskJob[]
  /** The group of each of `asked`, from 0. */
  readonly groupOf: readonly number[]
  /** The limits of each group, in the order of the work. */
  readonly limitsOf: readonly (readonly PlannedLimit[])[]
}

export type Planning = {
  /** By the clock of the database as far as it is known, ms; null if claims say when they are. */
  readonly nowMs: number | null
  limitsAt(claim: Claim, at: number): readonly KnownLimit[]
  readonly models: ModelNames
}

export function planOf(jobs: readonly Job[], planning: Planning): Plan {
  const settled = jobs.filter((job) => job.kind === 'settle')
  const asked = jobs.filter((job) => job.kind !== 'settle')
  const { groups, limits, calls, groupOf, limitsOf } = groupsOf(asked, planning)
  const ended = settled.map(({ hold, settlement }) => {
    const model = planning.models.of(hourOf(hold.claim.at), settlement.metered?.model ?? '')
    return entryOf(hold, settlement, model)
  })
  return { work: { ended, groups, limits, calls }, settled, asked, groupOf, limitsOf }
}

function groupsOf(asked: readonly AskJob[], planning: Planning) {
  const places = new Map<string, number>()
  const groups: Group[] = []
  const limits: GroupLimit[] = []
  const groupOf: number[] = []
  const limitsOf: (readonly PlannedLimit[])[] = []
  const calls = asked.map((job) => {
    const { claim, kind } = job
    const { seq, revision } = claim.key
    const given = planning.nowMs === null ? claim.at : null
    const name = `${seq} ${revision} ${given} ${kind}`
    let group = places.get(name)
    if (group === undefined) {
      const known = planning.limitsAt(claim, given ?? planning.nowMs ?? 0)
      group = groups.push(groupOfClaim(job, given, limits.length, known.length))
      places.set(name, group)
      limitsOf.push(known)
      for (const one of known) limits.push(limitOf(group, one))
    }
    groupOf.push(group - 1)
    return callOf(group, job, planning)
  })
  return { groups, limits, calls, groupOf, limitsOf }
}

function groupOfClaim(
  { kind, claim: { key } }: AskJob,
  at: number | null,
  before: number,
  limits: number,
): Group {
  const isRecord = kind === 'record'
  const max = isRecord ? null : (key.concurrency ?? null)
  return {
    ...{ key: key.seq, revision: key.revision, at, isRecord },
    gate: max === null ? null : { name: `key:${key.seq}`, max },
    first: before + 1,
    last: before + limits,
  }
}

function limitOf(group: number, { limit, period: { start, end } }: KnownLimit): GroupLimit {
  const sliding = isSliding(limit.window) ? SLIDING[limit.window] : null
  return {
    ...{ group, id: limit.id, start, end },
    bucketMs: sliding?.bucketMs ?? null,
    windowMs: sliding?.windowMs ?? null,
  }
}

function callOf(group: number, job: AskJob, planning: Planning): GroupCall {
  const { upstream, requestId, units, target } = job.claim
  const { requests, tokens, cost } = units
  const isRecord = job.kind === 'record'
  const max = isRecord ? null : (target?.concurrency ?? null)
  return {
    ...{ group, requests, tokens, cost, upstream, requestId },
    gate: max === null ? null : { name: `upstream:${target?.name}`, max },
    upstreamRevision: isRecord ? null : (target?.revision ?? null),
    entry: isRecord ? recordOf(job, planning) : null,
  }
}

/** Its number, its instant and its counters are known when it is written. */
function recordOf({ claim, settlement }: RecordJob, { models }: Planning): Entry {
  const model = models.of(hourOf(claim.at), settlement.metered?.model ?? '')
  return { ...entryOf({ claim, charges: [], seq: 0 }, settlement, model), record: true }
}
