/**
 * Databases of a given size, made by the binary's own migrations and then filled directly: issuing a million keys over
 * HTTP would take as long as everything else. The books balance: `quota-proxy doctor` finds nothing wrong in them.
 */
import { Database } from 'bun:sqlite'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKey, generateKeyId, hashKey, hintOf } from '../src/modules/keys/secret.ts'
import { BINARY } from './servers.ts'
import type { Workspace } from './workspace.ts'

export type Size = { readonly keys: number; readonly calls: number }

export type Dataset = Size & {
  readonly dataDir: string
  readonly file: string
  readonly fileMiB: number
  /** A file with the secrets of so many keys, spread evenly over all of them. */
  keysFile(count: number): string
}

/** Never reached: what is measured is calls that are let through. */
const AMOUNT = 1e12
/** The calls were made over so many days up to now; younger than what is pruned by age. */
export const DAYS = 80
const DAY_MS = 86_400_000

export async function createDataset(
  workspace: Workspace,
  name: string,
  size: Size,
): Promise<Dataset> {
  const dataDir = join(workspace.directory, name)
  const file = join(dataDir, 'quota.db')
  await migrate(workspace, dataDir)
  const now = Date.now()
  const db = new Database(file, { readwrite: true, strict: true })
  // A crash while filling costs nothing but another run.
  db.run('PRAGMA journal_mode = OFF')
  db.run('PRAGMA synchronous = OFF')
  db.run('PRAGMA cache_size = -500000')
  const secrets = fillKeys(db, size.keys, now)
  if (size.calls > 0) fillCalls(db, size, now)
  db.run('PRAGMA journal_mode = WAL')
  db.close()

  return {
    ...size,
    dataDir,
    file,
    fileMiB: statSync(file).size / 2 ** 20,
    keysFile(count) {
      const path = join(dataDir, `keys-${count}.txt`)
      const chosen = Array.from(
        { length: count },
        (_, i) => secrets[Math.floor((i * secrets.length) / count)],
      )
      writeFileSync(path, chosen.join('\n'))
      return path
    },
  }
}

/** The first start makes the schema; `config` and the like would not. */
async function migrate(workspace: Workspace, dataDir: string): Promise<void> {
  const env = { HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, LOG_FORMAT: 'json' }
  const child = workspace.spawn([BINARY, 'serve'], { env })
  const decoder = new TextDecoder()
  let log = ''
  for await (const chunk of child.stdout) {
    log += decoder.decode(chunk, { stream: true })
    if (log.includes('is listening')) child.kill('SIGTERM')
  }
  if ((await child.exited) !== 0) throw new Error(`quota-proxy did not start:\n${log}`)
}

function fillKeys(db: Database, count: number, now: number): string[] {
  const insert = db.query(
    `INSERT INTO keys (id, hash, hint, name, tags, metadata, created_at, updated_at)
     VALUES (?1, ?2, ?3, ?4, '["trial"]', '{"plan":"trial"}', ?5, ?5)`,
  )
  const secrets: string[] = []
  db.transaction(() => {
    for (let i = 0; i < count; i++) {
      const raw = generateKey('trial_')
      insert.run(generateKeyId(), hashKey(raw), hintOf(raw), `Trial user ${i}`, now - DAYS * DAY_MS)
      secrets.push(raw)
    }
    db.run(`INSERT INTO limits (key_seq, name, unit, amount, window, timezone, week_start)
      SELECT seq, 'quota', 'requests', ${AMOUNT}, 'lifetime', 'UTC', 'monday' FROM keys ORDER BY seq`)
    db.run(`INSERT INTO counters (limit_id, period_start, amount, first_seq)
      SELECT id, 0, ${AMOUNT}, 1 FROM limits ORDER BY id`)
  })()
  return secrets
}

/** Each call is of a key taken at random; they are spread evenly over time. */
function fillCalls(db: Database, { keys, calls }: Size, now: number): void {
  const indexes = db
    .query<{ name: string; sql: string }, []>(
      `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
         AND tbl_name IN ('calls', 'usage_hourly')`,
    )
    .all()
  // An index is built several times faster at once than row by row.
  for (const { name } of indexes) db.run(`DROP INDEX ${name}`)
  const start = now - DAYS * DAY_MS
  db.transaction(() => {
    db.run(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${calls})
      INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
        tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out)
      SELECT i, 1 + abs(random()) % ${keys}, ${start} + i * ${DAYS * DAY_MS} / ${calls}, '',
        printf('req_0123456789abcdef01%06x', i), 'answered', 200, 1, 1, 0, 0, 0, 0,
        20 + abs(random()) % 2000, 200 + abs(random()) % 2000, 300 + abs(random()) % 4000 FROM n`)
    db.run(`INSERT INTO usage_hourly
        (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms)
      SELECT at - at % 3600000 AS hour, key_seq, '', count(*), 0, sum(requests_charged), 0, 0,
        sum(bytes_in), sum(bytes_out), sum(latency_ms)
      FROM calls GROUP BY hour, key_seq`)
    for (const { sql } of indexes) db.run(sql)
    db.run(`UPDATE counters SET used = made.used FROM limits JOIN
        (SELECT key_seq, count(*) AS used FROM calls GROUP BY key_seq) AS made USING (key_seq)
      WHERE counters.limit_id = limits.id`)
  })()
}
