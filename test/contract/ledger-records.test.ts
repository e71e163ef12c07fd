/** What the ledger enters of work that was done already: all of it, once, whatever the key is by then. */
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { NO_UNITS, type Units } from '../../src/domain/limit.ts'
import type { Settlement } from '../../src/quota/ledger.ts'
import {
  addKey,
  ask,
  codeOf,
  current,
  ENGINES,
  end,
  hold,
  openTestStore,
  type TestKey,
  type TestStore,
  tokens,
  used,
} from '../support/store.ts'
import { DAY, HOUR, SECOND } from '../support/time.ts'

const work = (tokens: number, cost = 0): Units => ({ ...NO_UNITS, tokens, cost })

function settlementOf(charged: Units, object?: string): Settlement {
  const rest = { status: 101, latencyMs: 1, bytesIn: 0, bytesOut: 0 }
  return { outcome: 'answered', charged, ...rest, ...(object !== undefined && { object }) }
}

async function record(store: TestStore, key: TestKey, at: number, units: Units) {
  const known = await current(store, key)
  const claim = { key: known, at, upstream: 'told', requestId: 'req_1', units }
  return (await store.ledger.record(claim, settlementOf(units)))?.code ?? 'more'
}

const books = async (store: TestStore, at: number) =>
  (await store.examine(at)).findings.filter(({ check, ok }) => check === 'books' && !ok)

describe.each(ENGINES)('%s', (engine) => {
  const open = () => openTestStore(engine)

  test('charges what does not fit, and says that nothing more does', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 100 }])
    expect(await record(store, key, 0, work(60))).toBe('more')
    expect(await record(store, key, 0, work(39))).toBe('more')
    expect(await record(store, key, 0, work(1))).toBe('insufficient_quota')
    expect(await record(store, key, 0, work(500))).toBe('insufficient_quota')
    expect(await used(store, key, 0)).toEqual([0, 600])
    expect(await codeOf(ask(store, key, 0, tokens(1)))).toBe('insufficient_quota')
    expect(await books(store, 0)).toEqual([])
  })

  test('asks only the limits in the units that were used', async () => {
    const store = await open()
    const key = await addKey(store, [
      { amount: 0 },
      { unit: 'cost', amount: 5 },
      { unit: 'tokens' },
    ])
    expect(await record(store, key, 0, work(9))).toBe('more')
    expect(await record(store, key, 0, work(9, 6))).toBe('insufficient_quota')
    expect(await used(store, key, 0)).toEqual([0, 6, 18])
  })

  test('does not take what calls in flight hold for used up', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 100 }])
    const one = await hold(store, key, 0, tokens(90))
    expect(await record(store, key, 0, work(10))).toBe('quota_reserved')
    await end(store, one, tokens(0))
    expect(await used(store, key, 0)).toEqual([1, 10])
  })

  test('charges the periods of its own instant, sliding ones too', async () => {
    const store = await open()
    const key = await addKey(store, [
      { unit: 'tokens', amount: 100, window: 'minute' },
      { unit: 'tokens', window: 'day' },
    ])
    expect(await record(store, key, 0, work(100))).toBe('rate_limit_exceeded')
    expect(await record(store, key, 120 * SECOND, work(50))).toBe('more')
    expect(await used(store, key, 120 * SECOND)).toEqual([50, 150])
    expect(await record(store, key, DAY, work(7))).toBe('more')
    expect(await used(store, key, DAY)).toEqual([7, 7])
    expect(await books(store, DAY)).toEqual([])
  })

  test('charges a key that was changed, disabled or deleted meanwhile', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 100 }])
    const known = await current(store, key)
    await store.keys.update(key.id, { enabled: false }, 0)
    const claim = { key: known, at: 0, upstream: 'told', requestId: 'req_1', units: work(30) }
    expect(await store.ledger.record(claim, settlementOf(work(30)))).toBeNull()
    expect(await used(store, key, 0)).toEqual([0, 30])
    await store.keys.remove(key.id, 0)
    expect(await store.ledger.record(claim, settlementOf(work(30)))).toBeNull()
    expect(await books(store, 0)).toEqual([])
  })

  test('an object is charged by the first call that settles with it, and by no other', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens' }])
    const settle = async (object: string, held = hold(store, key, 0, tokens(0))) =>
      store.ledger.settle(await held, settlementOf(tokens(9), object))
    const held = [await hold(store, key, 0, tokens(0)), await hold(store, key, 0, tokens(0))]
    const [first, second] = await Promise.all(held.map((one) => settle('a', Promise.resolve(one))))
    await settle('a')
    await settle('b')
    expect(await used(store, key, 0)).toEqual([4, 18])
    // Each is told what had been used when it was granted, and what it has changed itself.
    expect([first?.[1]?.used, second?.[1]?.used]).toEqual([9, 0])
    expect(await store.ledger.isCharged('', 'a')).toBe(true)
    expect(await store.ledger.isCharged('', 'c')).toBe(false)
    expect(await store.ledger.isCharged('other', 'a')).toBe(false)
    expect(await books(store, 0)).toEqual([])
  })

  test('objects are forgotten when nobody can read them any more', async () => {
    const store = await open()
    const key = await addKey(store, [{}])
    const settle = async (object: string, at: number) =>
      store.ledger.settle(await hold(store, key, at, tokens(0)), settlementOf(tokens(9), object))
    await Promise.all(Array.from({ length: 450 }, (_, n) => settle(`old ${n}`, 0)))
    await settle('young', 10 * DAY)
    while (await store.prune(401 * DAY));
    expect(await store.ledger.isCharged('', 'old 0')).toBe(false)
    expect(await store.ledger.isCharged('', 'old 449')).toBe(false)
    expect(await store.ledger.isCharged('', 'young')).toBe(true)
  })
})

