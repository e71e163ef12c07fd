/** The key store on SQLite. Every change raises the key's revision, so that nothing remembered of the key outlives it. */
import type { Database } from 'bun:sqlite'
import { eq, sql } from 'drizzle-orm'
import { type KeyRecord, type KeyStore, MAIN_LIMIT } from '../../../domain/key.ts'
import { createCounters } from '../ledger/counters.ts'
import { createKeyRecords, hasHash, type Row } from '../read/keys.ts'
import { counters, keys } from '../schema.ts'
import { ask, type Change, type Check, createChange, type Tx } from '../transact.ts'
import { writeAdjustment } from './adjustments.ts'
import { retire, setAmount, setLimits } from './limits.ts'

type Own = {
  readonly change: Change
  readonly records: ReturnType<typeof createKeyRecords>
  readonly books: ReturnType<typeof createCounters>
}

export function createKeyStore(client: Database, check: Check): KeyStore {
  const own: Own = {
    change: createChange(client, check),
    records: createKeyRecords(client),
    books: createCounters(client),
  }
  return {
    create: creating(own),
    find: (ref, at) => ask(() => own.records.find(ref, at)),
    update: updating(own),
    reset: resetting(own),
    rotate: rotating(own),
    credit: crediting(own),
    remove: removing(own),
  }
}

function creating({ change, records }: Own): KeyStore['create'] {
  return ({ limits, tags, ...columns }, at) =>
    change((tx) => {
      if (tx.select().from(keys).where(hasHash(columns.hash)).get()) return null
      const row = tx
        .insert(keys)
        .values({ ...columns, tags: [...tags], createdAt: at, updatedAt: at })
        .returning()
        .get()
      setLimits(tx, row.seq, limits)
      return records.record(row, at)
    })
}

function updating({ change, records }: Own): KeyStore['update'] {
  return (id, { limits, tags, ...columns }, at, revision) =>
    change((tx) => {
      const row = records.findRow({ id })
      if (!row) return null
      if (revision !== undefined && revision !== row.revision) return 'changed'
      if (limits) setLimits(tx, row.seq, limits)
      touch(tx, row, { ...columns, ...(tags && { tags: [...tags] }) }, at)
      return changed(records, id, at)
    })
}

function resetting({ change, records, books }: Own): KeyStore['reset'] {
  return (id, quota, at) =>
    change((tx) => {
      const row = records.findRow({ id })
      if (!row) return null
      for (const { limit, used } of books.accounts(row.seq, at)) {
        retire(tx, limit.id)
        if (limit.name === MAIN_LIMIT && quota !== undefined) setAmount(tx, limit.id, quota)
        const reset = { limit: limit.name, at, kind: 'reset', amount: used, reason: '' } as const
        writeAdjustment(tx, row.seq, reset)
      }
      touch(tx, row, {}, at)
      return changed(records, id, at)
    })
}

function rotating({ change, records }: Own): KeyStore['rotate'] {
  return (id, { hash, hint, previousUntil }, at) =>
    change((tx) => {
      const row = records.findRow({ id })
      if (!row) return null
      if (tx.select().from(keys).where(hasHash(hash)).get()) return 'taken'
      const previousHash = previousUntil === null ? null : row.hash
      touch(tx, row, { hash, hint, previousHash, previousUntil }, at)
      return changed(records, id, at)
    })
}

function crediting({ change, records, books }: Own): KeyStore['credit'] {
  return (id, { limit: name, amount, reason }, at) =>
    change((tx) => {
      const row = records.findRow({ id })
      if (!row) return null
      const account = books.accounts(row.seq, at).find(({ limit }) => limit.name === name)
      if (!account || account.limit.amount === null) return 'no_limit'
      const counterId = books.idOf(account)
      tx.update(counters)
        .set({ credited: sql`${counters.credited} + ${amount}` })
        .where(eq(counters.id, counterId))
        .run()
      writeAdjustment(tx, row.seq, { limit: name, at, kind: 'credit', amount, reason })
      touch(tx, row, {}, at)
      return changed(records, id, at)
    })
}

function removing({ change, records }: Own): KeyStore['remove'] {
  return (id, at) =>
    change((tx) => {
      const row = records.findRow({ id })
      if (row) {
        const gone = { hash: null, previousHash: null, previousUntil: null, enabled: false }
        touch(tx, row, { ...gone, deletedAt: at }, at)
      }
      return row !== undefined
    })
}

function touch(tx: Tx, row: Row, changes: Partial<Row>, at: number): void {
  tx.update(keys)
    .set({ ...changes, updatedAt: at, revision: row.revision + 1 })
    .where(eq(keys.seq, row.seq))
    .run()
}

/** The key as it is after a change, within its transaction. */
function changed(records: Own['records'], id: string, at: number): KeyRecord | null {
  return records.find({ id }, at)
}
