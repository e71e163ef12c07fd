/**
 * Changes the limits of a key, and with them the counters that are live. Runs inside the key store's transactions, which have
 * locked the key.
 */
import { and, asc, eq, isNull, type SQL } from 'drizzle-orm'
import type { NamedLimit } from '../../../domain/key.ts'
import { counters, limits } from '../schema.ts'
import type { Tx } from '../transact.ts'
import { isOneOf } from '../values.ts'

type Row = typeof limits.$inferSelect

/**
 * Holds up the ledger's batches for this key until the transaction ends: they take the same locks in the same order, so that
 * neither can wait for the other in a circle.
 */
export async function lockLimits(tx: Tx, keySeq: number): Promise<Row[]> {
  const locked = await tx
    .select()
    .from(limits)
    .where(eq(limits.keySeq, keySeq))
    .orderBy(asc(limits.id))
    .for('update')
  const ids = locked.map(({ id }) => id)
  await tx
    .select({ id: counters.id })
    .from(counters)
    .where(isOneOf(counters.limitId, ids))
    .orderBy(asc(counters.id))
    .for('update')
  return locked
}

/** Starts afresh: what is counted from here on goes to new rows. */
export async function retire(tx: Tx, limitIds: readonly number[], at: number): Promise<void> {
  await tx.update(counters).set({ retiredAt: at }).where(live(limitIds))
}

export async function setAmount(tx: Tx, limitId: number, amount: number | null): Promise<void> {
  await tx.update(limits).set({ amount }).where(eq(limits.id, limitId))
  await tx
    .update(counters)
    .set({ amount })
    .where(live([limitId]))
}

/** `existing` are locked. */
export async function setLimits(
  tx: Tx,
  keySeq: number,
  existing: readonly Row[],
  wanted: readonly NamedLimit[],
  at: number,
): Promise<void> {
  const gone = existing.filter((old) => !wanted.some(({ name }) => name === old.name))
  if (gone.length > 0) {
    const ids = gone.map(({ id }) => id)
    await tx.delete(limits).where(isOneOf(limits.id, ids))
  }
  const added: NamedLimit[] = []
  for (const limit of wanted) {
    const old = existing.find(({ name }) => name === limit.name)
    if (old) await replaceLimit(tx, old, limit, at)
    else added.push(limit)
  }
  if (added.length > 0) await tx.insert(limits).values(added.map((limit) => ({ ...limit, keySeq })))
}

async function replaceLimit(tx: Tx, old: Row, limit: NamedLimit, at: number): Promise<void> {
  // What was counted in another unit could never be checked again.
  if (old.unit !== limit.unit) await tx.delete(counters).where(eq(counters.limitId, old.id))
  const same = old.unit === limit.unit && old.window === limit.window
  if (!same || old.timezone !== limit.timezone || old.weekStart !== limit.weekStart) {
    await retire(tx, [old.id], at)
    await tx.update(limits).set(limit).where(eq(limits.id, old.id))
  } else if (old.amount !== limit.amount) {
    await setAmount(tx, old.id, limit.amount)
  }
}

function live(limitIds: readonly number[]): SQL | undefined {
  return and(isOneOf(counters.limitId, limitIds), isNull(counters.retiredAt))
}
