/**
 * Brings a database to the schema of this binary, under a lock that is held until all is written: of replicas that start at
 * once one does it, and the others find it done. Migrations are known by name and by the hash of their text.
 *
 * Replicas of two versions serve one database while it is upgraded. So a migration only adds, and what nothing needs any more
 * is taken away by a later version. A migration says in its first line which is the oldest schema whose binaries still
 * understand it, such as `-- oldest: 0000_init`; without that line it is itself.
 */
import { createHash } from 'node:crypto'
import type pg from 'pg'
import { AppError } from '../../errors.ts'
import type { MigrationView } from '../store.ts'
import { versionProblem } from './connect/start-problem.ts'
import type { Pool } from './connection.ts'

export type Migration = { readonly name: string; readonly sql: string }

type Applied = {
  readonly name: string
  readonly hash: string
  readonly oldest: string
  readonly applied_at: number
}

/** Any number that nobody else is likely to use: "quota-proxy" has it for what is done by one process alone. */
export const MIGRATION_LOCK = 7_826_835_621

/** Applies what is missing, in order, and returns the names of what it applied. */
export async function migrate(
  pool: Pool,
  migrations: readonly Migration[],
  at: number,
  onMigrated: (share: number) => void = () => {},
): Promise<string[]> {
  await refuseOldServer(pool)
  const client = await pool.pool.connect()
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK])
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, hash text NOT NULL, oldest text NOT NULL, applied_at bigint NOT NULL)',
    )
    const names = await apply(client, migrations, at, onMigrated)
    await client.query('COMMIT')
    client.release()
    return names
  } catch (error) {
    client.release(true)
    throw error instanceof AppError ? error : pool.noted(error)
  }
}

async function refuseOldServer(pool: Pool): Promise<void> {
  const [row] = await pool.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::integer AS version",
  )
  const problem = versionProblem(row?.version ?? 0)
  if (problem) throw problem
}

async function apply(
  client: pg.PoolClient,
  migrations: readonly Migration[],
  at: number,
  onMigrated: (share: number) => void,
): Promise<string[]> {
  const { rows } = await client.query<Applied>('SELECT * FROM schema_migrations ORDER BY name')
  refuseForeign(rows, migrations)
  const done = new Set(rows.map(({ name }) => name))
  const missing = migrations.filter(({ name }) => !done.has(name))
  for (const migration of missing) {
    const statements = migration.sql.split('--> statement-breakpoint')
    for (const statement of statements) {
      await client.query(statement)
      onMigrated(1 / statements.length)
    }
    await client.query('INSERT INTO schema_migrations VALUES ($1, $2, $3, $4)', [
      migration.name,
      hash(migration.sql),
      oldestOf(migration),
      at,
    ])
  }
  return missing.map(({ name }) => name)
}

/** Throws if this binary cannot serve the database as it is. */
export function refuseForeign(applied: readonly Applied[], migrations: readonly Migration[]): void {
  const newest = migrations.at(-1)?.name ?? ''
  for (const { name, hash: text, oldest } of applied) {
    const known = migrations.find((migration) => migration.name === name)
    if (known && hash(known.sql) !== text)
      throw problem(
        `The migration "${name}" in the database is not the one in this binary. Use an official build, or restore a backup.`,
      )
    if (!known && oldest > newest)
      throw problem(
        `The database is newer than this binary (it has the migration "${name}"). Use the version that wrote it, or a newer one.`,
      )
  }
}

/** What has been applied and what would be, in order. Changes nothing. */
export async function migrationsOf(
  pool: Pool,
  migrations: readonly Migration[],
): Promise<MigrationView[]> {
  const [found] = await pool.query<{ there: boolean }>(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS there",
  )
  const applied = found?.there
    ? await pool.query<Applied>('SELECT * FROM schema_migrations ORDER BY name')
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

function oldestOf({ name, sql }: Migration): string {
  return /^-- oldest: (\S+)$/m.exec(sql)?.[1] ?? name
}

function hash(sql: string): string {
  return createHash('sha256').update(sql).digest('hex')
}

function problem(text: string): AppError {
  return new AppError('storage_unavailable', text)
}
