/**
 * The key store on PostgreSQL. Every change locks the key first, then its limits and counters if it touches them, and raises
 * the key's revision, so that nothing that any replica remembers of the key outlives it.
 */
import { and, eq, isNull, sql } from 'drizzle-orm'
import { type KeyRecord, type KeyStore, MAIN_LIMIT } from '../../../domain/key.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { openCounter, readAccounts } from '../ledger/accounts.ts'
import { findKey, hasHash } from '../read/keys.ts'
import { counters, keys } from '../schema.ts'
import type { Change, Read, Tx } from '../transact.ts'
import { isText } from '../values.ts'
import { writeAdjustments } from './adjustments.ts'
import { lockLimits, retire, setAmount, setLimits } from './limits.ts'

type Row = typeof keys.$inferSelect

/** unique_violation. */
const TAKEN = '23505'

export function createKeyStore(change: Change, read: Read): KeyStore {
  return {
    create: creating(change),
    find: (ref, at) => read((tx) => findKey(tx, ref, at)),
    update: updating(change),
    reset: resetting(change),
    rotate: rotating(change),
    credit: crediting(change),
    remove: removing(change),
  }
}

function creating(change: Change): KeyStore['create'] {
  return ({ limits, tags, ...columns }, at) =>
    change(async (tx) => {
      if (await isTaken(tx, columns.hash)) return null
      const [row] = await tx
        .insert(keys)
        .values({ ...columns, tags: [...tags], createdAt: at, updatedAt: at })
        .onConflictDoNothing({ target: keys.hash })
        .returning({ seq: keys.seq })
      if (!row) return null
      await setLimits(tx, row.seq, [], limits, at)
      return findKey(tx, { id: columns.id }, at)
    })
}

function updating(change: Change): KeyStore['update'] {
  return (id, { limits, tags, ...columns }, at, revision) =>
    change(async (tx): Promise<KeyRecord | 'changed' | null> => {
      const row = await lockKey(tx, id)
      if (!row) return null
      if (revision !== undefined && revision !== row.revision) return 'changed'
      if (limits) await setLimits(tx, row.seq, await lockLimits(tx, row.seq), limits, at)
      await touch(tx, row, { ...columns, ...(tags && { tags: [...tags] }) }, at)
      return findKey(tx, { id }, at)
    })
}

function resetting(change: Change): KeyStore['reset'] {
  return (id, quota, at) =>
    change(async (tx) => {
      const row = await lockKey(tx, id)
      if (!row) return null
      const locked = await lockLimits(tx, row.seq)
      const accounts = await accountsOf(tx, row.seq, at)
      await retire(
        tx,
        locked.map((limit) => limit.id),
        at,
      )
      const main = locked.find(({ name }) => name === MAIN_LIMIT)
      if (main && quota !== undefined) await setAmount(tx, main.id, quota)
      const made = accounts.map(({ limit, used }) => {
        return { limit: limit.name, at, kind: 'reset', amount: used, reason: '' } as const
      })
      await writeAdjustments(tx, row.seq, made)
      await touch(tx, row, {}, at)
      return findKey(tx, { id }, at)
    })
}

function rotating(change: Change): KeyStore['rotate'] {
  return async (id, { hash, hint, previousUntil }, at) => {
    try {
      return await change(async (tx): Promise<KeyRecord | 'taken' | null> => {
        const row = await lockKey(tx, id)
        if (!row) return null
        if (await isTaken(tx, hash)) return 'taken'
        const previousHash = previousUntil === null ? null : row.hash
        await touch(tx, row, { hash, hint, previousHash, previousUntil }, at)
        return findKey(tx, { id }, at)
      })
    } catch (error) {
      // Somebody else was quicker.
      if (errorCode(error) === TAKEN) return 'taken'
      throw error
    }
  }
}

function crediting(change: Change): KeyStore['credit'] {
  return (id, { limit: name, amount, reason }, at) =>
    change(async (tx): Promise<KeyRecord | 'no_limit' | null> => {
      const row = await lockKey(tx, id)
      if (!row) return null
      await lockLimits(tx, row.seq)
      const accounts = await accountsOf(tx, row.seq, at)
      const account = accounts.find(({ limit }) => limit.name === name)
      if (!account || account.limit.amount === null) return 'no_limit'
      const counterId = await openCounter(tx, account)
      await tx
        .update(counters)
        .set({ credited: sql`${counters.credited} + ${amount}` })
        .where(eq(counters.id, counterId))
      await writeAdjustments(tx, row.seq, [{ limit: name, at, kind: 'credit', amount, reason }])
      await touch(tx, row, {}, at)
      return findKey(tx, { id }, at)
    })
}

function removing(change: Change): KeyStore['remove'] {
  return (id, at) =>
    change(async (tx) => {
      const row = await lockKey(tx, id)
      if (row) {
        const gone = { hash: null, previousHash: null, previousUntil: null, enabled: false }
        await touch(tx, row, { ...gone, deletedAt: at }, at)
      }
      return row !== undefined
    })
}

async function lockKey(tx: Tx, id: string): Promise<Row | undefined> {
  const live = and(isText(keys.id, id), isNull(keys.deletedAt))
  const [row] = await tx.select().from(keys).where(live).for('update')
  return row
}

async function isTaken(tx: Tx, hash: Buffer): Promise<boolean> {
  const rows = await tx.select({ seq: keys.seq }).from(keys).where(hasHash(hash)).limit(1)
  return rows.length > 0
}

async function accountsOf(tx: Tx, keySeq: number, at: number) {
  return (await readAccounts(tx, [keySeq], at)).accounts.get(keySeq) ?? []
}

async function touch(tx: Tx, row: Row, changes: Partial<Row>, at: number): Promise<void> {
  await tx
    .update(keys)
    .set({ ...changes, updatedAt: at, revision: row.revision + 1 })
    .where(eq(keys.seq, row.seq))
}
