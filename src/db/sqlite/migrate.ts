/**
 * Brings a database to the schema of this binary. Migrations are known by name and by the hash of their text, each is
 * applied in one transaction, and a database that this binary does not understand is refused untouched. drizzle's own
 * migrator wants a folder on disk and skips by timestamp (docs/adr/0004-own-migrator.md).
 */
import type { Database } from 'bun:sqlite'
import { createHash } from 'node:crypto'
import { AppError } from '../../errors.ts'
import type { MigrationView } from '../store.ts'

export type Migration = { readonly name: string; readonly sql: string }

/** Told of each share of a migration that is done. */
export type OnMigrated = (share: number) => void

/** Applies what is missing, in order, and returns the names of what it applied. */
export function migrate(
  client: Database,
  migrations: readonly Migration[],
  at: number,
  onMigrated: OnMigrated = () => {},
): string[] {
  client.run(
    'CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, hash TEXT NOT NULL, applied_at INTEGER NOT NULL)',
  )
  // A table rebuild inside a transaction would cascade its deletes: foreign keys can only be turned off outside one
  // (drizzle-orm#5782).
  client.run('PRAGMA foreign_keys = OFF')
  try {
    return client.transaction(() => apply(client, migrations, at, onMigrated)).immediate()
  } finally {
    client.run('PRAGMA foreign_keys = ON')
  }
}

function apply(
  client: Database,
  migrations: readonly Migration[],
  at: number,
  onMigrated: OnMigrated,
): string[] {
  const done = new Set(appliedMigrations(client, migrations))
  const missing = migrations.filter((migration) => !done.has(migration.name))
  for (const { name, sql } of missing) {
    const statements = sql.split('--> statement-breakpoint')
    for (const statement of statements) {
      client.run(statement)
      onMigrated(1 / statements.length)
    }
    client.run('INSERT INTO schema_migrations (name, hash, applied_at) VALUES (?, ?, ?)', [
      name,
      hash(sql),
      at,
    ])
  }
  const broken = client.query('PRAGMA foreign_key_check').all()
  if (broken.length > 0)
    throw new Error(`Migrating would break ${broken.length} foreign keys; nothing was changed.`)
  return missing.map((migration) => migration.name)
}

/** Names of those that a database has. Throws if this binary does not know one of them. */
export function appliedMigrations(client: Database, migrations: readonly Migration[]): string[] {
  const applied = client
    .query<{ name: string; hash: string }, []>(
      'SELECT name, hash FROM schema_migrations ORDER BY name',
    )
    .all()
  refuseUnknown(applied, migrations)
  return applied.map((row) => row.name)
}

/** What has been applied and what would be, in order. Changes nothing. */
export function migrationsOf(client: Database, migrations: readonly Migration[]): MigrationView[] {
  const hasTable = client
    .query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'")
    .get()
  const applied = hasTable
    ? client
        .query<{ name: string; hash: string; applied_at: number }, []>(
          'SELECT name, hash, applied_at FROM schema_migrations ORDER BY name',
        )
        .all()
    : []
  const done = applied.map(({ name, hash: text, applied_at: appliedAt }): MigrationView => {
    const known = migrations.find((migration) => migration.name === name)
    const state = known ? (hash(known.sql) === text ? 'applied' : 'changed') : 'unknown'
    return { name, state, appliedAt }
  })
  const pending = migrations.filter(({ name }) => !applied.some((row) => row.name === name))
  return [
    ...done,
    ...pending.map(({ name }): MigrationView => ({ name, state: 'pending', appliedAt: null })),
  ]
}

function refuseUnknown(
  applied: { name: string; hash: string }[],
  migrations: readonly Migration[],
): void {
  for (const row of applied) {
    const known = migrations.find((migration) => migration.name === row.name)
    if (!known) {
      throw new AppError(
        'storage_unavailable',
        `The database is newer than this binary (it has the migration "${row.name}"). Use the version that wrote it, or a newer one.`,
      )
    }
    if (hash(known.sql) !== row.hash) {
      throw new AppError(
        'storage_unavailable',
        `The migration "${row.name}" in the database is not the one in this binary. Use an official build, or restore a backup.`,
      )
    }
  }
}

function hash(sql: string): string {
  return createHash('sha256').update(sql).digest('hex')
}
