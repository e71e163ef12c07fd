/** What backups ask of the engine, for the database that the URL names. Beside `open.ts`, the only entry to the engine. */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { BackupEngine } from '../../../domain/backup.ts'
import { readDatabaseUrl } from '../../../domain/database-url.ts'
import { compact } from '../../../lib/clock.ts'
import { tryLock } from '../../../lib/process/lock-file.ts'
import { lockDatabase, realPath } from '../lock.ts'
import { SQLITE_MIGRATIONS } from '../migrations.gen.ts'
import { copyDatabase, countsAt, examineFile } from './copy.ts'
import { KEPT, removeDatabase, replaceDatabase } from './restore.ts'

/** Null for a database in memory, which no other process can see and nothing outlives. */
export function createBackupEngine(url: string): BackupEngine | null {
  const database = readDatabaseUrl(url)
  if (database.kind !== 'file') return null
  const { path } = database
  return {
    stagingPath: `${path}.restoring`,
    remove: removeDatabase,
    lock: tryLock,
    bytes: () => statSync(path, { throwIfNoEntry: false })?.size ?? 0,
    copy: (to) => copyDatabase(path, to),
    examine: (file) => examineFile(file, SQLITE_MIGRATIONS),
    counts: () => countsAt(path),
    lockDatabase() {
      // A restore may be the first that ever happens here.
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      return lockDatabase(realPath(path))
    },
    replace: (file, at) => replaceDatabase(path, file, freeName(path, at)),
  }
}

/** Whatever was kept before stays. */
function freeName(path: string, at: number): string {
  const name = path + KEPT + compact(at)
  let free = name
  for (let n = 2; existsSync(free) || existsSync(`${free}-wal`); n++) free = `${name}-${n}`
  return free
}
