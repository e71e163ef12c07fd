/** Opens the database that the URL names, and looks into one that may be served. Nobody else knows the engine. */
import { readDatabaseUrl } from '../domain/database-url.ts'
import type { Examination, Examining } from '../domain/store.ts'
import { explain } from './postgres/connect/start-problem.ts'
import { examineSqlite, migrateSqlite, migrationsOfSqlite, openSqlite } from './sqlite/open.ts'
import type { MigrationView, Store, StoreOptions } from './store.ts'

export type { Store, StoreOptions } from './store.ts'

/** Rejects with an AppError that says what to do if the database is in use, newer than this binary, or cannot be opened. */
export async function openStore(options: StoreOptions, at: number): Promise<Store> {
  const database = readDatabaseUrl(options.url)
  if (database.kind !== 'postgres') return openSqlite(database, options, at)
  // Loaded here so that whoever serves a file starts without the driver.
  const { openPostgres } = await import('./postgres/open.ts')
  return explain(openPostgres(database, options, at))
}

/** Whether a database fits this binary; being served or not, it is not changed. Null if there is none. */
export async function migrationStatus(url: string): Promise<MigrationView[] | null> {
  const database = readDatabaseUrl(url)
  if (database.kind !== 'postgres') return migrationsOfSqlite(database)
  const { migrationsOfPostgres } = await import('./postgres/open.ts')
  return explain(migrationsOfPostgres(database))
}

/** Brings a database to the schema of this binary. Resolves with the names of what it applied. */
export async function migrateStore(
  url: string,
  at: number,
  onMigrated: (share: number) => void,
): Promise<readonly string[]> {
  const database = readDatabaseUrl(url)
  if (database.kind === 'postgres') {
    const { migratePostgres } = await import('./postgres/open.ts')
    return explain(migratePostgres(database, at, onMigrated))
  }
  return migrateSqlite(database, at, onMigrated)
}

/** Examines a database, whether it is being served or not, and changes nothing in it. Null if there is none. */
export async function examineStore(
  url: string,
  at: number,
  how?: Examining,
): Promise<Examination | null> {
  const database = readDatabaseUrl(url)
  if (database.kind !== 'postgres') return examineSqlite(database, at, how)
  const { examinePostgres } = await import('./postgres/open.ts')
  return explain(examinePostgres(database, at, how))
}
