/**
 * Puts a database file into the place of another one. At every moment there is one whole database at the path, and never
 * one with the log of another: SQLite would play that into it. The old one stays beside it under a name of its own.
 */
import { Database } from 'bun:sqlite'
import {
  existsSync,
  linkSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Replaced } from '../../../domain/backup.ts'
import { syncPath } from '../../../lib/process/sync-path.ts'

/** What the name of a database goes on with that a restore has replaced and kept. */
export const KEPT = '.before-restore-'

/** Only while nobody serves the database. `file` is whole, on the disk, and in the same directory. */
export function replaceDatabase(path: string, file: string, keepAs: string): Replaced {
  // SQLite puts the log beside the file itself, not beside a link to it.
  const place = existsSync(path) ? realpathSync(path) : path
  const isThere = existsSync(place)
  const hasLog = existsSync(`${place}-wal`)
  // Second names, not other ones: the path must not be without a database for a moment, and what SQLite takes for useless
  // in a log it removes.
  if (hasLog) linkSync(`${place}-wal`, `${keepAs}-wal`)
  const keptLog = hasLog && !(isThere && foldLog(place))
  if (hasLog && !keptLog) rmSync(`${keepAs}-wal`)
  if (isThere) linkSync(place, keepAs)
  for (const suffix of ['-wal', '-shm']) rmSync(place + suffix, { force: true })
  syncPath(dirname(place))
  renameSync(file, place)
  syncPath(dirname(place))
  return { kept: isThere ? keepAs : null, keptLog }
}

/** Takes back the second name that a restore has given to a database, and was then cut off before it replaced it. */
export function forgetSecondName(place: string): void {
  const { ino, dev } = statSync(place)
  for (const name of readdirSync(dirname(place))) {
    const file = join(dirname(place), name)
    if (!name.startsWith(basename(place) + KEPT) || existsSync(`${file}-wal`)) continue
    const other = statSync(file)
    if (other.ino === ino && other.dev === dev) rmSync(file)
  }
}

/** Also what SQLite puts beside a file. */
export function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}

/** False if the file is too damaged for it, or somebody reads it. */
function foldLog(path: string): boolean {
  try {
    const client = new Database(path, { readwrite: true })
    try {
      const statement = client.prepare('PRAGMA wal_checkpoint(TRUNCATE)')
      const busy = statement.values()[0]?.[0]
      statement.finalize()
      return busy === 0
    } finally {
      client.close()
    }
  } catch {
    return false
  }
}
