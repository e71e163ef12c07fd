/** Questions that PostgreSQL cannot answer in time. */
import { expect, test } from 'bun:test'
import pg from 'pg'
import { Pool } from '../../src/db/postgres/connection.ts'
import { createReader } from '../../src/db/postgres/read/reader.ts'
import { createChange, createSnapshot } from '../../src/db/postgres/transact.ts'
import { readDatabaseUrl } from '../../src/domain/database-url.ts'
import { OPERATOR } from '../../src/domain/store.ts'
import { AppError } from '../../src/errors.ts'
import { addKey, end, hold, openTestStore, type TestStore } from '../support/store.ts'

function poolOf({ path }: TestStore): Pool {
  const url = readDatabaseUrl(path)
  if (url.kind !== 'postgres') throw new Error(path)
  return new Pool(url.addresses)
}

async function codeOf(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'answered',
    (error) => (error instanceof AppError ? error.refusal.code : String(error)),
  )
}

test('one that takes too long is refused, and so is one whose turn comes too late; the next is answered', async () => {
  const store = await openTestStore('PostgreSQL')
  const { id } = await addKey(store, [{ amount: 5 }])
  const pool = poolOf(store)
  const { keys } = createReader(createSnapshot(pool), 300).reads('key_1')
  const other = new pg.Client({ connectionString: store.path })
  await other.connect()
  await other.query('BEGIN; LOCK TABLE keys IN ACCESS EXCLUSIVE MODE')
  const asked = [keys.find({ id }, 0), keys.find({ id }, 0)].map(codeOf)
  expect(await Promise.all(asked)).toEqual(['rate_limit_exceeded', 'rate_limit_exceeded'])
  await other.query('COMMIT')
  await other.end()
  expect((await keys.find({ id }, 0))?.id).toBe(id)
  await pool.close()
})

test('calls of replicas whose numbers and instants are not quite in the same order are all found by time', async () => {
  const store = await openTestStore('PostgreSQL')
  const key = await addKey(store, [{}])
  for (const at of [100_000, 60_000, 119_000, 61_000]) await end(store, await hold(store, key, at))
  const { calls } = store.reads(OPERATOR)
  const seqs = async (from?: number, to?: number) =>
    (await calls.list({ from, to }, { limit: 9 })).calls.map(({ seq }) => seq)
  expect(await seqs(90_000)).toEqual([3, 1])
  expect(await seqs(undefined, 90_000)).toEqual([4, 2])
  expect(await seqs(60_500, 110_000)).toEqual([4, 1])
})

test('a page of keys takes four statements, however many keys it has', async () => {
  const store = await openTestStore('PostgreSQL')
  for (let i = 0; i < 20; i++)
    await addKey(store, [{ amount: 5 }, { amount: 9, window: 'day' }, { window: 'minute' }])
  const pool = poolOf(store)
  const statements: string[] = []
  pool.pool.on('connect', (client) => {
    const { query } = client
    client.query = ((config: { text?: string } | string, ...rest: unknown[]) => {
      statements.push(typeof config === 'string' ? config : (config.text ?? ''))
      return Reflect.apply(query, client, [config, ...rest])
    }) as typeof query
  })
  const { keys } = createReader(createSnapshot(pool)).reads(OPERATOR)
  expect((await keys.list({}, { limit: 20 }, 0)).keys).toHaveLength(20)
  expect(statements.filter((text) => /^\s*select/i.test(text))).toHaveLength(4)
  await pool.close()
})

test('a connection that is lost in the middle of a change is given back, and the next change succeeds', async () => {
  const store = await openTestStore('PostgreSQL')
  const pool = poolOf(store)
  const change = createChange(pool)
  for (let i = 0; i < 12; i++) {
    const lost = change(async (tx) => {
      await tx.execute('SELECT pg_terminate_backend(pg_backend_pid())')
    })
    await expect(lost).rejects.toThrow()
  }
  const { rows } = await change((tx) => tx.execute<{ one: number }>('SELECT 1 AS one'))
  expect(rows).toEqual([{ one: 1 }])
  await pool.close()
})
