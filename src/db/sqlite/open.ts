/** Keeps the ports of a store in one SQLite file, or in memory. */
import type { Database } from 'bun:sqlite'
import { closeSync, existsSync, openSync } from 'node:fs'
import type { DatabaseUrl } from '../../domain/database-url.ts'
import type { Capabilities, Examination, Examining, Replicas } from '../../domain/store.ts'
import { AppError } from '../../errors.ts'
import { errorCode } from '../../lib/error-code.ts'
import { createInFlightUnits } from '../ledger/in-flight-units.ts'
import { GroupLedger } from '../ledger/ledger.ts'
import { createTimekeeper } from '../ledger/timekeeper.ts'
import type { Durability, MigrationView, Store, StoreOptions } from '../store.ts'
import { startCheckpoints } from './checkpoint.ts'
import { openDatabase, readDatabase, setAutomaticCheckpoints } from './client.ts'
import { examineDatabase } from './doctor.ts'
import { createFindCredential } from './keys/credentials.ts'
import { createKeyStore } from './keys/key-store.ts'
import { createFindStandings } from './keys/standings.ts'
import { bringBack } from './ledger/buckets.ts'
import { createSqliteLedger } from './ledger/engine.ts'
import { resolveInterrupted } from './ledger/interrupted.ts'
import { createPrune } from './ledger/prune.ts'
import { lockDatabase, realPath } from './lock.ts'
import { migrate, migrationsOf } from './migrate.ts'
import { SQLITE_MIGRATIONS } from './migrations.gen.ts'
import { createReader } from './read/reader.ts'
import { ask, type Check } from './transact.ts'
import { createUpstreamStore } from './upstreams.ts'
import { viewDatabase } from './view.ts'

import { type FileWatch, watchFiles } from './watch.ts'

/** SQLite's own name for a database that is in no file. */
const IN_MEMORY = ':memory:'

/** How soon a clock that was put forward or back is noticed though nobody calls. */
const CLOCK_MS = 1_000

type Opened = {
  readonly client: Database
  /** Null in memory. */
  readonly path: string | null
  readonly letGo: () => void
}

/** Throws an AppError that says what to do if the database is in use, newer than this binary, or cannot be opened. */
export function openSqlite(database: DatabaseUrl, options: StoreOptions, at: number): Store {
  const opened = openLocked(database, options.durability)
  const begun = begin(opened, at)
  const watch = watchOf(database, opened, () => void isFailing())
  const ledger = openLedger(opened.client, options, check)
  const timer = setInterval(() => ledger.keepTime(), CLOCK_MS)
  timer.unref()

  function check(): void {
    const error = watch?.look() ?? null
    if (error !== null) throw error
  }

  function isFailing(): boolean {
    const error = watch?.look() ?? null
    // The ledger tries until the files are back.
    if (error !== null && !ledger.failing) ledger.fail(error)
    return ledger.failing
  }

  return {
    ...begun,
    ...portsOf(opened, options, ledger, check),
    replicas: replicasOf(opened, options, at),
    isFailing,
    async close() {
      clearInterval(timer)
      watch?.stop()
      // An unfinalized statement would skip the checkpoint that closing does.
      if (opened.path !== null) opened.client.run('PRAGMA wal_checkpoint(TRUNCATE)')
      opened.letGo()
    },
  }
}

/** Opens the database for this process alone. */
function openLocked(database: DatabaseUrl, durability: Durability): Opened {
  if (database.kind === 'file') createPrivate(database.path)
  const path = database.kind === 'file' ? realPath(database.path) : null
  if (path !== null) createPrivate(`${path}.lock`)
  const lock = path === null ? null : lockDatabase(path)
  try {
    const client = openDatabase(path ?? IN_MEMORY, durability)
    const letGo = () => {
      client.close()
      lock?.release()
    }
    return { client, path, letGo }
  } catch (error) {
    lock?.release()
    throw error
  }
}

/** Brings the database to the present schema, and ends what a crash has left open. */
function begin(
  { client, letGo }: Opened,
  at: number,
  onMigrated?: (share: number) => void,
): Pick<Store, 'migrated' | 'interrupted'> {
  try {
    const migrated = migrate(client, SQLITE_MIGRATIONS, at, onMigrated)
    const interrupted = client
      .transaction(() => {
        bringBack(client, at)
        return resolveInterrupted(client)
      })
      .immediate()
    return { migrated, interrupted }
  } catch (error) {
    letGo()
    throw error
  }
}

