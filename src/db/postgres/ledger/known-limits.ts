/**
 * What a replica remembers of a key between calls: the limits that it has at a revision, and the periods that they are in.
 * Never what is used of them: the charge reads that, and refuses whoever knows another revision.
 */
import type { Limit } from '../../../quota/account.ts'
import { type Period, periodAt } from '../../../quota/window.ts'
import type { Job } from '../../ledger/jobs.ts'
import type { Connection } from '../connection.ts'
import type { Read } from '../transact.ts'
import { readLimits } from './accounts.ts'

export type Known = { readonly revision: number; readonly limits: readonly KnownLimit[] }

export type KnownLimit = { readonly limit: Limit; readonly period: Period }

/** A key with one limit takes about 400 bytes. */
const KEYS_MAX = 100_000

export type KnownLimits = ReturnType<typeof createKnownLimits>

export function createKnownLimits() {
  const keys = new Map<number, { revision: number; limits: KnownLimit[] }>()

  return {
    has(key: number, revision: number): boolean {
      return keys.get(key)?.revision === revision
    },

    /** The limits with their periods at an instant; undefined if they are not known by this revision. */
    at(key: number, revision: number, at: number): readonly KnownLimit[] | undefined {
      const known = keys.get(key)
      if (known?.revision !== revision) return undefined
      known.limits.forEach(({ limit, period }, i) => {
        if (!isWithin(period, at)) known.limits[i] = knownAt(limit, at)
      })
      return known.limits
    },

    set(key: number, revision: number, limits: readonly Limit[], at: number): void {
      keys.delete(key)
      const oldest = keys.size < KEYS_MAX ? undefined : keys.keys().next().value
      if (oldest !== undefined) keys.delete(oldest)
      keys.set(key, { revision, limits: limits.map((limit) => knownAt(limit, at)) })
    },
  }
}

/** Reads the limits of keys that are not known as they are claimed, and the present revision where work was done already. */
export async function learn(
  known: KnownLimits,
  { connection, read }: { readonly connection: Connection; readonly read: Read },
  jobs: readonly Job[],
): Promise<void> {
  const strange = jobs.flatMap((job) => {
    if (job.kind === 'settle') return []
    const { seq, revision } = job.claim.key
    return job.kind === 'record' || !known.has(seq, revision) ? [job] : []
  })
  if (strange.length === 0) return
  const seqs = [...new Set(strange.map(({ claim }) => claim.key.seq))]
  const revisions = await connection.query<{ seq: number; revision: number }>(
    'SELECT seq, revision FROM keys WHERE seq = ANY($1::bigint[])',
    [seqs],
  )
  // Read after the revisions: if a key changes in between, its claim names a revision that is no more.
  const limits = await read((tx) => readLimits(tx, seqs))
  const revisionOf = new Map(revisions.map(({ seq, revision }) => [seq, revision]))
  for (const { claim } of strange) {
    const { seq } = claim.key
    known.set(seq, revisionOf.get(seq) ?? 0, limits.get(seq) ?? [], claim.at)
  }
  for (const job of strange) {
    if (job.kind !== 'record') continue
    const { key } = job.claim
    job.claim = { ...job.claim, key: { ...key, revision: revisionOf.get(key.seq) ?? 0 } }
  }
}

function knownAt(limit: Limit, at: number): KnownLimit {
  return { limit, period: periodAt(limit.window, at, limit.timezone, limit.weekStart) }
}

export function isWithin({ start, end }: Period, at: number): boolean {
  return at >= start && (end === null || at < end)
}
