/**
 * Examines a database without changing it: are the books balanced, is anything held that should not be, is the file
 * whole? Reads everything, so a server runs it in a process of its own.
 */
import type { Database } from 'bun:sqlite'
import { existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Examining, Finding } from '../../domain/store.ts'
import { partOf, UNWATCHED } from '../../lib/watch.ts'
import { unbalancedCounters } from './ledger/books.ts'

/** A WAL that has grown beyond this is not being checkpointed: some reader never ends. */
const WAL_BYTES_MAX = 256 * 1024 * 1024
const FREE_BYTES_MIN = 256 * 1024 * 1024
/** A call in flight for longer than any deadline allows was not ended. */
const HOLD_MS_MAX = 2 * 3_600_000
/** Entries from the future by more than this mean that the clock was put back. */
const CLOCK_MS_MAX = 60_000

/** `path` is null for a database in memory. */
export function examineDatabase(
  client: Database,
  path: string | null,
  at: number,
  { watch = UNWATCHED, unpriced = [] }: Examining = {},
): Finding[] {
  watch.begin(path === null ? 0 : statSync(path).size)
  // One snapshot: a server may be writing meanwhile.
  return client.transaction(() => [
    books(client, partOf(watch, BOOKS)),
    holds(client, at),
    integrity(client, () => watch.step(INTEGRITY)),
    foreignKeys(client, () => watch.step(1 - BOOKS - INTEGRITY)),
    clock(client, at),
    prices(client, unpriced),
    ...(path === null ? [] : [wal(path), disk(path)]),
    version(client),
  ])()
}

/** Shares of the time that an examination takes; the other checks take none. */
const BOOKS = 0.3
const INTEGRITY = 0.6

function books(client: Database, onShare: (share: number) => void): Finding {
  let told = 0
  const rows = unbalancedCounters(client, (share) => {
    told += share
    onShare(share)
  })
  onShare(1 - told)
  const counters = number(client, 'SELECT count(*) FROM counters')
  const first = rows[0]
  return {
    check: 'books',
    ok: rows.length === 0,
    count: rows.length,
    detail: first
      ? `${rows.length} of ${counters} counters do not balance, such as ${first.name} of ${first.key}: ${first.used} used, ${first.booked} in the ledger`
      : `${counters} counters balance with the ledger`,
  }
}

function holds(client: Database, at: number): Finding {
  const open = number(client, 'SELECT count(*) FROM holds')
  const stuck = number(client, `SELECT count(*) FROM holds WHERE at < ${at - HOLD_MS_MAX}`)
  const detail =
    stuck > 0
      ? `${stuck} of ${open} holds are older than any call may be; restart to settle them`
      : `${open} open, none stuck`
  return { check: 'holds', ok: stuck === 0, count: stuck, detail }
}

function integrity(client: Database, onDone: () => void): Finding {
  const answer = String(client.query('PRAGMA integrity_check(10)').values()[0]?.[0])
  onDone()
  return {
    check: 'integrity',
    ok: answer === 'ok',
    detail: answer === 'ok' ? 'the file is whole' : `${answer}; restore a backup`,
  }
}

function foreignKeys(client: Database, onDone: () => void): Finding {
  const broken = client.query('PRAGMA foreign_key_check').all().length
  onDone()
  return {
    check: 'foreign_keys',
    ok: broken === 0,
    detail: broken === 0 ? 'none broken' : `${broken} broken`,
  }
}

function clock(client: Database, at: number): Finding {
  const newest = number(
    client,
    'SELECT coalesce((SELECT at FROM calls ORDER BY seq DESC LIMIT 1), 0)',
  )
  const aheadMs = newest - at
  const ok = aheadMs <= CLOCK_MS_MAX
  const detail = ok
    ? 'the newest entry is not from the future'
    : `the newest entry is ${Math.round(aheadMs / 1000)} s in the future; is the clock right?`
  return { check: 'clock', ok, detail }
}

/** Enabled upstreams that meter tokens without any price, and that some key with a limit in money may call. */
const UNPRICED = `
  SELECT unpriced.name AS name FROM (
    SELECT upstreams.name AS name FROM upstreams
    WHERE enabled = 1 AND settings ->> '$.meter.kind' = 'tokens'
      AND NOT EXISTS (
        SELECT 1 FROM price_lists
        WHERE upstream = upstreams.name AND prices <> '[]'
          AND id = (SELECT max(id) FROM price_lists WHERE upstream = upstreams.name))
    UNION SELECT value FROM json_each(?)
  ) AS unpriced
  WHERE EXISTS (
    SELECT 1 FROM limits JOIN keys ON keys.seq = limits.key_seq
    WHERE unit = 'cost' AND amount IS NOT NULL AND keys.enabled = 1 AND keys.deleted_at IS NULL
      AND (scope ->> '$.upstreams' IS NULL
        OR unpriced.name IN (SELECT value FROM json_each(scope, '$.upstreams'))))
  ORDER BY name`

/** Nothing is wrong with the database then: such calls are refused. */
function prices(client: Database, unpriced: readonly string[]): Finding {
  const names = client.query<{ name: string }, [string]>(UNPRICED).all(JSON.stringify(unpriced))
  const [first] = names
  return {
    check: 'prices',
    ok: true,
    count: names.length,
    detail: first
      ? `${names.length} upstreams have no prices, such as ${first.name}: calls there are refused for keys with a limit in money; enter some with "quota-proxy prices import"`
      : 'no key with a limit in money may call an upstream without prices',
  }
}

function wal(path: string): Finding {
  const bytes = existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0
  const ok = bytes <= WAL_BYTES_MAX
  const size = `${mebibytes(bytes)} MiB`
  return {
    check: 'wal',
    ok,
    detail: ok ? size : `${size}: some process reads without end, so it cannot be folded in`,
  }
}

function disk(path: string): Finding {
  const { bavail, bsize } = statfsSync(dirname(path))
  const ok = bavail * bsize >= FREE_BYTES_MIN
  return {
    check: 'disk',
    ok,
    detail: `${mebibytes(bavail * bsize)} MiB free${ok ? '' : '; calls are refused when it is full'}`,
  }
}

function version(client: Database): Finding {
  return {
    check: 'sqlite',
    ok: true,
    detail: String(client.query('SELECT sqlite_version()').values()[0]?.[0]),
  }
}

function number(client: Database, sql: string): number {
  return Number(client.query(sql).values()[0]?.[0] ?? 0)
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}
