/** Usage: sums of the hourly rollups, and the port that reads them. */

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

export const PERIOD_MS = { hour: 3_600_000, day: 86_400_000 } as const
export type Period = keyof typeof PERIOD_MS

/** `from` is the first instant of an hour or a day, UTC. */
export type PeriodUsage = UsageTotals & { readonly from: number }

/** `upstream` is empty for endpoints given in an envelope. */
export type UpstreamUsage = UsageTotals & { readonly upstream: string }

export interface UsageReader {
  /** By the `seq` of a key. A key without usage is absent. */
  totals(keySeqs: readonly number[], range: UsageRange): Promise<ReadonlyMap<number, UsageTotals>>
  /** Of one key, oldest first. An hour or day without usage is absent. */
  byPeriod(keySeq: number, range: UsageRange, period: Period): Promise<readonly PeriodUsage[]>
  /** Of one key, sorted by upstream. An upstream without usage is absent. */
  byUpstream(keySeq: number, range: UsageRange): Promise<readonly UpstreamUsage[]>
}
