/** The book of credits and resets: written in the transaction that makes them, never changed. */
import { and, desc, eq, lt } from 'drizzle-orm'
import type { Adjustment, AdjustmentPage, Page } from '../../../domain/key.ts'
import { adjustments } from '../schema.ts'
import type { Tx } from '../transact.ts'

export function writeAdjustment(
  tx: Tx,
  keySeq: number,
  { limit, ...columns }: Omit<Adjustment, 'seq'>,
): void {
  tx.insert(adjustments)
    .values({ ...columns, keySeq, limitName: limit })
    .run()
}

export function listAdjustments(db: Tx, keySeq: number, { limit, before }: Page): AdjustmentPage {
  const { id: seq, at, kind, limitName, amount, reason } = adjustments
  const rows = db
    .select({ seq, at, kind, limit: limitName, amount, reason })
    .from(adjustments)
    .where(
      and(
        eq(adjustments.keySeq, keySeq),
        before === undefined ? undefined : lt(adjustments.id, before),
      ),
    )
    .orderBy(desc(adjustments.id))
    .limit(limit + 1)
    .all()
  return { adjustments: rows.slice(0, limit), more: rows.length > limit }
}
