/** Transactions, and what becomes of SQLite's errors: they leave this room as a StoreFailure. */
import type { Database } from 'bun:sqlite'
import { type BunSQLiteDatabase, drizzle } from 'drizzle-orm/bun-sqlite'
import { StoreFailure } from '../../domain/store.ts'
import { errorCode } from '../../lib/error-code.ts'

export type Tx = Pick<BunSQLiteDatabase, 'select' | 'insert' | 'update' | 'delete'>

/** `check` throws if nothing may be acknowledged at present. */
export type Check = () => void

/** What an operator changes: all of the work is written when it resolves, or nothing and it rejects. */
export type Change = <T>(work: (tx: Tx) => T) => Promise<T>

export function createChange(client: Database, check: Check): Change {
  const db = drizzle({ client })
  return (work) =>
    ask(() => {
      check()
      // Immediate, because a transaction that reads before it writes can be refused half-way otherwise.
      return db.transaction(work, { behavior: 'immediate' })
    })
}

/** Does all of the work in this very turn. */
export async function ask<T>(work: () => T): Promise<T> {
  try {
    return work()
  } catch (error) {
    throw failureOf(error)
  }
}

/** All of the work is written when this returns; if it throws, nothing is. For the ledger, whose work is one batch. */
export function transact(client: Database, check: Check, work: () => void): void {
  try {
    check()
    client.query('BEGIN IMMEDIATE').run()
    work()
    client.query('COMMIT').run()
  } catch (error) {
    // SQLite ends the transaction by itself on some errors (disk full, I/O) and not on others.
    if (client.inTransaction) client.run('ROLLBACK')
    throw failureOf(error)
  }
}

/**
 * A StoreFailure if nothing can be written at present. Any other error is the fault of the one who asked, or of this
 * program, and stays what it is.
 */
export function failureOf(error: unknown): unknown {
  const code = errorCode(error)
  if (error instanceof StoreFailure || !isFailure(code)) return error
  const message = error instanceof Error ? error.message : String(error)
  const failure = new StoreFailure(message, code, code.startsWith('SQLITE_BUSY'))
  if (error instanceof Error && error.stack !== undefined) failure.stack = error.stack
  return failure
}

function isFailure(code: string): boolean {
  return code.startsWith('SQLITE_') && !code.startsWith('SQLITE_CONSTRAINT')
}
