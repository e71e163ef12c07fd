/** Pruning on a real PostgreSQL: what goes, what stays, that the books balance throughout, and that no table grows. */
import { expect, test } from 'bun:test'
import { Pool } from '../../src/db/postgres/connection.ts'
import { createPrune } from '../../src/db/postgres/ledger/prune.ts'
import { createChange } from '../../src/db/postgres/transact.ts'
import type { Retention } from '../../src/db/store.ts'
import type { NamedLimit } from '../../src/domain/key.ts'
import { parsePostgresUrl } from '../../src/domain/postgres-url.ts'
import { sql } from '../support/postgres.ts'
import {
  addKey,
  end,
  hold,
  ONE,
  openTestStore,
  type TestKey,
  type TestStore,
} from '../support/store.ts'
import { DAY, HOUR } from '../support/time.ts'

const START = Date.UTC(2026, 0, 1)

const open = (retention: Partial<Retention> = {}) =>
  openTestStore('PostgreSQL', { retention: { callsDays: 30, ...retention } })

const limit = (window: NamedLimit['window'], name: string, unit: NamedLimit['unit'] = 'requests') => ({
  name, unit, amount: 1_000_000_000, window, timezone: 'Asia/Kathmandu',
}) // biome-ignore format: one limit

async function call(store: TestStore, key: TestKey, at: number, charged = 1) {
  await end(store, await hold(store, key, at), { ...ONE, requests: charged, tokens: 7 * charged })
}

const books = async (store: TestStore) =>
  (await store.examine(START)).findings.find(({ check }) => check === 'books')

async function pruneAll(store: TestStore, at: number): Promise<number> {
  let steps = 1
  while (await store.prune(at)) {
    expect(await books(store)).toMatchObject({ ok: true })
    steps++
  }
  expect(await books(store)).toMatchObject({ ok: true })
  return steps
}

const count = async (store: TestStore, table: string) =>
  Number((await sql<{ n: string }>(store.path, `SELECT count(*) AS n FROM ${table}`))[0]?.n)

/** Entries as calls leave them, so many at once, with what they were charged in their counters. */
async function fill(store: TestStore, key: TestKey, entries: number, at: number): Promise<void> {
  await sql(
    store.path,
    `WITH hit AS (
       SELECT array_agg(c.id) AS ids FROM counters c JOIN limits l ON l.id = c.limit_id WHERE l.key_seq = ${key.seq}
     ), entered AS (
       INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
         tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out, counters)
       SELECT nextval('call_seq'), ${key.seq}, ${at}, 'somewhere', md5(n::text), 'answered', 200, 1, 1, 7, 7, 0, 0, 1, 2, 3, ids
       FROM generate_series(1, ${entries}) n, hit
     )
     UPDATE counters c SET used = used + CASE c.unit WHEN 'requests' THEN ${entries} WHEN 'tokens' THEN ${7 * entries} ELSE 0 END
     FROM limits l WHERE l.id = c.limit_id AND l.key_seq = ${key.seq}`,
  )
}

test('entries go by age, in small steps, and the books balance after each of them', async () => {
  const store = await open({ callsDays: 30 })
  const key = await addKey(
    store,
    [limit('lifetime', 'quota'), limit('lifetime', 'tokens', 'tokens')],
    START,
  )
  await call(store, key, START)
  await fill(store, key, 1_700, START + DAY)
  await fill(store, key, 40, START + 40 * DAY)
  expect(await pruneAll(store, START + 60 * DAY)).toBeGreaterThan(3)
  expect(await count(store, 'calls')).toBe(40)
  expect(await sql(store.path, 'SELECT unit, used, pruned FROM counters ORDER BY unit')).toEqual([
    { unit: 'requests', used: 1_741, pruned: 1_701 },
    { unit: 'tokens', used: 7 * 1_741, pruned: 7 * 1_701 },
  ])
})

