/** Pruning on real files: what goes, what stays, and that the books balance before, between and after every step. */

import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import type { Retention } from '../../src/db/store.ts'
import type { NamedLimit } from '../../src/domain/key.ts'
import { createSteadyClock } from '../../src/lib/clock.ts'
import {
  addKey,
  ask,
  codeOf,
  end,
  hold,
  ONE,
  openTestStore,
  type TestKey,
  type TestStore,
  used,
} from '../support/store.ts'
import { DAY } from '../support/time.ts'

const START = Date.UTC(2026, 0, 1)

const open = async (retention: Partial<Retention> = {}) =>
  await openTestStore('SQLite in a file', { retention: { callsDays: 30, ...retention } })

const limit = (window: NamedLimit['window'], name: string) => ({
  name, amount: 1_000_000, window, timezone: 'Asia/Kathmandu',
}) // biome-ignore format: one limit

async function call(store: TestStore, key: TestKey, at: number, charged = 1) {
  await end(store, await hold(store, key, at), { ...ONE, requests: charged })
}

function read<T>(path: string, sql: string): T[] {
  const client = new Database(path, { readonly: true })
  try {
    return client.query<T, []>(sql).all()
  } finally {
    client.close()
  }
}

async function pruneAll(store: TestStore, at: number): Promise<number> {
  let steps = 1
  while (await store.prune(at)) {
    expect(await books(store, at)).toBe(true)
    steps++
  }
  expect(store.events).toEqual([])
  return steps
}

const books = async (store: TestStore, at: number) =>
  (await store.examine(at)).findings.find(({ check }) => check === 'books')?.ok

test('entries go by age, in small steps, and the books balance after each of them', async () => {
  const store = await open({ callsDays: 30 })
  const key = await addKey(
    store,
    [limit('lifetime', 'quota'), limit('day', 'day'), limit('month', 'month')],
    START,
  )
  for (let day = 0; day < 60; day++) {
    for (let i = 0; i < 12; i++)
      await call(store, key, START + day * DAY + i * 7_000_000, i % 4 === 0 ? 0 : 1)
    if (day === 20) await store.keys.reset(key.id, undefined, START + day * DAY)
  }
  const now = START + 60 * DAY
  expect(await pruneAll(store, now)).toBeGreaterThan(1)
  const [left] = read<{ n: number; oldest: number }>(
    store.path,
    'SELECT count(*) AS n, min(at) AS oldest FROM calls',
  )
  expect(left?.oldest).toBeGreaterThanOrEqual(now - 30 * DAY)
  expect(left?.n).toBe(30 * 12)
  expect(await books(store, now)).toBe(true)
  expect((await used(store, key, now))[0]).toBe(39 * 9)
})

