/** Usage: sums of the hourly rollups, and the port that reads them. */
import { AppError } from '../errors.ts'

export type UsageTotals = {
  readonly calls: number
  /** Calls without an upstream answer below 500. */
  readonly failed: number
  /** Calls whose tokens or cost were estimated in part. */
  readonly estimated: number
  readonly requests: number
  readonly tokens: number
  /** Micro-units of money. */
  readonly cost: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export const NO_USAGE: UsageTotals = {
  calls: 0,
  failed: 0,
  estimated: 0,
  requests: 0,
  tokens: 0,
  cost: 0,
  bytesIn: 0,
  bytesOut: 0,
}

/** Hours that begin in `[from, to)`; instants, ms. */
export type UsageRange = { readonly from?: number; readonly to?: number }

export type UsageSpan = { readonly from: number; readonly to: number }

/** More rows than anybody reads. */
export const GROUPS_MAX = 50_000

export function tooManyGroups(): AppError {
  return new AppError(
    'validation_failed',
    `The answer would have more than ${GROUPS_MAX} rows. Ask for a shorter range, or for longer spans.`,
  )
}

export const PERIOD_MS = { hour: 3_600_000, day: 86_400_000 } as const
export type Period = keyof typeof PERIOD_MS

/** `from` is the first instant of an hour or a day, UTC. */
export type PeriodUsage = UsageTotals & { readonly from: number }

/** `upstream` is empty for endpoints given in an envelope. */
export type UpstreamUsage = UsageTotals & { readonly upstream: string }

/** What sums can be taken by, beside spans of time. */
export const USAGE_DIMENSIONS = ['key', 'upstream', 'model', 'tag'] as const
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number]

/** What is absent filters nothing. */
export type UsageFilter = {
  readonly keySeq?: number | undefined
  readonly upstream?: string | undefined
  readonly model?: string | undefined
  readonly tag?: string | undefined
}

export type UsageKey = { readonly id: string; readonly name: string }

/** Sums of one value of a dimension within a span. */
export type UsageGroup = UsageTotals & {
  /** The first instant of the span, ms. */
  readonly from: number
  /** Of the dimension, if it is not `key`; a key without tags has the empty one. */
  readonly value: string
  /** Null unless the dimension is `key`. */
  readonly key: UsageKey | null
}

export interface UsageReader {
  /**
   * Sums of all calls, span by span; `spans` ascend, each ends where the next begins. By a tag, a call counts for each tag of
   * its key. Within a span the group with the most calls is first. Rejects with `tooManyGroups` past GROUPS_MAX.
   */
  groups(
    filter: UsageFilter,
    spans: readonly UsageSpan[],
    by: UsageDimension | null,
  ): Promise<readonly UsageGroup[]>
  /** By the `seq` of a key. A key without usage is absent. */
  totals(keySeqs: readonly number[], range: UsageRange): Promise<ReadonlyMap<number, UsageTotals>>
  /** Of one key, oldest first. An hour or day without usage is absent. */
  byPeriod(keySeq: number, range: UsageRange, period: Period): Promise<readonly PeriodUsage[]>
  /** Of one key, sorted by upstream. An upstream without usage is absent. */
  byUpstream(keySeq: number, range: UsageRange): Promise<readonly UpstreamUsage[]>
}
