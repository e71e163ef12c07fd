/** Who serves a store, as each engine tells it. */
import { expect, test } from 'bun:test'
import { VERSION } from '../../src/lib/process/version.ts'
import { testDatabase } from '../support/database.ts'
import { addKey, ENGINES, hold, openTestStore } from '../support/store.ts'

const DAY = 86_400_000

for (const engine of ENGINES) {
  test(`${engine}: the process that serves it is named, with its calls in flight`, async () => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{ amount: 5 }])
    for (let n = 0; n < 3; n++) await hold(store, key, 0)
    const view = await store.replicas.view(Date.now())
    expect(view).toMatchObject({ orphans: 0, replicas: [{ endedAt: null }] })
    expect(view.replicas[0]).toMatchObject({
      id: 'the replica of tests',
      version: VERSION,
      state: 'serving',
      here: true,
      holds: 3,
    })
    expect(view.schema.applied).toBeGreaterThan(0)
    expect(view.schema.newest).toMatch(/^\d{4}_\w+$/)
    expect(view.schema.oldest <= view.schema.newest).toBe(true)
    expect(view.bytes).toBeGreaterThan(10_000)
    expect(view.version).toMatch(/^\d+\.\d+/)
  })
}

async function opened() {
  const store = await openTestStore('PostgreSQL')
  const { run } = testDatabase(store)
  /** Ages are before now, in ms. */
  const add = (id: string, leaseMs: number, endedMs: number | null) =>
    run(`INSERT INTO replicas (id, version, started_at, lease_until, ended_at)
      SELECT '${id}', '0.0.1', now - ${2 * DAY}, now - ${leaseMs}, now - ${endedMs ?? 'NULL'}
      FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) clock`)
  return { store, run, add }
}

test('PostgreSQL: who has left and who was lost within a day is told, the newest end first', async () => {
  const { store, add } = await opened()
  await add('left', 5_000, 10_000)
  await add('lost', 30_000, 20_000)
  await add('long gone', DAY + 5_000, DAY + 10_000)
  const { replicas, clockAheadMs } = await store.replicas.view(Date.now())
  expect(replicas.map(({ id, state, here }) => [id, state, here])).toEqual([
    ['the replica of tests', 'serving', true],
    ['left', 'left', false],
    ['lost', 'lost', false],
  ])
  const [own, left] = replicas
  expect(own?.leaseMs).toBeWithin(1, 15_001)
  expect(left?.leaseMs).toBeNull()
  expect((left?.endedAt ?? 0) - (left?.seenAt ?? 0)).toBe(10_000)
  // Both are the clock of this machine.
  expect(Math.abs(clockAheadMs ?? Number.NaN)).toBeLessThan(5_000)
})

test('PostgreSQL: a clock that differs from the one here is told of', async () => {
  const { store } = await opened()
  expect((await store.replicas.view(Date.now() - 60_000)).clockAheadMs).toBeWithin(55_000, 65_000)
  expect((await store.replicas.view(Date.now() + 60_000)).clockAheadMs).toBeWithin(-65_000, -55_000)
})

test('PostgreSQL: a replica whose lease has run out is found by another, and counted', async () => {
  const { store, add } = await opened()
  await add('the silent one', 1_000, null)
  expect((await store.replicas.view(Date.now())).replicas[1]).toMatchObject({ state: 'lost' })
  while (store.replicas.known().lost === 0) await Bun.sleep(50)
  const { replicas } = await store.replicas.view(Date.now())
  expect(replicas[1]).toMatchObject({
    id: 'the silent one',
    state: 'lost',
    endedAt: expect.any(Number),
  })
  const known = store.replicas.known()
  expect(known).toMatchObject({ serving: 1, lost: 1 })
  expect(known.leaseMs).toBeWithin(1, 15_001)
})

test('PostgreSQL: calls of a replica that has ended are orphans until somebody ends them', async () => {
  const { store, run } = await opened()
  const key = await addKey(store, [{ amount: 5 }])
  await hold(store, key, 0)
  await run('UPDATE holds SET replica = 999')
  const { orphans, replicas } = await store.replicas.view(Date.now())
  expect([orphans, replicas[0]?.holds]).toEqual([1, 0])
  let left = orphans
  while (left > 0) ({ orphans: left } = await store.replicas.view(Date.now()))
})
