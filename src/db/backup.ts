/** Backups of the database that the URL names. Nobody else knows the engine. */
import type { BackupEngine } from '../domain/backup.ts'
import { readDatabaseUrl } from '../domain/database-url.ts'

/**
 * Null for a database in memory, which no other process can see and nothing outlives. `directory` is that of the backups.
 * What an engine needs and has not is told when it is used.
 */
export async function createBackupEngine(
  url: string,
  directory: string,
): Promise<BackupEngine | null> {
  const database = readDatabaseUrl(url)
  if (database.kind !== 'postgres') {
    const { createSqliteBackups } = await import('./sqlite/backup/engine.ts')
    return createSqliteBackups(database)
  }
  const { createPostgresBackups } = await import('./postgres/backup/engine.ts')
  return createPostgresBackups(database, directory)
}