function watchOf(
  database: DatabaseUrl,
  { client, path }: Opened,
  onLost: () => void,
): FileWatch | null {
  if (database.kind !== 'file' || path === null) return null
  return watchFiles(client, { name: database.path, path }, onLost)
}

function openLedger(client: Database, { clock, events }: StoreOptions, check: Check): GroupLedger {
  const held = createInFlightUnits()
  const engine = createSqliteLedger(client, check, held)
  return new GroupLedger({ engine, held, events, time: createTimekeeper(clock ?? null) })
}

function portsOf(
  { client, path }: Opened,
  { retention, sealer }: StoreOptions,
  ledger: GroupLedger,
  check: Check,
): Omit<Store, 'migrated' | 'interrupted' | 'isFailing' | 'replicas' | 'close'> {
  const reader = createReader(client)
  const prune = createPrune(client, retention)
  return {
    capabilities: capabilitiesOf(path),
    find: createFindCredential(client, (error, again) => ledger.fail(error, again)),
    standings: createFindStandings(client),
    ledger,
    keys: createKeyStore(client, check),
    upstreams: createUpstreamStore(client, sealer, check),
    // Nobody else serves it.
    watchUpstreams() {},
    reads: reader.reads,
    backupRecord: null,
    prune: (now) =>
      ask(() => {
        check()
        return ledger.mayForget() && prune(now)
      }),
    examine: (now, how) => ask(() => examination(client, path, now, how)),
    startCheckpoints: (onError) =>
      path === null
        ? async () => {}
        : startCheckpoints(path, ledger, (on) => setAutomaticCheckpoints(client, on), onError),
    startReader: () => (path === null ? async () => {} : reader.start(path)),
  }
}

/** No other process serves the database while this one does. */
function replicasOf(
  { client, path }: Opened,
  { replica }: StoreOptions,
  startedAt: number,
): Replicas {
  const id = replica ?? path ?? IN_MEMORY
  return {
    view: (at) => ask(() => viewDatabase(client, { id, startedAt }, at)),
    known: () => ({ serving: 1, leaseMs: null, lost: 0 }),
  }
}

function capabilitiesOf(path: string | null): Capabilities {
  if (path !== null) return { backups: { ok: true }, sharedFile: path }
  const reason = 'A database in memory cannot be backed up.'
  return { backups: { ok: false, reason }, sharedFile: null }
}

/** Null if there is no database. */
export function migrationsOfSqlite(database: DatabaseUrl): MigrationView[] | null {
  if (!isThere(database)) return null
  return readDatabase(database.path, (client) => migrationsOf(client, SQLITE_MIGRATIONS))
}

/** Throws if a server has the database: that one has the schema of its own version. */
export function migrateSqlite(
  database: DatabaseUrl,
  at: number,
  onMigrated: (share: number) => void,
): readonly string[] {
  const opened = openLocked(database, 'full')
  const { migrated } = begin(opened, at, onMigrated)
  opened.letGo()
  return migrated
}

/** Null if there is no database. */
export function examineSqlite(
  database: DatabaseUrl,
  at: number,
  how?: Examining,
): Examination | null {
  if (!isThere(database)) return null
  const { path } = database
  return readDatabase(path, (client) => examination(client, path, at, how))
}

function isThere(database: DatabaseUrl): database is DatabaseUrl & { kind: 'file' } {
  return database.kind === 'file' && existsSync(database.path)
}

function examination(
  client: Database,
  path: string | null,
  at: number,
  how?: Examining,
): Examination {
  const findings = examineDatabase(client, path, at, how)
  return { ok: findings.every(({ ok }) => ok), findings }
}

/** SQLite gives the files beside a database the mode of the database; only these have to be made private. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch (error) {
    throw new AppError(
      'storage_unavailable',
      `The database ${path} cannot be written (${errorCode(error)}). Let this user write to it and to its directory, or set DATA_DIR.`,
    )
  }
}
