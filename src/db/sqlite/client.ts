/**
 * Opens the SQLite file with the settings that the promises rest on, and reads them back: a pragma that did not take
 * would otherwise go unnoticed.
 */
import { Database } from 'bun:sqlite'
import type { Durability } from '../store.ts'

/** Older versions can corrupt a WAL database when two connections checkpoint at once (sqlite.org/wal.html#walresetbug). */
const VERSION_MIN = '3.51.3'

/**
 * Bounds how long another process (a shell, a backup) can make the event loop wait: everything stands still meanwhile,
 * health checks too. Past it the call is refused. Writers that mean well are done within a few milliseconds.
 */
const BUSY_TIMEOUT_MS = 250

/** 16 MiB of pages: the hot part of a million keys, and a fraction of the memory goal. */
const CACHE_KIB = 16 * 1024

/** 64 MiB. For when there is no checkpoint thread, which acts long before. */
const WAL_PAGES_MAX = 16_384

export function openDatabase(path: string, durability: Durability): Database {
  const client = new Database(path, { create: true, readwrite: true, strict: true })
  try {
    configure(client, path, durability)
  } catch (error) {
    client.close()
    throw error
  }
  return client
}

/** Off while the checkpoint thread does them. */
export function setAutomaticCheckpoints(client: Database, on: boolean): void {
  client.run(`PRAGMA wal_autocheckpoint = ${on ? WAL_PAGES_MAX : 0}`)
}

/** Longer than any server has the whole file for itself: while it opens it, migrates it, or reads a crashed one's log. */
const READ_WAIT_MS = 10_000

/** For whoever changes nothing in a database file, which may be served meanwhile. */
export function openReadOnly(path: string): Database {
  const client = new Database(path, { readonly: true, strict: true })
  client.run(`PRAGMA busy_timeout = ${READ_WAIT_MS}`)
  return client
}

/** Looks into a database file and changes nothing. */
export function readDatabase<T>(path: string, look: (client: Database) => T): T {
  const client = openReadOnly(path)
  try {
    return look(client)
  } finally {
    client.close()
  }
}

function configure(client: Database, path: string, durability: Durability): void {
  const version = read(client, 'SELECT sqlite_version()')
  if (Bun.semver.order(version, VERSION_MIN) < 0) {
    throw new Error(`SQLite ${version} is too old: ${VERSION_MIN} or newer is needed.`)
  }
  // First, so that the pragmas after it wait for a lock instead of failing (bun#5621).
  client.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  client.run('PRAGMA journal_mode = WAL')
  // In WAL mode NORMAL survives the death of the process, FULL the loss of power too.
  client.run(`PRAGMA synchronous = ${durability}`)
  client.run('PRAGMA foreign_keys = ON')
  setAutomaticCheckpoints(client, true)
  client.run(`PRAGMA cache_size = -${CACHE_KIB}`)
  client.run(`PRAGMA journal_size_limit = ${128 * 1024 * 1024}`)
  client.run('PRAGMA trusted_schema = OFF')

  expect(client, 'PRAGMA journal_mode', path === ':memory:' ? 'memory' : 'wal')
  expect(client, 'PRAGMA synchronous', durability === 'full' ? '2' : '1')
  expect(client, 'PRAGMA foreign_keys', '1')
}

function expect(client: Database, pragma: string, wanted: string): void {
  const value = read(client, pragma)
  if (value !== wanted) throw new Error(`SQLite answered "${value}" to ${pragma}, not "${wanted}".`)
}

function read(client: Database, sql: string): string {
  return String(client.query(sql).values()[0]?.[0])
}
