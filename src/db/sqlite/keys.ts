/** The key store on SQLite. */
import type { Database } from 'bun:sqlite'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type {
  Credential,
  FindCredential,
  KeyChanges,
  KeyStore,
  NewKey,
  Scope,
} from '../../domain/key.ts'
import { MAIN_LIMIT } from '../../domain/key.ts'
import { writeAdjustment } from './adjustments.ts'
import { createCounters } from './counters.ts'
import { createLimitEditor, type Tx } from './limits.ts'
import { createKeyRecords, hasHash, type Row } from './read/keys.ts'
import { counters, keys } from './schema.ts'

/** `check` throws if nothing may be acknowledged at present. */
export function createKeyStore(client: Database, check: () => void): KeyStore {
  const db = drizzle({ client })
  const { find, findRow, record } = createKeyRecords(client)
  const books = createCounters(client)
  const editor = createLimitEditor(client)

  /** Immediate, because a transaction that reads before it writes can be refused half-way otherwise. */
  function transact<T>(work: (tx: Tx) => T): T {
    check()
    return db.transaction(work, { behavior: 'immediate' })
  }

  function touch(tx: Tx, row: Row, changes: Partial<Row>, at: number): void {
    tx.update(keys)
      .set({ ...changes, updatedAt: at, revision: row.revision + 1 })
      .where(eq(keys.seq, row.seq))
      .run()
  }

  return {
    create(key: NewKey, at) {
      return transact((tx) => {
        if (tx.select().from(keys).where(hasHash(key.hash)).get()) return null
        const { limits: wanted, tags, metadata, ...columns } = key
        const row = tx
          .insert(keys)
          .values({ ...columns, tags: [...tags], metadata, createdAt: at, updatedAt: at })
          .returning()
          .get()
        editor.setLimits(tx, row.seq, wanted)
        return record(row, at)
      })
    },

    find,

    update(id, { limits: wanted, tags, ...changes }: KeyChanges, at) {
      return transact((tx) => {
        const row = findRow({ id })
        if (!row) return null
        if (wanted) editor.setLimits(tx, row.seq, wanted)
        touch(tx, row, { ...changes, ...(tags && { tags: [...tags] }) }, at)
        const after = findRow({ id })
        return after ? record(after, at) : null
      })
    },

    reset(id, quota, at) {
      return transact((tx) => {
        const row = findRow({ id })
        if (!row) return null
        for (const account of books.accounts(row.seq, at)) {
          const { limit, used } = account
          editor.retire(tx, limit.id)
          if (limit.name === MAIN_LIMIT && quota !== undefined)
            editor.setAmount(tx, limit.id, quota)
          const reset = { limit: limit.name, at, kind: 'reset', amount: used, reason: '' } as const
          writeAdjustment(tx, row.seq, reset)
        }
        touch(tx, row, {}, at)
        const after = findRow({ id })
        return after ? record(after, at) : null
      })
    },

    rotate(id, { hash, hint, previousUntil }, at) {
      return transact((tx) => {
        const row = findRow({ id })
        if (!row) return null
        if (tx.select().from(keys).where(hasHash(hash)).get()) return 'taken'
        const previousHash = previousUntil === null ? null : row.hash
        touch(tx, row, { hash, hint, previousHash, previousUntil }, at)
        const after = findRow({ id })
        return after ? record(after, at) : null
      })
    },

    credit(id, { limit: name, amount, reason }, at) {
      return transact((tx) => {
        const row = findRow({ id })
        if (!row) return null
        const account = books.accounts(row.seq, at).find(({ limit }) => limit.name === name)
        if (!account || account.limit.amount === null) return 'no_limit'
        const counterId = account.counterId ?? editor.openCounter(tx, account)
        tx.update(counters)
          .set({ credited: sql`${counters.credited} + ${amount}` })
          .where(eq(counters.id, counterId))
          .run()
        writeAdjustment(tx, row.seq, { limit: name, at, kind: 'credit', amount, reason })
        touch(tx, row, {}, at)
        const after = findRow({ id })
        return after ? record(after, at) : null
      })
    },

    remove(id, at) {
      return transact((tx) => {
        const row = findRow({ id })
        if (row) {
          const gone = { hash: null, previousHash: null, previousUntil: null, enabled: false }
          touch(tx, row, { ...gone, deletedAt: at }, at)
        }
        return row !== undefined
      })
    },
  }
}

/**
 * The one look-up of the data path: a prepared statement on the unique index of hashes. Only what is no present secret is
 * looked for among those of before a rotation, so that these cost other calls nothing.
 */
export function createFindCredential(client: Database): FindCredential {
  const present = client.query<CredentialRow, [Buffer]>(
    'SELECT seq, id, enabled, expires_at, concurrency, scope, revision FROM keys WHERE hash = ?',
  )
  const previous = client.query<CredentialRow, [Buffer]>(
    `SELECT seq, id, enabled, min(previous_until, ifnull(expires_at, previous_until)) AS expires_at, concurrency, scope,
       revision
     FROM keys WHERE previous_hash = ?`,
  )
  return (hash): Credential | null => {
    const row = present.get(hash) ?? previous.get(hash)
    if (!row) return null
    const { seq, id, concurrency, revision } = row
    const scope = row.scope === null ? null : (JSON.parse(row.scope) as Scope)
    const enabled = row.enabled === 1
    return { seq, id, enabled, expiresAt: row.expires_at, concurrency, scope, revision }
  }
}

type CredentialRow = {
  readonly seq: number
  readonly id: string
  readonly enabled: number
  readonly expires_at: number | null
  readonly concurrency: number | null
  readonly scope: string | null
  readonly revision: number
}
