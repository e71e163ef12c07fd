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
  const work: Work = {
    ...(ended.length > 0 && { ended }),
    ...(calls.length > 0 && { groups, limits, calls }),
  }
  return { work, settled, asked, groupOf, limitsOf }
}

function groupsOf(asked: readonly AskJob[], planning: Planning) {
  const numbers = new Map<string, number>()
  const groups: Group[] = []
  const limits: GroupLimit[] = []
  const calls: GroupCall[] = []
  const groupOf: number[] = []
  const limitsOf: (readonly PlannedLimit[])[] = []
  for (const job of asked) {
    const { claim } = job
    const { seq, revision } = claim.key
    const at = planning.nowMs ?? claim.at
    const isRecord = job.kind === 'record'
    const name = `${seq} ${revision} ${planning.nowMs === null ? at : ''} ${isRecord}`
    let g = numbers.get(name)
    if (g === undefined) {
      const known = planning.limitsAt(claim, at)
      g = groups.push(groupOfClaim(groups.length + 1, job, planning.nowMs === null ? at : null))
      numbers.set(name, g)
      limitsOf.push(known)
      for (const one of known) limits.push(limitOf(g, one))
    }
    groupOf.push(g - 1)
    calls.push(callOf(calls.length + 1, g, job, planning))
  }
  return { groups, limits, calls, groupOf, limitsOf }
}

function groupOfClaim(n: number, { kind, claim: { key } }: AskJob, at: number | null): Group {
  const group = { n, key: key.seq, revision: key.revision, at, record: kind === 'record' }
  const { concurrency } = key
  if (kind === 'record' || concurrency === null || concurrency === undefined) return group
  return { ...group, gate: `key:${key.seq}`, gate_max: concurrency }
}

function limitOf(g: number, { limit, period: { start, end } }: KnownLimit): GroupLimit {
  if (!isSliding(limit.window)) return { g, id: limit.id, start, end }
  const { bucketMs: bucket, windowMs: window } = SLIDING[limit.window]
  return { g, id: limit.id, start, end, bucket, window }
}

function callOf(n: number, g: number, job: AskJob, planning: Planning): GroupCall {
  const { upstream, requestId, units, target } = job.claim
  const { requests, tokens, cost } = units
  const call = { n, g, upstream, request_id: requestId, requests, tokens, cost }
  if (job.kind === 'record') return { ...call, entry: recordOf(job, planning) }
  return {
    ...call,
    ...(target?.revision != null && { upstream_revision: target.revision }),
    ...(target?.concurrency != null && {
      gate: `upstream:${target.name}`,
      gate_max: target.concurrency,
    }),
  }
}

/** Its number, its instant and its counters are known when it is written. */
function recordOf({ claim, settlement }: RecordJob, { models }: Planning): Entry {
  const model = models.of(hourOf(claim.at), settlement.metered?.model ?? '')
  return { ...entryOf({ claim, charges: [], seq: 0 }, settlement, model), record: true }
}