test('what was done while the store failed is written when it is back, once', async () => {
  const store = await openTestStore('SQLite in a file')
  const key = await addKey(store, [{}, { unit: 'tokens' }])
  const other = new Database(store.path)
  other.run('BEGIN IMMEDIATE')
  expect(await record(store, key, 0, work(5))).toBe('storage_unavailable')
  expect(await record(store, key, 0, work(6))).toBe('storage_unavailable')
  expect(await used(store, key, 0)).toEqual([0, 0])
  other.run('ROLLBACK')
  other.close()
  await store.ledger.flush()
  expect(await used(store, key, 0)).toEqual([0, 11])
  expect(await record(store, key, 0, work(1))).toBe('more')
  expect(await used(store, key, 0)).toEqual([0, 12])
})

test('whatever is reserved, settled and recorded in whatever order, the books balance and nothing is lost', async () => {
  const step = fc.record({
    what: fc.constantFrom('reserve', 'settle', 'record'),
    tokens: fc.integer({ min: 0, max: 40 }),
    afterMs: fc.constantFrom(0, 0, 0, 1_000, HOUR),
    alone: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const store = await openTestStore('SQLite in memory')
      const key = await addKey(store, [
        {},
        { unit: 'tokens', amount: 200, window: 'hour' },
        { unit: 'tokens', window: 'lifetime' },
      ])
      let at = 0
      let recorded = 0
      let settled = 0
      const open: { readonly hold: Awaited<ReturnType<typeof hold>>; readonly n: number }[] = []
      const running: Promise<unknown>[] = []
      for (const { what, tokens: n, afterMs, alone } of steps) {
        at += afterMs
        if (what === 'record') {
          recorded += n
          running.push(record(store, key, at, work(n)))
        } else if (what === 'reserve') {
          const reservation = await ask(store, key, at, tokens(n))
          if (reservation.ok) open.push({ hold: reservation.hold, n })
        } else {
          const call = open.shift()
          if (call === undefined) continue
          settled += n
          running.push(end(store, call.hold, tokens(n)))
        }
        if (alone) await Promise.all(running)
      }
      await Promise.all(running)
      const held = open.reduce((sum, { n }) => sum + n, 0)
      expect((await used(store, key, at))[2]).toBe(recorded + settled + held)
      expect(await books(store, at)).toEqual([])
      expect(store.events).toEqual([])
      await store.close()
    }),
    { numRuns: 60 },
  )
}, 30_000)
