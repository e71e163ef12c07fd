/** Replicas of one version and of two on one database: ten that start at once, some that do not survive it, and an upgrade. */
import { expect, test } from 'bun:test'
import type { Migration } from '../../src/db/postgres/migrate.ts'
import { POSTGRES_MIGRATIONS } from '../../src/db/postgres/migrations.gen.ts'
import { until } from '../support/books.ts'
import { AFTER, NEXT, upgrade } from '../support/next-version.ts'
import { newDatabase, sql } from '../support/postgres.ts'
import { addKey, ask, codeOf, openTestStore } from '../support/store.ts'

const NAMES = POSTGRES_MIGRATIONS.map(({ name }) => name)

const open = (path: string, replica: string) => openTestStore('PostgreSQL', { path, replica })

test('of ten replicas that start at once on an empty database one migrates it, and all serve', async () => {
  const path = await newDatabase()
  const starts = Array.from({ length: 10 }, (_, i) => open(path, `replica ${i}`))
  const stores = await Promise.all(starts)
  const migrated = stores.map((store) => store.migrated).filter((names) => names.length > 0)
  expect(migrated).toEqual([NAMES])
  const [first] = stores
  if (!first) throw new Error('nothing was started')
  const key = await addKey(first, [{ amount: 10 }])
  const codes = await Promise.all([...stores, ...stores].map((store) => codeOf(ask(store, key, 0))))
  expect(codes.filter((code) => code === 'granted')).toHaveLength(10)
})

test('a migration whose process dies is as if it had not begun, and the next one makes it', async () => {
  const path = await newDatabase()
  await upgrade(path)
  const slow: Migration = {
    name: NEXT.name,
    sql: `${NEXT.sql}\n--> statement-breakpoint\nSELECT pg_sleep(60)`,
  }
  const dying = upgrade(path, slow).catch((error: Error) => error)
  const asleep = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(60)%'
    AND wait_event = 'PgSleep'`
  let [found] = await sql<{ pid: number }>(path, asleep)
  while (!found) [found] = await sql<{ pid: number }>(path, asleep)
  const waiting = upgrade(path, NEXT)
  await sql(path, 'SELECT pg_terminate_backend($1)', [found.pid])
  expect(await dying).toBeInstanceOf(Error)
  expect(await waiting).toEqual([NEXT.name])
})

test('who serves while a newer version migrates goes on, and starts anew, if it understands what it finds', async () => {
  const path = await newDatabase()
  const store = await open(path, 'of before')
  const key = await addKey(store, [{ amount: 100_000 }])
  const codes: string[] = []
  let isOver = false
  const calling = (async () => {
    while (!isOver || codes.length < 20) codes.push(await codeOf(ask(store, key, 0)))
  })()
  while (codes.length === 0) await Bun.sleep(1)
  expect(await upgrade(path, NEXT)).toEqual([NEXT.name])
  isOver = true
  await calling
  expect(new Set(codes)).toEqual(new Set(['granted']))
  const another = await open(path, 'of before, too')
  expect(another.migrated).toEqual([])
  expect(await codeOf(ask(another, key, 0))).toBe('granted')
})

test('who does not understand what a newer version has made grants nothing more, and does not start', async () => {
  const path = await newDatabase()
  const store = await open(path, 'of before')
  const key = await addKey(store, [{ amount: 100 }])
  await upgrade(path, NEXT, AFTER)
  // With the next beat.
  await until(() => store.isFailing())
  expect(await codeOf(ask(store, key, 0))).toBe('storage_unavailable')
  await Bun.sleep(1_500)
  expect([store.isFailing(), store.events]).toEqual([true, ['failure']])
  await expect(open(path, 'of before, too')).rejects.toThrow(
    /The database is newer than this binary .*"9001_after"/,
  )
})