test('the books would not balance if pruning forgot to carry', async () => {
  const store = await open({ callsDays: 1 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  for (let i = 0; i < 5; i++) await call(store, key, START)
  await call(store, key, START + 9 * DAY)
  await pruneAll(store, START + 10 * DAY)
  expect(read(store.path, 'SELECT used, pruned FROM counters')).toEqual([{ used: 6, pruned: 5 }])
  const client = new Database(store.path)
  client.run('UPDATE counters SET pruned = 4')
  client.close()
  expect(await books(store, START + 10 * DAY)).toBe(false)
})

test('entries go by number, oldest first, and the newest always stays', async () => {
  const store = await open({ callsMax: 3, callsDays: 1 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  for (let i = 0; i < 10; i++) await call(store, key, START + i)
  await pruneAll(store, START + 20)
  expect(read(store.path, 'SELECT seq FROM calls')).toEqual([{ seq: 8 }, { seq: 9 }, { seq: 10 }])
  await pruneAll(store, START + 300 * DAY)
  expect(read(store.path, 'SELECT seq FROM calls')).toEqual([{ seq: 10 }])
  await call(store, key, START + 300 * DAY)
  expect(read(store.path, 'SELECT max(seq) AS seq FROM calls')).toEqual([{ seq: 11 }])
})

test('sums by the hour outlive the entries, and go by their own age', async () => {
  const store = await open({ callsDays: 1, usageDays: 100 })
  const key = await addKey(store, [limit('lifetime', 'quota')], START)
  await call(store, key, START)
  await call(store, key, START + 50 * DAY)
  await call(store, key, START + 120 * DAY)
  await pruneAll(store, START + 90 * DAY)
  expect(read<{ n: number }>(store.path, 'SELECT count(*) AS n FROM usage_hourly')[0]?.n).toBe(3)
  await pruneAll(store, START + 120 * DAY)
  expect(read<{ n: number }>(store.path, 'SELECT count(*) AS n FROM usage_hourly')[0]?.n).toBe(2)
})

test('buckets of sliding windows go after hours, and a window that counts keeps its own', async () => {
  const store = await open()
  const key = await addKey(store, [limit('lifetime', 'quota'), limit('minute', 'rpm')], START)
  for (let i = 0; i < 50; i++) await call(store, key, START + i * 1_000)
  await call(store, key, START + DAY / 8)
  await pruneAll(store, START + DAY / 8)
  const rows = read<{ n: number }>(
    store.path,
    "SELECT count(*) AS n FROM counters WHERE limit_id IN (SELECT id FROM limits WHERE name = 'rpm')",
  )
  expect(rows[0]?.n).toBe(1)
  expect((await used(store, key, START + DAY / 8))[1]).toBe(1)
  expect(await books(store, START + DAY / 8)).toBe(true)
})

test('a clock that is put forward by years for an hour makes the server forget nothing, so that no period is granted twice', async () => {
  const machine = { passedMs: 0, aheadMs: 0 }
  const wall = () => START + machine.passedMs + machine.aheadMs
  const clock = createSteadyClock(wall, () => machine.passedMs)
  const store = await openTestStore('SQLite in a file', { retention: { callsDays: 30 }, clock })
  const limits = ['day', 'month', 'hour'] as const
  const keys: TestKey[] = []
  for (const window of limits) keys.push(await addKey(store, [{ amount: 2, window }], wall()))
  for (const key of keys) for (let i = 0; i < 2; i++) await call(store, key, wall())
  // The newest entry is never forgotten, so it must be another key's.
  await call(store, await addKey(store, [{}]), wall())

  machine.aheadMs += 900 * DAY
  machine.passedMs += 1_000
  // Before anybody has called, and after.
  expect(await pruneAll(store, wall())).toBe(1)
  await ask(store, { seq: -1, revision: 0 }, wall())
  expect(await pruneAll(store, wall())).toBe(1)
  machine.aheadMs = 0
  expect(await pruneAll(store, wall())).toBe(1)
  const asked = await Promise.all(keys.map((key) => codeOf(ask(store, key, wall()))))
  expect(asked).toEqual(['insufficient_quota', 'insufficient_quota', 'rate_limit_exceeded'])
  expect(await books(store, wall())).toBe(true)
})

test('a clock that stays a day ahead is believed, and old entries go', async () => {
  const machine = { passedMs: 0, aheadMs: 0 }
  const wall = () => START + machine.passedMs + machine.aheadMs
  const clock = createSteadyClock(wall, () => machine.passedMs)
  const store = await openTestStore('SQLite in a file', { retention: { callsDays: 30 }, clock })
  const key = await addKey(store, [{ amount: 9 }], wall())
  for (let i = 0; i < 3; i++) await call(store, key, wall())
  const left = () => read(store.path, 'SELECT 1 FROM calls').length
  machine.aheadMs = 900 * DAY
  await ask(store, { seq: -1, revision: 0 }, wall())
  await pruneAll(store, wall())
  expect(left()).toBe(3)
  machine.passedMs += DAY
  await pruneAll(store, wall())
  expect(left()).toBe(1)
  expect(await used(store, key, wall())).toEqual([3])
})
