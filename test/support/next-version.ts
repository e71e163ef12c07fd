/** A version that is not written yet, as far as a database knows of it: its migrations, and one who makes them. */
import { Pool } from '../../src/db/postgres/connection.ts'
import { type Migration, migrate } from '../../src/db/postgres/migrate.ts'
import { POSTGRES_MIGRATIONS } from '../../src/db/postgres/migrations.gen.ts'
import { readDatabaseUrl } from '../../src/domain/database-url.ts'

/** Which the present version understands. */
export const NEXT: Migration = {
  name: '9000_next',
  sql: `-- oldest: ${POSTGRES_MIGRATIONS[0]?.name}\nALTER TABLE keys ADD COLUMN next text`,
}

/** Which it does not. */
export const AFTER: Migration = { name: '9001_after', sql: 'ALTER TABLE keys DROP COLUMN next' }

/** To the present schema, and what is given beyond it. Resolves with the names of what was missing. */
export async function upgrade(url: string, ...more: Migration[]): Promise<string[]> {
  const database = readDatabaseUrl(url)
  if (database.kind !== 'postgres') throw new Error(`${url} is not of PostgreSQL`)
  const pool = new Pool(database.addresses)
  try {
    return await migrate(pool, [...POSTGRES_MIGRATIONS, ...more], 0)
  } finally {
    await pool.close()
  }
}
