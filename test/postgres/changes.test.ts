/** Changes of keys on one replica while calls of the same keys go on through others. */
import { expect, test } from 'bun:test'
import { addKey, ask, end, limitOf, openTestStore, type TestKey } from '../support/store.ts'
import { NOON } from '../support/time.ts'

const LIMITS = [
  { amount: 100_000 },
  { amount: 90_000, window: 'minute' },
  { window: 'day' },
  { amount: 50_000, window: 'hour' },
] as const

const REPLICAS = ['one', 'other']
const WORKERS = 3
const CALLS = 30
const ROUNDS = 8

test('neither waits for the other in a circle, and no unit is lost', async () => {
  const first = await openTestStore('PostgreSQL', { replica: 'first' })
  const { path } = first
  const stores = await Promise.all(
    REPLICAS.map((replica) => openTestStore('PostgreSQL', { path, replica })),
  )
  const keys: TestKey[] = []
  for (let i = 0; i < 4; i++) keys.push(await addKey(first, LIMITS))
  let granted = 0
  const call = async (store: (typeof stores)[number], key: TestKey, at: number) => {
    const answer = await ask(store, key, at)
    if (answer.ok) {
      granted++
      await end(store, answer.hold)
    } else if (!answer.changed) throw new Error(answer.refusal.code)
  }
  const change = async (store: (typeof stores)[number], { id }: TestKey, at: number, n: number) => {
    await store.keys.credit(id, { limit: 'quota', amount: 1, reason: '' }, at)
    await store.keys.reset(id, 99_999, at)
    // The last limit comes and goes.
    const limits = LIMITS.map(limitOf).slice(0, n % 2 === 0 ? 3 : 4)
    await store.keys.update(id, { limits }, at)
  }
  const work = stores.flatMap((store, s) =>
    keys.flatMap((key) => [
      ...Array.from({ length: WORKERS }, async (_, worker) => {
        for (let i = 0; i < CALLS; i++) await call(store, key, NOON + i * 700 + worker)
      }),
      (async () => {
        for (let i = 0; i < ROUNDS; i++) await change(store, key, NOON + i * 3_000, i + s)
      })(),
    ]),
  )
  await Promise.all(work)
  expect(granted).toBeGreaterThan(0)
  const totals = await first.reads('operator').usage.totals(
    keys.map(({ seq }) => seq),
    {},
  )
  expect([...totals.values()].reduce((sum, { calls }) => sum + calls, 0)).toBe(granted)
  const { findings } = await first.examine(NOON)
  expect(findings.filter(({ check, ok }) => /books|holds/.test(check) && !ok)).toEqual([])
  for (const store of stores) expect(store.events).toEqual([])
  for (const { id } of keys)
    expect((await first.keys.find({ id }, NOON))?.revision).toBe(1 + 2 * ROUNDS * 3)
}, 60_000)
