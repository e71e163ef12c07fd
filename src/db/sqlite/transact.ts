/** A transaction of the ledger: all of it is written, or nothing and whoever asked is given the error as a value. */
import type { Database } from 'bun:sqlite'
import { errorCode } from '../../lib/error-code.ts'

/** Null with all of the work written, or the error with nothing of it written. */
export type Transact = (work: () => void) => unknown

/** `check` throws if nothing may be acknowledged at present; `forget` is told that nothing was written. */
export function createTransact(client: Database, check: () => void, forget: () => void): Transact {
  return (work) => {
    try {
      check()
      client.run('BEGIN IMMEDIATE')
      work()
      client.run('COMMIT')
      return null
    } catch (error) {
      // SQLite ends the transaction by itself on some errors (disk full, I/O) and not on others.
      if (client.inTransaction) client.run('ROLLBACK')
      forget()
      return error ?? new Error('the store failed without saying why')
    }
  }
}

/** Whether nothing can be written at present; any other error is the fault of the one job, or of this program. */
export function isStoreFailure(error: unknown): boolean {
  const code = errorCode(error)
  return code.startsWith('SQLITE_') && !code.startsWith('SQLITE_CONSTRAINT')
}
