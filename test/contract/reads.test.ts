/** What is asked of the store holds up nobody, and how much may wait is bounded. */
import type { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { openDatabase } from '../../src/db/sqlite/client.ts'
import { migrate } from '../../src/db/sqlite/migrate.ts'
import { SQLITE_MIGRATIONS } from '../../src/db/sqlite/migrations.gen.ts'
import { createReader } from '../../src/db/sqlite/read/reader.ts'
import { OPERATOR } from '../../src/domain/store.ts'
import { AppError } from '../../src/errors.ts'
import { temporaryDirectory } from '../support/server.ts'
import { addKey, openTestStore, READ_ENGINES } from '../support/store.ts'
import { HOUR } from '../support/time.ts'

const HOURS = 200_000

function openFilled(path: string): Database {
  const client = openDatabase(path, 'normal')
  migrate(client, SQLITE_MIGRATIONS, 0)
  client.run(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${HOURS - 1})
    INSERT INTO usage_hourly (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms)
    SELECT i * ${HOUR}, 1, CASE i % 2 WHEN 0 THEN 'even' ELSE 'odd' END, 1, 0, 1, 2, 3, 4, 5, 6 FROM n`)
  return client
}

test('a database in memory is read in slices, between which everything else goes on', async () => {
  const client = openFilled(':memory:')
  const { usage } = createReader(client).reads('key_1')
  let turns = 0
  let ended = false
  const asked = usage.byUpstream(1, {}).finally(() => {
    ended = true
  })
  for (; !ended; turns++) {
    // A call writes meanwhile.
    client.run('UPDATE usage_hourly SET failed = failed WHERE id = 1')
    await new Promise(setImmediate)
  }
  expect(turns).toBeGreaterThan(20)
  const sums = {
    calls: HOURS / 2,
    failed: 0,
    estimated: 0,
    requests: HOURS / 2,
    tokens: HOURS,
    cost: 1.5 * HOURS,
  }
  const bytes = { bytesIn: 2 * HOURS, bytesOut: 2.5 * HOURS, estimated: 0 }
  expect(await asked).toEqual([
    { upstream: 'even', ...sums, ...bytes },
    { upstream: 'odd', ...sums, ...bytes },
  ])
  client.close()
})

test('a file is read by a thread of its own: what it is asked comes back whole, and it ends when it is told', async () => {
  const path = join(temporaryDirectory(), 'quota.db')
  const client = openFilled(path)
  const reader = createReader(client)
  const stop = reader.start(path)
  // Not a step of it is made here: the connection of the calls is closed for reading.
  const { usage } = reader.reads('key_1')
  const days = await usage.byPeriod(1, { from: HOUR }, 'day')
  expect(days).toHaveLength(Math.ceil(HOURS / 24))
  expect(days[0]).toMatchObject({ from: 0, calls: 23, tokens: 46 })
  expect(days.reduce((sum, { calls }) => sum + calls, 0)).toBe(HOURS - 1)
  const left = usage.byUpstream(1, {})
  const settled = left.then(
    () => 'answered',
    (error: Error) => error.message,
  )
  await stop()
  expect(await settled).toBe('the server stops')
  client.close()
})

describe.each(READ_ENGINES)('questions to %s', (engine) => {
  const codes = async (answers: Promise<unknown>[]) => {
    const settled = await Promise.allSettled(answers)
    return settled.map((one) =>
      one.status === 'fulfilled'
        ? 'answered'
        : one.reason instanceof AppError && one.reason.refusal.code,
    )
  }

  test('are answered up to a number that waits for each who asks; more are refused at once', async () => {
    const store = await openTestStore(engine)
    const ask = (asker: string) => store.reads(asker).keys.list({}, { limit: 1 }, 0)
    const asked = (asker: string, times: number) => Array.from({ length: times }, () => ask(asker))
    const [one, other, operator] = await Promise.all([
      codes(asked('key_one', 20)),
      codes(asked('key_other', 1)),
      codes(asked(OPERATOR, 70)),
    ])
    expect(one.filter((code) => code === 'answered')).toHaveLength(16)
    expect(one.filter((code) => code === 'rate_limit_exceeded')).toHaveLength(4)
    expect(other).toEqual(['answered'])
    expect(operator.filter((code) => code === 'answered')).toHaveLength(64)
    // Whoever was answered makes room.
    expect(await codes(asked('key_one', 16))).toEqual(Array(16).fill('answered'))
  })

  test('of ever so many holders leave the operator an answer', async () => {
    const store = await openTestStore(engine)
    const asked = Array.from({ length: 600 }, (_, i) => store.reads(`key_${i}`).calls.find(1))
    const [holders, operator] = await Promise.all([
      codes(asked),
      codes([store.reads(OPERATOR).calls.find(1)]),
    ])
    expect(holders.filter((code) => code === 'answered')).toHaveLength(512)
    expect(holders.filter((code) => code === 'rate_limit_exceeded')).toHaveLength(88)
    expect(operator).toEqual(['answered'])
  })

  test('with a text that no database keeps find nothing', async () => {
    const store = await openTestStore(engine)
    const { id } = await addKey(store, [{}], 0, { tags: ['a'] })
    const { keys, calls, usage } = store.reads(OPERATOR)
    const span = { from: 0, to: HOUR }
    for (const odd of ['\0', `${id}\0`, 'a\0', '\ud800', "'", '\\', '%\0']) {
      expect(await keys.find({ id: odd }, 0)).toBeNull()
      expect(await keys.findEver(odd, 0)).toBeNull()
      for (const filter of [{ q: odd }, { tag: odd }])
        expect(await keys.list(filter, { limit: 1 }, 0)).toEqual({ keys: [], more: false })
      for (const filter of [{ upstream: odd }, { model: odd }]) {
        expect(await calls.list(filter, { limit: 1 })).toEqual({ calls: [], next: null })
        expect(await usage.groups(filter, [span], null)).toEqual([])
      }
      expect(await usage.groups({ tag: odd }, [span], 'tag')).toEqual([])
      expect(await store.upstreams.remove(odd)).toBe(false)
    }
  })

  test('see all that was committed before they were asked', async () => {
    const store = await openTestStore(engine)
    const { keys } = store.reads(OPERATOR)
    for (let i = 0; i < 50; i++) {
      const { id } = await addKey(store, [{ amount: 5 }])
      expect((await keys.find({ id }, 0))?.id).toBe(id)
      await store.keys.update(id, { name: 'changed' }, 0)
      expect((await keys.find({ id }, 0))?.name).toBe('changed')
    }
  })
})
