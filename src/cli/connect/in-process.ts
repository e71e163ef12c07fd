/** Opens the admin API within this process, on the database itself, where no server runs on this data directory. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Config } from '../../config/options.ts'
import { openDataDir } from '../../data-dir/directory.ts'
import { newSecretKey, openSecretKeys } from '../../data-dir/secret-key.ts'
import {
  type DatabaseUrl,
  formatDatabaseUrl,
  nameOf,
  readDatabaseUrl,
} from '../../domain/database-url.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Keys } from '../../lib/seal.ts'
import { openLocal } from '../local-store.ts'
import { type Admin, type Call, read, speak } from './speak.ts'

/** Throws if another process has the database, or if there is none and it `creates` none. */
export async function openInProcess(config: Config, creates: boolean): Promise<Admin> {
  const database = readDatabaseUrl(config.databaseUrl)
  if (database.kind === 'memory') {
    throw new Error(
      'No server runs on this data directory, and DATABASE_URL=:memory: exists only in one that runs.',
    )
  }
  if (!creates && !(await isThere(database))) {
    throw new Error(
      `There is no database at ${nameOf(database)}, and no server runs. Set DATA_DIR or DATABASE_URL to the one that is served, or give --url. To begin a new one, start the server, or add --create to the command that issues its first key.`,
    )
  }
  // As the server does: whatever is created is for this user alone.
  process.umask(0o077)
  openDataDir(config.dataDir)
  return await serveInProcess(config, openSecretKeys(config))
}

async function isThere(database: DatabaseUrl): Promise<boolean> {
  if (database.kind === 'file') return existsSync(database.path)
  const { migrationStatus } = await import('../../db/open.ts')
  const migrations = await migrationStatus(formatDatabaseUrl(database))
  return migrations?.some(({ state }) => state !== 'pending') ?? false
}

/** A database that is empty and gone with the process, to try out what a server would say. */
export function openRehearsal(config: Config): Promise<Admin> {
  const key = newSecretKey()
  const keys = { all: () => [key], create: () => key }
  return serveInProcess({ ...config, databaseUrl: formatDatabaseUrl({ kind: 'memory' }) }, keys)
}

/** Nothing listens, no schedule runs, and no server can start meanwhile. */
async function serveInProcess(config: Config, secretKeys: Keys): Promise<Admin> {
  // Loaded here so that the other commands start without the web framework.
  const [{ createApp }, { createLog }] = await Promise.all([
    import('../../app.ts'),
    import('../../lib/log.ts'),
  ])
  const store = await openLocal(config, secretKeys)
  const token = randomBytes(32).toString('hex')
  try {
    const { api } = await createApp({
      settings: () => config,
      adminToken: () => token,
      store,
      log: createLog('silent', 'json'),
      clock: systemClock,
      readiness: () => 'ready',
      tracer: null,
      certificateExpiresAt: () => null,
      callsMax: 0,
    })
    const call: Call = async (path, init) =>
      await read(await api.fetch(new Request(`http://localhost${path}`, init)))
    return speak('process', token, call, store.close)
  } catch (error) {
    await store.close()
    throw error
  }
}
