/** Opens the database that the URL names and hands out the ports that are kept in it. Nobody else knows the engine. */
import { closeSync, openSync } from 'node:fs'
import type { FindCredential, KeyStore } from '../modules/keys/store.ts'
import type { UsageStore } from '../modules/usage/store.ts'
import type { Ledger } from '../quota/ledger.ts'
import { migrate } from './migrate.ts'
import { SQLITE_MIGRATIONS } from './migrations.gen.ts'
import { type Durability, openDatabase } from './sqlite/client.ts'
import { createEntries } from './sqlite/entries.ts'
import { createFindCredential, createKeyStore } from './sqlite/keys.ts'
import { createLedger, type LedgerEvents } from './sqlite/ledger.ts'
import { lockDatabase } from './sqlite/lock.ts'
import { createUsageStore } from './sqlite/usage.ts'

export type Store = {
  readonly find: FindCredential
  readonly ledger: Ledger & { readonly failing: boolean }
  readonly keys: KeyStore
  readonly usage: UsageStore
  /** Names of the migrations that were applied now. */
  readonly migrated: readonly string[]
  /** Calls that a crash had left open; they are settled as `interrupted`. */
  readonly interrupted: number
  /** Writes everything into the database file itself and lets go of it. */
  close(): void
}

/** Throws an AppError that says what to do if the database is in use, newer than this binary, or not to be opened. */
export function openStore(
  url: string,
  durability: Durability,
  events: LedgerEvents,
  at: number,
): Store {
  const path = url === ':memory:' ? url : url.slice('file:'.length)
  if (path !== ':memory:') createPrivate(path)
  const lock = lockDatabase(path)
  try {
    const client = openDatabase(path, durability)
    const migrated = migrate(client, SQLITE_MIGRATIONS, at)
    const interrupted = client
      .transaction(() => createEntries(client).resolveInterrupted())
      .immediate()
    return {
      find: createFindCredential(client),
      ledger: createLedger(client, events),
      keys: createKeyStore(client),
      usage: createUsageStore(client),
      migrated,
      interrupted,
      close() {
        // An unfinalized statement would skip the checkpoint that closing does.
        if (path !== ':memory:') client.run('PRAGMA wal_checkpoint(TRUNCATE)')
        client.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** SQLite gives the files beside a database the mode of the database; only this one has to be made private. */
function createPrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600))
  closeSync(openSync(`${path}.lock`, 'a', 0o600))
}
