/**
 * What backups ask of the engine, for the database that the URL names. A backup is a dump as pg_dump makes it, so that
 * PostgreSQL's own programs can restore it without us.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import type { BackupEngine, Lock, SharedBackups } from '../../../domain/backup.ts'
import type { DatabaseUrl } from '../../../domain/database-url.ts'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { StoreInUse } from '../../../errors.ts'
import { tryLock } from '../../../lib/process/lock-file.ts'
import { withClient, withSnapshot } from '../snapshot.ts'
import type { Tx } from '../transact.ts'
import { countsIn, dumpDatabase } from './copy.ts'
import { refuseServed, replaceByDump } from './restore.ts'
import { examineDump } from './verify.ts'

/** The row of `chores` that is about backups. */
const CHORE = 'backup'

/** `directory` is that of the backups, where unfinished work lies, too. */
export function createPostgresBackups(
  { addresses }: Extract<DatabaseUrl, { kind: 'postgres' }>,
  directory: string,
): BackupEngine {
  return {
    extension: 'dump',
    shared: sharedBackups(addresses),
    stagingPath: join(directory, '.restoring.dump'),
    remove: (file) => rmSync(file, { force: true }),
    lock: tryLock,
    // Whoever asks the server is told.
    mustExist() {},
    bytes: () => bytesOf(addresses),
    copy: (to) => dumpDatabase(addresses, to),
    examine: (file) => examineDump(addresses, file),
    counts: () => withSnapshot(addresses, countsIn).catch(() => null),
    lockDatabase: () => lockDatabase(addresses, directory),
    replace: (file, at) => replaceByDump(addresses, file, at),
  }
}

/** What is refused here is refused again when the database is replaced, by whoever has begun to serve it meanwhile. */
async function lockDatabase(
  addresses: readonly PostgresAddress[],
  directory: string,
): Promise<Lock> {
  // A restore may be the first that ever happens here.
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = tryLock(join(directory, '.restore.lock'))
  if (!lock) throw new StoreInUse('Another backup is being restored. Wait until that has ended.')
  try {
    await withSnapshot(addresses, refuseServed)
    return lock
  } catch (error) {
    lock.release()
    throw error
  }
}

async function bytesOf(addresses: readonly PostgresAddress[]): Promise<number> {
  return await withSnapshot(addresses, async (tx) => {
    const { rows } = await tx.execute<{ bytes: number }>(sql`
      SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class
      WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`)
    return rows[0]?.bytes ?? 0
  })
}

function sharedBackups(addresses: readonly PostgresAddress[]): SharedBackups {
  return {
    claim: (due) =>
      withClient(addresses, async (tx) => {
        const { rowCount } = await tx.execute(sql`
          INSERT INTO chores (name, due) VALUES (${CHORE}, ${due})
          ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE chores.due < excluded.due`)
        return rowCount === 1
      }),
    read: () => withClient(addresses, readBackupRecord),
    async write(record) {
      await withClient(addresses, async (tx) => {
        await tx.execute(sql`
          INSERT INTO chores (name, due, record) VALUES (${CHORE}, 0, ${JSON.stringify(record)}::jsonb)
          ON CONFLICT (name) DO UPDATE SET record = excluded.record`)
      })
    },
  }
}

/** What the servers of the database have noted of backups; null if nothing. */
export async function readBackupRecord(tx: Pick<Tx, 'execute'>): Promise<unknown> {
  const { rows } = await tx.execute<{ record: unknown }>(
    sql`SELECT record FROM chores WHERE name = ${CHORE}`,
  )
  return rows[0]?.record ?? null
}
