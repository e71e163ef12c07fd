/** Makes the database of a running server fail, as one does that somebody else has locked or that nobody can reach. */
import { Database } from 'bun:sqlite'
import type { TestServer } from './server.ts'

/** Returns a function that makes it well again. */
export async function failStore({ database }: TestServer): Promise<() => Promise<void>> {
  return database.startsWith('postgres:') ? closeDoors(database) : lock(database)
}

function lock(path: string): () => Promise<void> {
  const locker = new Database(path)
  locker.run('BEGIN IMMEDIATE')
  return async () => {
    locker.run('ROLLBACK')
    locker.close()
  }
}

/** Nobody may connect, and who is connected is not any more. */
async function closeDoors(url: string): Promise<() => Promise<void>> {
  const { sql } = await import('./postgres.ts')
  const other = new URL(url)
  const name = other.pathname.slice(1)
  other.pathname = '/postgres'
  const allow = (may: boolean) => sql(other.href, `ALTER DATABASE ${name} ALLOW_CONNECTIONS ${may}`)
  await allow(false)
  await sql(
    other.href,
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1',
    [name],
  )
  return async () => {
    await allow(true)
  }
}
