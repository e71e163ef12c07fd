/** A lock that lies in a file and belongs to a process: the operating system drops it however the process dies. */
import { Database } from 'bun:sqlite'

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
