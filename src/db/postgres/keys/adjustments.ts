/** The book of credits and resets: written in the transaction that makes them, never changed. */
import { and, desc, eq, lt } from 'drizzle-orm'
import type { Adjustment, AdjustmentPage, Page } from '../../../domain/key.ts'
import { adjustments } from '../schema.ts'
import type { Tx } from '../transact.ts'

/** In the order in which they are given. */
export async function writeAdjustments(
  tx: Tx,
  keySeq: number,
  made: readonly Omit<Adjustment, 'seq'>[],
): Promise<void> {
  if (made.length === 0) return
  await tx
    .insert(adjustments)
    .values(made.map(({ limit, ...columns }) => ({ ...columns, keySeq, limitName: limit })))
}

export async function listAdjustments(
  tx: Tx,
  keySeq: number,
  { limit, before }: Page,
): Promise<AdjustmentPage> {
  const { id: seq, at, kind, limitName, amount, reason } = adjustments
  const isOlder = before === undefined ? undefined : lt(seq, before)
  const rows = await tx
    .select({ seq, at, kind, limit: limitName, amount, reason })
    .from(adjustments)
    .where(and(eq(adjustments.keySeq, keySeq), isOlder))
    .orderBy(desc(seq))
    .limit(limit + 1)
  return { adjustments: rows.slice(0, limit), more: rows.length > limit }
}
