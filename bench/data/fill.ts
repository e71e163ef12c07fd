/**
 * Fills a migrated, empty database: `bun bench/fill.ts <file> <keys> <calls> <secrets>`. Issuing a million keys over HTTP
 * would take longer than everything else. The books balance: `quota-proxy doctor` finds nothing wrong in them. A process
 * of its own, because one statement takes half a minute and could not be interrupted.
 */
import { Database } from 'bun:sqlite'
import { writeFileSync } from 'node:fs'
import { generateKey, generateKeyId, hashKey, hintOf } from '../../src/domain/key/secret.ts'
import { DAYS } from './dataset.ts'

/** Never reached: what is measured is calls that are let through. */
const AMOUNT = 1e12
const DAY_MS = 86_400_000

const [file = '', keys, calls, secretsFile = ''] = process.argv.slice(2)
fill(file, Number(keys), Number(calls), Date.now())

function fill(path: string, keyCount: number, callCount: number, now: number): void {
  const db = new Database(path, { readwrite: true, strict: true })
  // A crash while filling costs nothing but another run.
  db.run('PRAGMA journal_mode = OFF')
  db.run('PRAGMA synchronous = OFF')
  db.run('PRAGMA cache_size = -500000')
  db.transaction(() => {
    const start = now - DAYS * DAY_MS
    writeFileSync(secretsFile, fillKeys(db, keyCount, start).join('\n'))
    if (callCount > 0) fillCalls(db, keyCount, callCount, start)
  })()
  db.run('PRAGMA journal_mode = WAL')
  db.close()
}

function fillKeys(db: Database, count: number, at: number): string[] {
  const insert = db.query(
    `INSERT INTO keys (id, hash, hint, name, tags, metadata, created_at, updated_at)
     VALUES (?1, ?2, ?3, ?4, '["trial"]', '{"plan":"trial"}', ?5, ?5)`,
  )
  const secrets: string[] = []
  for (let i = 0; i < count; i++) {
    const raw = generateKey('trial_')
    insert.run(generateKeyId(), hashKey(raw), hintOf(raw), `Trial user ${i}`, at)
    secrets.push(raw)
  }
  db.run(`INSERT INTO limits (key_seq, name, unit, amount, window, timezone, week_start)
    SELECT seq, 'quota', 'requests', ${AMOUNT}, 'lifetime', 'UTC', 'monday' FROM keys ORDER BY seq`)
  db.run(`INSERT INTO counters (limit_id, period_start, amount)
    SELECT id, 0, ${AMOUNT} FROM limits ORDER BY id`)
  return secrets
}

/** Each call is of a key taken at random; they are spread evenly over time. */
function fillCalls(db: Database, keyCount: number, callCount: number, start: number): void {
  const indexes = db
    .query<{ name: string; sql: string }, []>(
      `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
         AND tbl_name IN ('calls', 'usage_hourly')`,
    )
    .all()
  // An index is built several times faster at once than row by row.
  for (const { name } of indexes) db.run(`DROP INDEX ${name}`)
  // Keys, limits and counters were made in one order: the counter of a key has its number.
  const key = `1 + abs(random()) % ${keyCount}`
  const stepMs = (DAYS * DAY_MS) / callCount
  db.run(`WITH RECURSIVE n (i, key_seq) AS (SELECT 1, ${key} UNION ALL SELECT i + 1, ${key} FROM n WHERE i < ${callCount})
    INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
      tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out, counters)
    SELECT i, key_seq, CAST(${start} + i * ${stepMs} AS INTEGER), '',
      printf('req_0123456789abcdef01%06x', i), 'answered', 200, 1, 1, 0, 0, 0, 0,
      20 + abs(random()) % 2000, 200 + abs(random()) % 2000, 300 + abs(random()) % 4000, '[' || key_seq || ']' FROM n`)
  db.run(`INSERT INTO usage_hourly
      (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms)
    SELECT at - at % 3600000 AS hour, key_seq, '', count(*), 0, sum(requests_charged), 0, 0,
      sum(bytes_in), sum(bytes_out), sum(latency_ms)
    FROM calls GROUP BY hour, key_seq`)
  for (const { sql } of indexes) db.run(sql)
  db.run(`UPDATE counters SET used = made.used FROM limits JOIN
      (SELECT key_seq, count(*) AS used FROM calls GROUP BY key_seq) AS made USING (key_seq)
    WHERE counters.limit_id = limits.id`)
}
