/** Changes the limits of a key, and with them the counters that are live. Runs inside the key store's transactions. */
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { NamedLimit } from '../../../domain/key.ts'
import { NEXT_SEQ } from '../ledger/entries.ts'
import { counters, limits } from '../schema.ts'
import type { Tx } from '../transact.ts'

/** Starts afresh: what is counted from here on goes to new rows. */
export function retire(tx: Tx, limitId: number): void {
  tx.update(counters)
    .set({ retiredSeq: sql`(${sql.raw(NEXT_SEQ)})` })
    .where(and(eq(counters.limitId, limitId), isNull(counters.retiredSeq)))
    .run()
}

export function setAmount(tx: Tx, limitId: number, amount: number | null): void {
  tx.update(limits).set({ amount }).where(eq(limits.id, limitId)).run()
  tx.update(counters)
    .set({ amount })
    .where(and(eq(counters.limitId, limitId), isNull(counters.retiredSeq)))
    .run()
}

export function setLimits(tx: Tx, keySeq: number, wanted: readonly NamedLimit[]): void {
  const existing = tx.select().from(limits).where(eq(limits.keySeq, keySeq)).all()
  for (const old of existing) {
    if (!wanted.some((limit) => limit.name === old.name))
      tx.delete(limits).where(eq(limits.id, old.id)).run()
  }
  for (const limit of wanted) {
    const old = existing.find((candidate) => candidate.name === limit.name)
    if (old) replaceLimit(tx, old, limit)
    else
      tx.insert(limits)
        .values({ ...limit, keySeq })
        .run()
  }
}

function replaceLimit(tx: Tx, old: typeof limits.$inferSelect, limit: NamedLimit): void {
  // What was counted in another unit could never be checked again.
  if (old.unit !== limit.unit) tx.delete(counters).where(eq(counters.limitId, old.id)).run()
  const same = old.unit === limit.unit && old.window === limit.window
  if (!same || old.timezone !== limit.timezone || old.weekStart !== limit.weekStart) {
    retire(tx, old.id)
    tx.update(limits).set(limit).where(eq(limits.id, old.id)).run()
  } else if (old.amount !== limit.amount) {
    setAmount(tx, old.id, limit.amount)
  }
}
