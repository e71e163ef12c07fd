/** Usage, from the rollups: never from the calls, of which there may be ten million. Each question is one statement. */
import { type SQL, sql } from 'drizzle-orm'
import {
  PERIOD_MS,
  type Period,
  type PeriodUsage,
  type UpstreamUsage,
  type UsageRange,
  type UsageTotals,
} from '../../../domain/usage.ts'
import type { Tx } from '../transact.ts'
import { numbers } from '../values.ts'

/** Sums of rows of `usage_hourly`. PostgreSQL adds up bigints to a numeric, which the driver would give as a text. */
export const SUMS = sql`sum(calls)::bigint AS calls, sum(failed)::bigint AS failed, sum(estimated)::bigint AS estimated,
  sum(requests)::bigint AS requests, sum(tokens)::bigint AS tokens, sum(cost)::bigint AS cost,
  sum(bytes_in)::bigint AS "bytesIn", sum(bytes_out)::bigint AS "bytesOut"`

/** Days of UTC have no leap seconds in the time of Unix, so that every one begins at a multiple of its length. */
const STARTS = { hour: sql`hour`, day: sql`hour - hour % ${sql.raw(String(PERIOD_MS.day))}` }

export async function usageTotals(
  tx: Tx,
  keySeqs: readonly number[],
  range: UsageRange,
): Promise<Map<number, UsageTotals>> {
  type Row = UsageTotals & { keySeq: number }
  const { rows } = await tx.execute<Row>(sql`
    SELECT key_seq AS "keySeq", ${SUMS} FROM usage_hourly
    WHERE key_seq = ANY(${numbers(keySeqs)}) AND ${isWithin(range)} GROUP BY key_seq`)
  return new Map(rows.map(({ keySeq, ...totals }) => [keySeq, totals]))
}

export async function usageByPeriod(
  tx: Tx,
  keySeq: number,
  range: UsageRange,
  period: Period,
): Promise<PeriodUsage[]> {
  const { rows } = await tx.execute<PeriodUsage>(sql`
    SELECT ${STARTS[period]} AS "from", ${SUMS} FROM usage_hourly
    WHERE key_seq = ${keySeq} AND ${isWithin(range)} GROUP BY 1 ORDER BY 1`)
  return rows
}

export async function usageByUpstream(
  tx: Tx,
  keySeq: number,
  range: UsageRange,
): Promise<UpstreamUsage[]> {
  const { rows } = await tx.execute<UpstreamUsage>(sql`
    SELECT upstream, ${SUMS} FROM usage_hourly
    WHERE key_seq = ${keySeq} AND ${isWithin(range)} GROUP BY upstream ORDER BY upstream COLLATE "C"`)
  return rows
}

function isWithin({ from = 0, to = Number.MAX_SAFE_INTEGER }: UsageRange): SQL {
  return sql`hour >= ${from} AND hour < ${to}`
}
