/**
 * The shared database as anybody sees it who has a driver and can write SQL: with nothing of the server's own code. It reads
 * the books, and at the end drops what the servers have made.
 */
import pg from 'pg'
import type { Account, Books, EntryRecord } from '../evidence.ts'

const ENTRIES = `SELECT calls.seq::float8 AS seq, keys.id AS "keyId", requests_charged::float8 AS charged, outcome
  FROM calls JOIN keys ON keys.seq = calls.key_seq`

/**
 * A batch of which nobody knew in time whether it was written leaves entries that say `not_sent` and charge nothing: whoever
 * asked was refused, so they are of no call.
 */
const ACCOUNTS = `WITH ended AS (
    SELECT key_seq, count(*) FILTER (WHERE outcome <> 'not_sent' OR requests_charged > 0) AS entries,
      sum(requests_charged) AS charged FROM calls GROUP BY key_seq
  ), counted AS (
    SELECT key_seq, sum(used) AS used, sum(pruned) AS pruned, sum(held) AS held
    FROM counters JOIN limits ON limits.id = limit_id GROUP BY key_seq
  ), open AS (SELECT key_seq, sum(requests) AS held FROM holds GROUP BY key_seq),
  rolled AS (SELECT key_seq, sum(requests) AS requests FROM usage_hourly GROUP BY key_seq)
  SELECT id, coalesce(used, 0)::float8 AS used, coalesce(pruned, 0)::float8 AS pruned,
    coalesce(entries, 0)::float8 AS entries, coalesce(charged, 0)::float8 AS charged,
    greatest(coalesce(counted.held, 0), coalesce(open.held, 0))::float8 AS held,
    coalesce(rolled.requests, 0)::float8 AS "rolledUp"
  FROM keys LEFT JOIN ended ON ended.key_seq = keys.seq LEFT JOIN counted ON counted.key_seq = keys.seq
    LEFT JOIN open ON open.key_seq = keys.seq LEFT JOIN rolled ON rolled.key_seq = keys.seq`

export async function readBooks(url: string): Promise<Books> {
  return await withDatabase(url, async (database) => {
    const entries = (await database.query<EntryRecord & { seq: number }>(ENTRIES)).rows
    const accounts = (await database.query<Account & { id: string }>(ACCOUNTS)).rows
    return {
      entries: new Map(entries.map(({ seq, ...entry }) => [seq, entry])),
      accounts: new Map(accounts.map(({ id, ...account }) => [id, account])),
      integrity: 'ok',
    }
  })
}

/** How many calls the books believe to be in flight, over all replicas. */
export async function countHolds(url: string): Promise<number> {
  return await withDatabase(url, async (database) => {
    const { rows } = await database.query<{ n: number }>('SELECT count(*)::float8 AS n FROM holds')
    return rows[0]?.n ?? 0
  })
}

/** How many replicas others have found dead: nobody else ends one whose lease has not run out. */
export async function countLost(url: string): Promise<number> {
  return await withDatabase(url, async (database) => {
    const { rows } = await database.query<{ n: number }>(
      'SELECT count(*)::float8 AS n FROM replicas WHERE ended_at > lease_until',
    )
    return rows[0]?.n ?? 0
  })
}

/** What no extension has brought, and no table has with a column. */
const OWN = (oid: string) =>
  `NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = ${oid} AND (d.deptype = 'e'
     OR d.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass))`

/** What there is in the schema that a server would use. */
export async function relationsIn(url: string): Promise<string[]> {
  return await withDatabase(url, async (database) => {
    const { rows } = await database.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class c WHERE relnamespace = to_regnamespace(current_schema())
       AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${OWN('c.oid')} ORDER BY relname`,
    )
    return rows.map(({ name }) => name)
  })
}

/** Of a schema in which nothing was before. */
export async function dropAll(url: string): Promise<void> {
  await withDatabase(url, async (database) => {
    const { rows } = await database.query<{ text: string }>(
      `SELECT format('DROP %s IF EXISTS %I CASCADE', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname) AS text
       FROM pg_class c WHERE relnamespace = to_regnamespace(current_schema()) AND relkind IN ('r', 'p', 'S') AND ${OWN('c.oid')}
       UNION ALL
       SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::regprocedure)
       FROM pg_proc p WHERE pronamespace = to_regnamespace(current_schema()) AND ${OWN('p.oid')}`,
    )
    for (const { text } of rows) await database.query(text)
  })
}

/** Resolves when the database answers. */
export async function untilBack(url: string, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await withDatabase(url, async (database) => void (await database.query('SELECT 1')))
    } catch (error) {
      if (performance.now() > deadline) throw error
      await Bun.sleep(100)
    }
  }
}

async function withDatabase<T>(url: string, work: (database: pg.Client) => Promise<T>): Promise<T> {
  const database = new pg.Client({ connectionString: likeLibpq(url) })
  // Without a listener, the end of the connection would end the process.
  database.on('error', () => {})
  await database.connect()
  try {
    return await work(database)
  } finally {
    await database.end().catch(() => {})
  }
}

/** The driver's own reading of `sslmode=require` is stricter than everybody else's. */
function likeLibpq(url: string): string {
  const parsed = new URL(url)
  if (parsed.searchParams.has('sslmode')) parsed.searchParams.set('uselibpqcompat', 'true')
  return parsed.href
}
