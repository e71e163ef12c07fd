/**
 * One server per database file. The lock is an open exclusive transaction on a file beside the database, so the
 * operating system drops it however the holder dies, and readers of the database itself (a shell, a backup) stay free.
 */
import { Database } from 'bun:sqlite'
import { StoreInUse } from '../../errors.ts'

export function lockDatabase(path: string): { release(): void } {
  if (path === ':memory:') return { release() {} }
  const lock = tryLock(`${path}.lock`)
  if (lock) return lock
  throw new StoreInUse(
    `Another quota-proxy is already serving ${path}. Stop it first, or give this one its own DATA_DIR.`,
  )
}

/** Null if another process has the lock. */
export function tryLock(path: string): { release(): void } | null {
  const lock = new Database(path, { create: true, readwrite: true })
  try {
    // The journal stays in memory: nothing is ever written, and a hot journal must not outlive a crash.
    lock.run('PRAGMA journal_mode = MEMORY')
    lock.run('BEGIN EXCLUSIVE')
  } catch {
    lock.close()
    return null
  }
  return {
    release() {
      lock.run('ROLLBACK')
      lock.close()
    },
  }
}
