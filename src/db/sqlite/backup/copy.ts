/**
 * Copies the database as it is at one instant, and tells what a copy holds. The copy is made by SQLite itself, from a
 * connection that only reads: who serves the database goes on writing meanwhile.
 */
import type { Database } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import type { Examined, Sums } from '../../../domain/backup.ts'
import { readDatabase } from '../client.ts'
import { unbalancedCounters } from '../ledger/books.ts'
import { appliedMigrations, type Migration } from '../migrate.ts'

/** 64 MiB: what is looked up is spread over the whole file. Halves the time of an examination; more would not help. */
const CACHE_KIB = 64 * 1024

export function mustExist(path: string): void {
  if (existsSync(path)) return
  throw new Error(
    `There is no database at ${path}. Set DATA_DIR or DATABASE_URL to the one that is served.`,
  )
}

export function copyDatabase(path: string, to: string): void {
  mustExist(path)
  readDatabase(path, (client) => client.run('VACUUM INTO ?', [to]))
}

/** Everything is read, so that nothing damaged is taken for whole. */
export function examineFile(path: string, migrations: readonly Migration[]): Examined {
  try {
    return readDatabase(path, (client) => {
      client.run(`PRAGMA cache_size = -${CACHE_KIB}`)
      const isOurs = client.query("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'")
      if (!isOurs.get()) return { ok: false, problem: 'It is no database of quota-proxy.' }
      const applied = appliedMigrations(client, migrations)
      const integrity = String(client.query('PRAGMA integrity_check(10)').values()[0]?.[0])
      if (integrity !== 'ok') return { ok: false, problem: `It is damaged: ${integrity}.` }
      return { ok: true, sums: readSums(client, applied) }
    })
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) }
  }
}

export function countsAt(path: string): Pick<Sums, 'keys' | 'calls'> | null {
  if (!existsSync(path)) return null
  try {
    return readDatabase(path, (client) => ({
      keys: number(client, KEYS),
      calls: number(client, 'SELECT count(*) FROM calls'),
    }))
  } catch {
    return null
  }
}

/** Deleted keys stay as rows, for their usage. */
const KEYS = 'SELECT count(*) FROM keys WHERE deleted_at IS NULL'

function readSums(client: Database, migrations: readonly string[]): Sums {
  const used = (unit: string) =>
    number(
      client,
      `SELECT sum(c.used) FROM counters c JOIN limits l ON l.id = c.limit_id WHERE l.unit = '${unit}'`,
    )
  const newest = client
    .query(
      'SELECT max(seq) FROM (SELECT max(seq) AS seq FROM calls UNION ALL SELECT seq FROM holds)',
    )
    .values()[0]?.[0]
  return {
    migrations,
    keys: number(client, KEYS),
    calls: number(client, 'SELECT count(*) FROM calls'),
    holds: number(client, 'SELECT count(*) FROM holds'),
    newest: newest === null || newest === undefined ? null : Number(newest),
    requests: used('requests'),
    tokens: used('tokens'),
    cost: used('cost'),
    unbalanced: unbalancedCounters(client).length,
    seals: seals(client),
  }
}

/** Databases of the first schema have no upstreams. */
function seals(client: Database): string[] {
  if (!client.query("SELECT 1 FROM sqlite_master WHERE name = 'upstreams'").get()) return []
  const ids = client
    .query(
      "SELECT DISTINCT substr(credential, 4, 8) FROM upstreams WHERE credential LIKE 'v1.%' ORDER BY 1",
    )
    .values()
  return ids.map(([id]) => String(id))
}

function number(client: Database, sql: string): number {
  return Number(client.query(sql).values()[0]?.[0] ?? 0)
}
