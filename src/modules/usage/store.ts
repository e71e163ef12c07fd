/** The port of usage: sums of the hourly rollups. */

export type UsageTotals = {
  readonly calls: number
  /** Calls that ended in anything but an upstream answer below 500. */
  readonly failed: number
  readonly requests: number
  readonly tokens: number
  /** Micro-units of money. */
  readonly cost: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Instants, ms: hours that begin in `[from, to)`. */
export type UsageRange = { readonly from?: number; readonly to?: number }

export interface UsageStore {
  /** By the `seq` of a key; one without usage is absent. */
  totals(keySeqs: readonly number[], range: UsageRange): ReadonlyMap<number, UsageTotals>
}
