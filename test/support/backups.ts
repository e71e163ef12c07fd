/** What tests of backups need: a command on a data directory, a database of some size, and a look at a directory. */
import { Database } from 'bun:sqlite'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../src/db/sqlite/client.ts'
import { migrate } from '../../src/db/sqlite/migrate.ts'
import { SQLITE_MIGRATIONS } from '../../src/db/sqlite/migrations.gen.ts'
import type { Manifest } from '../../src/modules/backups/catalog.ts'
import { type Ended, runCommand } from './command.ts'
import { COMMAND } from './server.ts'

export type Env = Readonly<Record<string, string>>

export const NAME = /^quota-\d{8}T\d{6}Z-[0-9a-f]{6}\.db\.zst(\.age)?$/

/** Runs quota-proxy on a data directory. */
export function run(dataDir: string, args: readonly string[], env: Env = {}): Promise<Ended> {
  return runCommand([...COMMAND, ...args], { DATA_DIR: dataDir, ...env })
}

/** Makes a backup, which must go well. */
export async function backUp(dataDir: string, env: Env = {}): Promise<Manifest> {
  const { out, err, code } = await run(dataDir, ['backup', 'create', '--json'], env)
  const outcome = JSON.parse(out || '{}') as { ok?: boolean; backup: Manifest; error?: string }
  if (code !== 0 || !outcome.ok) throw new Error(`no backup was made: ${out}${err}`)
  return outcome.backup
}

/** Names of the backups in a directory, oldest first. */
export function backupsIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((file) => NAME.test(file))
    .sort()
}

/** A database with so many calls in it, of 150 bytes each; its books balance. */
export function fillDatabase(path: string, calls: number): void {
  const client = openDatabase(path, 'normal')
  migrate(client, SQLITE_MIGRATIONS, 0)
  client.run(
    "INSERT INTO keys (id, hash, hint, name, tags, metadata, created_at, updated_at) VALUES ('key_1', randomblob(32), '', 'a', '[]', '{}', 1, 1)",
  )
  client.run(
    "INSERT INTO limits (key_seq, name, unit, amount, window, timezone, week_start) VALUES (1, 'quota', 'requests', NULL, 'lifetime', 'UTC', 'monday')",
  )
  client.run('INSERT INTO counters (limit_id, period_start, used) VALUES (1, 0, ?)', [calls])
  client.run(
    `INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
       tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out, counters)
     WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     SELECT i, 1, i, 'somewhere', 'req_' || hex(randomblob(40)), 'answered', 200, 1, 1, 0, 0, 0, 0, 1, 2, 3, '[1]' FROM n`,
    [calls],
  )
  client.close()
}

/** Numbers of all calls in a database file, ended or in flight, in order. */
export function callsIn(path: string): number[] {
  const client = new Database(path, { readonly: true })
  try {
    return client
      .query('SELECT seq FROM calls UNION SELECT seq FROM holds ORDER BY seq')
      .values()
      .map(([seq]) => Number(seq))
  } finally {
    client.close()
  }
}

/** The one file in a directory whose name begins so. */
export function fileIn(directory: string, start: string): string {
  const found = readdirSync(directory).filter((file) => file.startsWith(start))
  if (found.length !== 1) throw new Error(`${start}* is ${found.join(', ') || 'nothing'}`)
  return join(directory, found[0] ?? '')
}
