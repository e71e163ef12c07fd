/** Opens the database that the URL names and hands out the ports that are kept in it. Nobody else knows the engine. */
import type { Database } from 'bun:sqlite'
import { closeSync, existsSync, openSync } from 'node:fs'
import type { Examination } from '../domain/doctor.ts'
import type { FindCredential, KeyStore } from '../domain/key.ts'
import type { ReadsFor } from '../domain/reads.ts'
import type { UpstreamStore } from '../domain/upstream.ts'
import { AppError } from '../errors.ts'
import type { SteadyClock } from '../lib/clock.ts'
import { errorCode } from '../lib/error-code.ts'
import type { Sealer } from '../lib/seal.ts'
import type { Ledger } from '../quota/ledger.ts'
import { startCheckpoints } from './sqlite/checkpoint.ts'
import {
  type Durability,
  openDatabase,
  readDatabase,
  setAutomaticCheckpoints,
} from './sqlite/client.ts'
import { examineDatabase } from './sqlite/doctor.ts'
import { createEntries } from './sqlite/entries.ts'
import { createFindCredential, createKeyStore } from './sqlite/keys.ts'
import { createLedger, type SqliteLedger } from './sqlite/ledger.ts'
import type { LedgerEvents } from './sqlite/ledger-events.ts'
import { lockDatabase, realPath } from './sqlite/lock.ts'
import { type MigrationView, migrate, migrationsOf } from './sqlite/migrate.ts'
import { SQLITE_MIGRATIONS } from './sqlite/migrations.gen.ts'
import { createPrune, type Prune, type Retention } from './sqlite/prune.ts'
import { createReader } from './sqlite/read/reader.ts'
import { bringBack } from './sqlite/timekeeper.ts'
import { createUpstreamStore } from './sqlite/upstreams.ts'
import { watchFiles } from './sqlite/watch.ts'

export type Store = {
  /** The file; null if it is kept in memory. */
  readonly path: string | null
  readonly find: FindCredential
  readonly ledger: Ledger & Pick<SqliteLedger, 'failing' | 'open' | 'watch'>
  /** Whether calls are refused since nothing can be written; looks at the files at once. */
  isFailing(): boolean
  readonly keys: KeyStore
  readonly upstreams: UpstreamStore
  readonly reads: ReadsFor
  readonly prune: Prune
  /** Names of the migrations that were applied now. */
  readonly migrated: readonly string[]
  /** Calls that a crash had left open; they are settled as `interrupted`. */
  readonly interrupted: number
  /** Looks through everything, on the event loop: for databases in memory, which no other process can see. */
  examine(at: number): Examination
  /**
   * Keeps the WAL short from a thread of its own. Returns what ends it, to be awaited before `close`. A database in memory
   * has no WAL.
   */
  startCheckpoints(onError: (error: string) => void): () => Promise<void>
  /**
   * Answers `reads` from a thread of its own from now on. Returns what ends it, to be awaited before `close`. A database in
   * memory can be seen by no other thread: it is read in short slices.
   */
  startReader(): () => Promise<void>
  /** Writes everything into the database file itself and lets go of it. */
  close(): void
}

export type StoreOptions = {
  /** `:memory:` or `file:` and a path. */
  readonly url: string
  readonly durability: Durability
  readonly retention: () => Retention
  readonly events: LedgerEvents
  /** By which calls are let in; without it, each is at the instant that it says. */
  readonly clock?: SteadyClock
  /** Seals what must not stand in the file in readable form. */
  readonly sealer: Sealer
}

/** How soon a clock that was put forward or back is noticed though nobody calls. */
const CLOCK_MS = 1_000

/** Throws an AppError that says what to do if the database is in use, newer than this binary, or not to be opened. */
export function openStore(options: StoreOptions, at: number): Store {
  const { url, durability, retention, events, sealer } = options
  const name = pathOf(url)
  const { path, client, letGo } = openLocked(name, durability)
  let migrated: readonly string[]
  let interrupted: number
  try {
    migrated = migrate(client, SQLITE_MIGRATIONS, at)
    interrupted = client
      .transaction(() => {
        bringBack(client, at)
        return createEntries(client).resolveInterrupted()
      })
      .immediate()
  } catch (error) {
    letGo()
    throw error
  }
  const watch =
    path === ':memory:' ? null : watchFiles(client, { name, path }, () => void isFailing())
  const check = () => {
    const error = watch?.look() ?? null
    if (error !== null) throw error
  }
  const ledger = createLedger(client, events, check, options.clock ?? null)
  const reader = createReader(client)
  const timer = setInterval(ledger.keepTime, CLOCK_MS)
  timer.unref()
  const prune = createPrune(client, retention)
  function isFailing(): boolean {
    const error = watch?.look() ?? null
    // The ledger tries until the files are back.
    if (error !== null && !ledger.failing) ledger.fail(error, () => {})
    return ledger.failing
  }
  return {
    path: path === ':memory:' ? null : path,
    find: noticing(createFindCredential(client), ledger.fail),
    ledger,
    isFailing,
    keys: createKeyStore(client, check),
    upstreams: createUpstreamStore(client, sealer, check),
    reads: reader.reads,
    prune(now) {
      check()
      return ledger.mayForget() && prune(now)
    },
    migrated,
    interrupted,
    examine: (now) => examination(client, path, now),
    startCheckpoints: (onError) =>
      path === ':memory:'
        ? async () => {}
        : startCheckpoints(path, ledger, (on) => setAutomaticCheckpoints(client, on), onError),
    startReader: () => (path === ':memory:' ? async () => {} : reader.start(path)),
    close() {
      clearInterval(timer)
      watch?.stop()
      // An unfinalized statement would skip the checkpoint that closing does.
      if (path !== ':memory:') client.run('PRAGMA wal_checkpoint(TRUNCATE)')
      letGo()
    },
  }
}

/** Opens the database for this process alone. */
function openLocked(name: string, durability: Durability) {
  if (name !== ':memory:') createPrivate(name)
  const path = realPath(name)
  if (name !== ':memory:') createPrivate(`${path}.lock`)
  const lock = lockDatabase(path)
  try {
    const client = openDatabase(path, durability)
    const letGo = () => {
      client.close()
      lock.release()
    }
    return { path, client, letGo }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** A look-up that fails is a failure of the store like any other: nothing is granted until it succeeds. */
function noticing(find: FindCredential, fail: SqliteLedger['fail']): FindCredential {
  return (hash) => {
    try {
      return find(hash)
    } catch (error) {
      fail(error, () => void find(hash))
      throw error
    }
  }
}

/** Whether a database file fits this binary; being served or not, it is not changed. Null if there is none. */
export function migrationStatus(url: string): MigrationView[] | null {
  const path = pathOf(url)
  if (path === ':memory:' || !existsSync(path)) return null
  return readDatabase(path, (client) => migrationsOf(client, SQLITE_MIGRATIONS))
}

/** Examines a database file, whether it is being served or not, and changes nothing in it. Null if there is none. */
export function examineStore(url: string, at: number): Examination | null {
  const path = pathOf(url)
  if (path === ':memory:' || !existsSync(path)) return null
  return readDatabase(path, (client) => examination(client, path, at))
}

function examination(client: Database, path: string, at: number): Examination {
  const findings = examineDatabase(client, path, at)
  return { ok: findings.every(({ ok }) => ok), findings }
}

function pathOf(url: string): string {
  return url === ':memory:' ? url : url.slice('file:'.length)
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