test('the books would not balance if pruning forgot to carry', async () => {
  const store = await open({ callsDays: 1 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  for (let i = 0; i < 3; i++) await call(store, key, START)
  await pruneAll(store, START + 10 * DAY)
  await sql(store.path, 'UPDATE counters SET pruned = pruned - 1')
  expect(await books(store)).toMatchObject({ ok: false, count: 1 })
})

test('entries go by number, oldest first, and at most so many are kept', async () => {
  const store = await open({ callsMax: 3, callsDays: 300 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  for (let i = 0; i < 10; i++) await call(store, key, START + i)
  await pruneAll(store, START + 20)
  const kept = await sql<{ at: number }>(store.path, 'SELECT at FROM calls ORDER BY seq')
  expect(kept.map(({ at }) => at)).toEqual([START + 7, START + 8, START + 9])
})

test('a call that was in flight for long is forgotten as others are, and its units come to rest where they were charged', async () => {
  const store = await open({ callsDays: 1 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  const long = await hold(store, key, START)
  await call(store, key, START)
  await pruneAll(store, START + 9 * DAY)
  await end(store, long)
  await pruneAll(store, START + 9 * DAY)
  expect(await count(store, 'calls')).toBe(0)
  expect(await sql(store.path, 'SELECT used, pruned, held FROM counters')).toEqual([
    { used: 2, pruned: 2, held: 0 },
  ])
})

test('buckets of sliding windows go after hours, ended periods after a year, and a lifetime stays', async () => {
  const store = await open({ callsDays: 1 })
  const key = await addKey(
    store,
    [limit('lifetime', 'quota'), limit('minute', 'rpm'), limit('day', 'daily')],
    START,
  )
  for (let i = 0; i < 5; i++) await call(store, key, START + i * 1_000)
  const before = await count(store, 'counters')
  await pruneAll(store, START + 3 * HOUR)
  expect(await count(store, 'counters')).toBeLessThan(before)
  expect(await count(store, 'counters')).toBe(2)
  await pruneAll(store, START + 390 * DAY)
  expect(await count(store, 'counters')).toBe(2)
  await pruneAll(store, START + 402 * DAY)
  expect(await sql(store.path, 'SELECT used, pruned FROM counters')).toEqual([
    { used: 5, pruned: 5 },
  ])
})

test('a period stays while an entry is left that it was charged for', async () => {
  const store = await open({ callsDays: 1_000 })
  const key = await addKey(store, [limit('day', 'quota')], START)
  await call(store, key, START)
  await pruneAll(store, START + 500 * DAY)
  expect(await count(store, 'counters')).toBe(1)
})

test('sums by the hour, objects and replicas that have ended go by their own age', async () => {
  const store = await open({ callsDays: 1, usageDays: 100 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  await call(store, key, START)
  await call(store, key, START + 50 * DAY)
  await sql(
    store.path,
    `INSERT INTO charged_objects VALUES ('u', 'old', ${START}), ('u', 'new', ${START + 90 * DAY})`,
  )
  await sql(
    store.path,
    `INSERT INTO replicas (id, version, started_at, lease_until, ended_at) VALUES ('a', '', 0, 0, ${START}), ('b', '', 0, 0, ${START + 119.5 * DAY})`,
  )
  await pruneAll(store, START + 120 * DAY)
  expect(await count(store, 'usage_hourly')).toBe(1)
  expect(await count(store, 'charged_objects')).toBe(2)
  expect(await sql(store.path, 'SELECT id FROM replicas WHERE ended_at IS NOT NULL')).toEqual([
    { id: 'b' },
  ])
  await pruneAll(store, START + 402 * DAY)
  expect(await sql(store.path, 'SELECT object FROM charged_objects')).toEqual([{ object: 'new' }])
})

test('replicas that prune at once, while calls are charged, carry each entry once', async () => {
  const store = await open({ callsDays: 1 })
  const keys: TestKey[] = []
  for (let i = 0; i < 3; i++) {
    keys.push(
      await addKey(
        store,
        [limit('lifetime', 'quota'), limit('lifetime', 'tokens', 'tokens')],
        START,
      ),
    )
  }
  for (const key of keys) await call(store, key, START + 9 * DAY)
  for (let i = 0; i < 4; i++) for (const key of keys) await fill(store, key, 1_000, START + i)
  const parsed = parsePostgresUrl(store.path)
  if (!parsed.ok) throw new Error(parsed.problem)
  const pools = [1, 2, 3, 4].map(() => new Pool(parsed.addresses))
  const retention = () => ({ callsDays: 1, callsMax: 1_000_000, usageDays: 400 })
  const prunes = pools.map((pool) => createPrune(createChange(pool), retention))
  let left = prunes.length
  const pruning = prunes.map(async (prune) => {
    while (await prune(START + 9 * DAY)) {}
    left--
  })
  let charged = 0
  while (left > 0) {
    await Promise.all(keys.map((key) => call(store, key, START + 9 * DAY)))
    charged++
  }
  await Promise.all(pruning)
  // What one left to another that had it locked.
  await pruneAll(store, START + 9 * DAY)
  for (const pool of pools) await pool.close()
  expect(charged).toBeGreaterThan(1)
  expect(await count(store, 'calls')).toBe((charged + 1) * keys.length)
  const rows = await sql<{ used: number; pruned: number }>(
    store.path,
    "SELECT used, pruned FROM counters WHERE unit = 'requests'",
  )
  expect(rows).toEqual(keys.map(() => ({ used: 4_000 + charged + 1, pruned: 4_000 })))
  expect(store.events).toEqual([])
}, 60_000)

test('a clock here that is years ahead of the database forgets nothing', async () => {
  const store = await open()
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  const parsed = parsePostgresUrl(store.path)
  if (!parsed.ok) throw new Error(parsed.problem)
  const pool = new Pool(parsed.addresses)
  const [{ now } = { now: 0 }] = await sql<{ now: number }>(
    store.path,
    'SELECT floor(extract(epoch FROM now()) * 1000)::bigint AS now',
  )
  await call(store, key, now)
  const prune = createPrune(
    createChange(pool),
    () => ({ callsDays: 1, callsMax: 10, usageDays: 1 }),
    { isClockChecked: true },
  )
  while (await prune(now + 5_000 * DAY)) {}
  await pool.close()
  expect(await count(store, 'calls')).toBe(1)
  expect(await count(store, 'usage_hourly')).toBe(1)
})

test('rounds of charging and pruning do not grow the tables', async () => {
  const store = await open({ callsDays: 1 })
  const key = await addKey(
    store,
    [limit('lifetime', 'quota'), limit('lifetime', 'tokens', 'tokens')],
    START,
  )
  const sizes: number[] = []
  for (let round = 0; round < 9; round++) {
    const at = START + round * 2 * DAY
    for (let i = 0; i < 10; i++)
      await Promise.all(Array.from({ length: 60 }, () => call(store, key, at)))
    await pruneAll(store, at + 2 * DAY)
    // What the server does by itself, by the settings of the tables, and here at once.
    await sql(store.path, 'VACUUM')
    const tables = ['calls', 'holds', 'counters', 'in_flight', 'usage_hourly']
    const total = tables.map((table) => `pg_total_relation_size('${table}')`).join(' + ')
    sizes.push(Number((await sql<{ n: string }>(store.path, `SELECT ${total} AS n`))[0]?.n))
  }
  expect(await count(store, 'calls')).toBe(0)
  // Nine times as many bytes were written as the first round left.
  expect(Math.max(...sizes)).toBeLessThan(1.3 * Math.max(...sizes.slice(0, 3)))
  // A charge leaves the indexes of a counter alone.
  const [counters] = await sql<{ updates: number; hot: number }>(
    store.path,
    "SELECT n_tup_upd::integer AS updates, n_tup_hot_upd::integer AS hot FROM pg_stat_user_tables WHERE relname = 'counters'",
  )
  expect((counters?.hot ?? 0) / (counters?.updates ?? 0)).toBeGreaterThan(0.95)
}, 120_000)
