/** Keeps a data directory to one process, where a database is served by several. */
import { join } from 'node:path'
import { readDatabaseUrl } from '../domain/database-url.ts'
import { tryLock } from '../lib/process/lock-file.ts'

/** A lock that nobody remembers would be collected, and with it let go. */
const kept: unknown[] = []

/**
 * Replicas are told apart by their directories, so each keeps its own for as long as it lives. Returns whether the database may
 * have replicas. Throws an Error if another process has the directory.
 */
export function lockDataDir(config: {
  readonly dataDir: string
  readonly databaseUrl: string
}): boolean {
  if (readDatabaseUrl(config.databaseUrl).kind !== 'postgres') return false
  const lock = tryLock(join(config.dataDir, 'replica.lock'))
  if (!lock) {
    throw new Error(
      `Another quota-proxy already serves from the data directory ${config.dataDir}. Give each replica a DATA_DIR of its own.`,
    )
  }
  kept.push(lock)
  return true
}
