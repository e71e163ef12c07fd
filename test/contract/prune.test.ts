/** Pruning on real files: what goes, what stays, and that the books balance before, between and after every step. */

import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { openStore, type Store } from '../../src/db/open.ts'
import type { NamedLimit } from '../../src/modules/keys/store.ts'
import { temporaryDirectory } from '../support/server.ts'

const DAY = 86_400_000
const START = Date.UTC(2026, 0, 1)

function open(retention: { callsDays?: number; callsMax?: number; usageDays?: number }) {
  const url = `file:${join(temporaryDirectory(), 'quota.db')}`
  const fail = (error: unknown) => {
    throw error
  }
  const store = openStore(
    {
      url,
      durability: 'normal',
      retention: { callsDays: 30, callsMax: 1_000_000, usageDays: 400, ...retention },
      events: { onFailure: fail, onRecovery() {}, onRejected: fail },
    },
    START,
  )
  return { store, path: url.slice('file:'.length) }
}

const limit = (window: NamedLimit['window'], name: string): NamedLimit => ({
  name, unit: 'requests', amount: 1_000_000, window, timezone: 'Asia/Kathmandu', weekStart: 'monday',
}) // biome-ignore format: one limit

function issue(store: Store, id: string, limits: NamedLimit[]) {
  const hash = Buffer.alloc(32, id)
  const key = store.keys.create(
    { id, hash, hint: id, name: id, enabled: true, expiresAt: null, concurrency: null, tags: [], metadata: {}, limits },
    START,
  ) // biome-ignore format: one key
  if (!key) throw new Error('exists')
  return () => {
    const found = store.find(hash)
    if (!found) throw new Error('gone')
    return found
  }
}

async function call(
  store: Store,
  key: ReturnType<ReturnType<typeof issue>>,
  at: number,
  charged = 1,
) {
  const units = { requests: 1, tokens: 0, cost: 0 }
  const reservation = await store.ledger.reserve({
    key,
    at,
    upstream: '',
    requestId: 'req_1',
    units,
  })
  if (!reservation.ok) throw new Error(reservation.refusal.code)
  const end = { outcome: 'answered' as const, status: 200, latencyMs: 1, bytesIn: 0, bytesOut: 0 }
  await store.ledger.settle(reservation.hold, { ...end, charged: { ...units, requests: charged } })
}

function read<T>(path: string, sql: string): T[] {
  const client = new Database(path, { readonly: true })
  try {
    return client.query<T, []>(sql).all()
  } finally {
    client.close()
  }
}

function pruneAll(store: Store, at: number): number {
  let steps = 1
  while (store.prune(at)) {
    expect(books(store, at)).toBe(true)
    steps++
  }
  return steps
}

const books = (store: Store, at: number) =>
  store.examine(at).findings.find(({ check }) => check === 'books')?.ok

test('entries go by age, in small steps, and the books balance after each of them', async () => {
  const { store, path } = open({ callsDays: 30 })
  const key = issue(store, 'a', [
    limit('lifetime', 'quota'),
    limit('day', 'day'),
    limit('month', 'month'),
  ])
  for (let day = 0; day < 60; day++) {
    for (let i = 0; i < 12; i++)
      await call(store, key(), START + day * DAY + i * 7_000_000, i % 4 === 0 ? 0 : 1)
    if (day === 20) store.keys.reset('a', undefined, START + day * DAY)
  }
  const now = START + 60 * DAY
  expect(pruneAll(store, now)).toBeGreaterThan(1)
  const [left] = read<{ n: number; oldest: number }>(
    path,
    'SELECT count(*) AS n, min(at) AS oldest FROM calls',
  )
  expect(left?.oldest).toBeGreaterThanOrEqual(now - 30 * DAY)
  expect(left?.n).toBe(30 * 12)
  expect(books(store, now)).toBe(true)
  expect(store.keys.find({ id: 'a' }, now)?.limits[0]?.used).toBe(39 * 9)
  store.close()
})

test('the books would not balance if pruning forgot to carry', async () => {
  const { store, path } = open({ callsDays: 1 })
  const key = issue(store, 'a', [limit('lifetime', 'quota')])
  for (let i = 0; i < 5; i++) await call(store, key(), START)
  await call(store, key(), START + 9 * DAY)
  pruneAll(store, START + 10 * DAY)
  expect(read(path, 'SELECT used, pruned FROM counters')).toEqual([{ used: 6, pruned: 5 }])
  const client = new Database(path)
  client.run('UPDATE counters SET pruned = 4')
  client.close()
  expect(books(store, START + 10 * DAY)).toBe(false)
  store.close()
})

test('entries go by number, oldest first, and the newest always stays', async () => {
  const { store, path } = open({ callsMax: 3, callsDays: 1 })
  const key = issue(store, 'a', [limit('lifetime', 'quota')])
  for (let i = 0; i < 10; i++) await call(store, key(), START + i)
  pruneAll(store, START + 20)
  expect(read(path, 'SELECT seq FROM calls')).toEqual([{ seq: 8 }, { seq: 9 }, { seq: 10 }])
  pruneAll(store, START + 300 * DAY)
  expect(read(path, 'SELECT seq FROM calls')).toEqual([{ seq: 10 }])
  await call(store, key(), START + 300 * DAY)
  expect(read(path, 'SELECT max(seq) AS seq FROM calls')).toEqual([{ seq: 11 }])
  store.close()
})

test('sums by the hour outlive the entries, and go by their own age', async () => {
  const { store, path } = open({ callsDays: 1, usageDays: 100 })
  const key = issue(store, 'a', [limit('lifetime', 'quota')])
  await call(store, key(), START)
  await call(store, key(), START + 50 * DAY)
  await call(store, key(), START + 120 * DAY)
  pruneAll(store, START + 90 * DAY)
  expect(read<{ n: number }>(path, 'SELECT count(*) AS n FROM usage_hourly')[0]?.n).toBe(3)
  pruneAll(store, START + 120 * DAY)
  expect(read<{ n: number }>(path, 'SELECT count(*) AS n FROM usage_hourly')[0]?.n).toBe(2)
  store.close()
})

test('buckets of sliding windows go after a day, and a window that counts keeps its own', async () => {
  const { store, path } = open({})
  const key = issue(store, 'a', [limit('lifetime', 'quota'), limit('minute', 'rpm')])
  for (let i = 0; i < 50; i++) await call(store, key(), START + i * 1_000)
  await call(store, key(), START + 3 * DAY)
  pruneAll(store, START + 3 * DAY)
  const rows = read<{ n: number }>(
    path,
    "SELECT count(*) AS n FROM counters WHERE limit_id IN (SELECT id FROM limits WHERE name = 'rpm')",
  )
  expect(rows[0]?.n).toBe(1)
  expect(store.keys.find({ id: 'a' }, START + 3 * DAY)?.limits[1]?.used).toBe(1)
  expect(books(store, START + 3 * DAY)).toBe(true)
  store.close()
})
