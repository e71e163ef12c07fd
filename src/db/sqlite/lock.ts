/**
 * One server per database file. The lock is an open exclusive transaction on a file beside the database, so the
 * operating system drops it however the holder dies, and readers of the database itself (a shell, a backup) stay free.
 *
 * It belongs to a file, not to one of its names: links and other spellings of the path are followed first, and a file with
 * two names of its own is not served, for SQLite would keep a log of the newest calls beside each of them.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppError, StoreInUse } from '../../errors.ts'
import { tryLock } from '../../lib/process/lock-file.ts'
import { forgetSecondName } from './backup/restore.ts'

/** `path` must be what `realPath` gives. */
export function lockDatabase(path: string): { release(): void } {
  const lock = tryLock(`${path}.lock`)
  if (!lock) {
    throw new StoreInUse(
      `Another quota-proxy is already serving ${path}. Stop it first, or give this one its own DATA_DIR.`,
    )
  }
  if (namesOf(path) > 1) forgetSecondName(path)
  const names = namesOf(path)
  if (names <= 1) return lock
  lock.release()
  throw new AppError(
    'storage_unavailable',
    `The database ${path} has ${names} names (hard links), and another server could serve it by another one. Remove all but one of them: "find / -xdev -samefile ${path}" lists them.`,
  )
}

function namesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.nlink ?? 1
}

/** The one path of a database file, whichever way leads to it: that beside which SQLite puts its log, too. */
export function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path))
}
