/**
 * The admin API without a server: the same code on the same database, within this process and for as long as one command.
 * Nothing listens, no schedule runs, and no server can start meanwhile.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Config } from '../config/options.ts'
import { openDataDir } from '../data-dir/directory.ts'
import { newSecretKey, openSecretKeys } from '../data-dir/secret-key.ts'
import { formatDatabaseUrl, readDatabaseUrl } from '../domain/database-url.ts'
import { systemClock } from '../lib/clock.ts'
import { createSealer, type Keys } from '../lib/seal.ts'
import type { Admin, Answer } from './admin.ts'

/** Throws if another process has the database, or if there is none and the command `creates` none. */
export async function openInProcess(config: Config, creates: boolean): Promise<Admin> {
  const { databaseUrl, dataDir } = config
  const database = readDatabaseUrl(databaseUrl)
  if (database.kind === 'memory') {
    throw new Error(
      'No server runs on this data directory, and DATABASE_URL=:memory: exists only in one that runs.',
    )
  }
  const { path } = database
  if (!creates && !existsSync(path)) {
    throw new Error(
      `There is no database at ${path}, and no server runs. Set DATA_DIR or DATABASE_URL to the one that is served, or give --url.`,
    )
  }
  // As the server does: whatever is created is for this user alone.
  process.umask(0o077)
  openDataDir(dataDir)
  return await open(config, openSecretKeys(config))
}

/** A database that is empty and gone with the process, to try out what a server would say. */
export function openRehearsal(config: Config): Promise<Admin> {
  const key = newSecretKey()
  const databaseUrl = formatDatabaseUrl({ kind: 'memory' })
  return open({ ...config, databaseUrl }, { all: () => [key], create: () => key })
}

async function open(config: Config, secretKeys: Keys): Promise<Admin> {
  // Loaded here so that the other commands start without the database and the web framework.
  const [{ createApp }, { openStore }, { createLog }] = await Promise.all([
    import('../app.ts'),
    import('../db/open.ts'),
    import('../lib/log.ts'),
  ])
  const { callsRetentionDays: callsDays, callsMax, usageRetentionDays: usageDays } = config
  const store = await openStore(
    {
      url: config.databaseUrl,
      durability: config.durability,
      retention: () => ({ callsDays, callsMax, usageDays }),
      events: { onFailure() {}, onRecovery() {}, onRejected() {} },
      sealer: createSealer(secretKeys),
    },
    systemClock(),
  )
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
    return {
      way: 'process',
      request: async (method, path, body) =>
        await answer(await api.fetch(request(token, method, path, body))),
      close: store.close,
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

function request(token: string, method: string, path: string, body: unknown): Request {
  return new Request(`http://localhost${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

async function answer(response: Response): Promise<Answer> {
  const text = await response.text()
  try {
    return { status: response.status, body: JSON.parse(text) }
  } catch {
    return { status: response.status, body: text }
  }
}
