/** What backups ask of the engine, for the file that the URL names. */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { BackupEngine } from '../../../domain/backup.ts'
import type { DatabaseUrl } from '../../../domain/database-url.ts'
import { compact } from '../../../lib/clock.ts'
import { tryLock } from '../../../lib/process/lock-file.ts'
import { lockDatabase, realPath } from '../lock.ts'
import { SQLITE_MIGRATIONS } from '../migrations.gen.ts'
import { copyDatabase, countsAt, examineFile, mustExist } from './copy.ts'
import { KEPT, removeDatabase, replaceDatabase } from './restore.ts'

/** Null for a database in memory, which no other process can see and nothing outlives. */
export function createSqliteBackups(database: DatabaseUrl): BackupEngine | null {
  if (database.kind !== 'file') return null
  const { path } = database
  return {
    extension: 'db',
    shared: null,
    stagingPath: `${path}.restoring`,
    remove: removeDatabase,
    lock: tryLock,
    mustExist: () => mustExist(path),
    bytes: async () => statSync(path, { throwIfNoEntry: false })?.size ?? 0,
    async copy(to) {
      copyDatabase(path, to)
      return null
    },
    examine: async (file) => examineFile(file, SQLITE_MIGRATIONS),
    counts: async () => countsAt(path),
    async lockDatabase() {
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
    replace: async (file, at) => replaceDatabase(path, file, freeName(path, at)),
  }
}

/** Whatever was kept before stays. */
function freeName(path: string, at: number): string {
  const name = path + KEPT + compact(at)
  let free = name
  for (let n = 2; existsSync(free) || existsSync(`${free}-wal`); n++) free = `${name}-${n}`
  return free
}
