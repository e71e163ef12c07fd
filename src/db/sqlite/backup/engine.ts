/** What backups ask of the engine, for the database that the URL names. Beside `open.ts`, the only entry to the engine. */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { BackupEngine } from '../../../domain/backup.ts'
import { readDatabaseUrl } from '../../../domain/database-url.ts'
import { compact } from '../../../lib/clock.ts'
import { lockDatabase, realPath, tryLock } from '../lock.ts'
import { SQLITE_MIGRATIONS } from '../migrations.gen.ts'
import { copyDatabase, countsAt, examineFile, mustExist } from './copy.ts'
import { KEPT, removeDatabase, replaceDatabase } from './restore.ts'

/** Null for a database in memory, which no other process can see and nothing outlives. */
export function createBackupEngine(url: string): BackupEngine | null {
  const database = readDatabaseUrl(url)
  if (database.kind === 'memory') return null
  const { path } = database
  return {
    stagingPath: `${path}.restoring`,
    remove: removeDatabase,
    lock: tryLock,
    mustExist: () => mustExist(path),
    bytes: () => statSync(path, { throwIfNoEntry: false })?.size ?? 0,
    copy: (to) => copyDatabase(path, to),
    examine: (file) => examineFile(file, SQLITE_MIGRATIONS),
    counts: () => countsAt(path),
    lockDatabase() {
      // A restore may be the first that ever happens here.
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      const real = realPath(path)
      const lock = lockDatabase(real)
      return {
        release() {
          // While it is still held, and only where there is nothing that another process could serve.
          if (!existsSync(real)) rmSync(`${real}.lock`, { force: true })
          lock.release()
        },
      }
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
