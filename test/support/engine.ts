/**
 * The engine that a run of the tests is on: SQLite, or PostgreSQL with DATABASE=postgres. There each data directory has a
 * database of its own on the one server of the run, so that whoever starts on that directory again finds its data.
 */
import { test } from 'bun:test'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const onPostgres = process.env['DATABASE'] === 'postgres'

/** A test of what only a database in a file does. */
export const testOfFiles = test.skipIf(onPostgres)

const urls = new Map<string, Promise<string>>()
/** Those that are there. */
const known = new Map<string, string>()

/** What whoever runs quota-proxy on a data directory has in the environment for it. A database is made if there is none yet. */
export async function databaseEnv(
  env: Readonly<Record<string, string>>,
  dataDir = env['DATA_DIR'],
): Promise<Record<string, string>> {
  if (!onPostgres || dataDir === undefined || isNamed(env)) return {}
  return { DATABASE_URL: await urlOf(dataDir) }
}

/**
 * The same, for a server. One that may have replicas is given its admin token, or it says that it should be: here in the file
 * where commands look for it.
 */
export async function serverEnv(
  env: Readonly<Record<string, string>>,
  dataDir: string,
): Promise<Record<string, string>> {
  const here = await databaseEnv(env, dataDir)
  const isGiven = env['ADMIN_TOKEN'] !== undefined || env['ADMIN_TOKEN_FILE'] !== undefined
  if (here['DATABASE_URL'] === undefined || isGiven) return here
  const file = join(dataDir, 'admin-token')
  if (!existsSync(file)) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    writeFileSync(file, crypto.randomUUID(), { mode: 0o600 })
  }
  return { ...here, ADMIN_TOKEN_FILE: file }
}

/** As `databaseEnv`, for a data directory that was served before. */
export function knownDatabaseEnv(env: Readonly<Record<string, string>>): Record<string, string> {
  const url = known.get(resolve(env['DATA_DIR'] ?? ''))
  return url === undefined || isNamed(env) ? {} : { DATABASE_URL: url }
}

function isNamed(env: Readonly<Record<string, string>>): boolean {
  return env['DATABASE_URL'] !== undefined
}

function urlOf(dataDir: string): Promise<string> {
  const place = resolve(dataDir)
  let url = urls.get(place)
  if (!url) {
    url = newUrl(place)
    urls.set(place, url)
  }
  return url
}

/** Loaded only if it is wanted: on SQLite no test needs a server. */
async function newUrl(place: string): Promise<string> {
  const { newInstallation } = await import('./postgres.ts')
  const url = await newInstallation()
  known.set(place, url)
  return url
}
