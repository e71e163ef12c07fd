/** Reads the database as any second process would: with nothing of the server's own code, and without writing to it. */
import { Database } from 'bun:sqlite'
import type { Account, Books, EntryRecord } from './evidence.ts'

const ENTRIES = `SELECT calls.seq, keys.id AS keyId, requests_charged AS charged, outcome
  FROM calls JOIN keys ON keys.seq = calls.key_seq`

const ACCOUNTS = `SELECT id,
  (SELECT coalesce(sum(used), 0) FROM counters JOIN limits ON limits.id = limit_id WHERE key_seq = keys.seq) AS used,
  (SELECT coalesce(sum(pruned), 0) FROM counters JOIN limits ON limits.id = limit_id WHERE key_seq = keys.seq) AS pruned,
  coalesce(entries, 0) AS entries, coalesce(charged, 0) AS charged,
  (SELECT coalesce(sum(requests), 0) FROM holds WHERE key_seq = keys.seq) AS held,
  (SELECT coalesce(sum(requests), 0) FROM usage_hourly WHERE key_seq = keys.seq) AS rolledUp
  FROM keys LEFT JOIN (SELECT key_seq, count(*) AS entries, sum(requests_charged) AS charged FROM calls GROUP BY key_seq)
    ON key_seq = keys.seq`

export function readBooks(path: string): Books {
  return withDatabase(path, (database) => {
    const entries = database.query<EntryRecord & { seq: number }, []>(ENTRIES).all()
    const accounts = database.query<Account & { id: string }, []>(ACCOUNTS).all()
    const checks = database.query<{ integrity_check: string }, []>('PRAGMA integrity_check').all()
    return {
      entries: new Map(entries.map(({ seq, ...entry }) => [seq, entry])),
      accounts: new Map(accounts.map(({ id, ...account }) => [id, account])),
      integrity: checks.map((row) => row.integrity_check).join('; '),
    }
  })
}

/** How many calls the books believe to be in flight. */
export function countHolds(path: string): number {
  return withDatabase(
    path,
    (database) =>
      database.query<{ n: number }, []>('SELECT count(*) AS n FROM holds').get()?.n ?? 0,
  )
}

function withDatabase<T>(path: string, read: (database: Database) => T): T {
  const database = new Database(path, { readonly: true })
  try {
    return read(database)
  } finally {
    database.close()
  }
}
