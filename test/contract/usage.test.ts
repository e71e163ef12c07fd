/** What every store must keep of usage. The names are the promises. */
import { describe, expect, test } from 'bun:test'
import type { Outcome } from '../../src/domain/call.ts'
import type { Units } from '../../src/domain/limit.ts'
import {
  addKey,
  codeOfAnswer,
  current,
  ONE,
  openTestStore,
  READ_ENGINES,
  type TestKey,
  type TestStore,
} from '../support/store.ts'
import { DAY, HOUR } from '../support/time.ts'

/** A midnight of UTC. */
const MIDNIGHT = Date.UTC(2026, 2, 29)

type Made = { at: number; upstream?: string; charged?: Partial<Units>; outcome?: Outcome }

async function make(store: TestStore, key: TestKey, made: Made): Promise<void> {
  const { at, upstream = '', outcome = 'answered' } = made
  const claim = { key: await current(store, key), at, upstream, requestId: 'req_1', units: ONE }
  const reservation = await store.ledger.reserve(claim)
  if (!reservation.ok) throw new Error(codeOfAnswer(reservation))
  const charged = { ...ONE, ...made.charged }
  const rest = { status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 }
  await store.ledger.settle(reservation.hold, { outcome, charged, ...rest })
}

const sums = (calls: number) => ({
  calls,
  failed: 0,
  estimated: 0,
  requests: calls,
  tokens: 0,
  cost: 0,
  bytesIn: 2 * calls,
  bytesOut: 3 * calls,
})

const usageOf = (store: TestStore) => store.reads('key_1').usage

describe.each(READ_ENGINES)('usage on %s', (engine) => {
  test('hours and days of UTC hold exactly the calls that were admitted in them, the oldest first', async () => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{ amount: null }])
    const other = await addKey(store, [{ amount: null }])
    const instants = [MIDNIGHT + DAY, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + HOUR - 1, MIDNIGHT + HOUR]
    for (const at of [...instants, MIDNIGHT + DAY - 1]) await make(store, key, { at })
    await make(store, other, { at: MIDNIGHT })
    expect(await usageOf(store).byPeriod(key.seq, {}, 'hour')).toEqual([
      { from: MIDNIGHT - HOUR, ...sums(1) },
      { from: MIDNIGHT, ...sums(2) },
      { from: MIDNIGHT + HOUR, ...sums(1) },
      { from: MIDNIGHT + DAY - HOUR, ...sums(1) },
      { from: MIDNIGHT + DAY, ...sums(1) },
    ])
    expect(await usageOf(store).byPeriod(key.seq, {}, 'day')).toEqual([
      { from: MIDNIGHT - DAY, ...sums(1) },
      { from: MIDNIGHT, ...sums(4) },
      { from: MIDNIGHT + DAY, ...sums(1) },
    ])
    expect(await usageOf(store).byPeriod(other.seq + 1, {}, 'day')).toEqual([])
  })

  test('a range takes the hours that begin in it, its end not included', async () => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{ amount: null }])
    for (const at of [0, HOUR, 2 * HOUR]) await make(store, key, { at: MIDNIGHT + at })
    const range = { from: MIDNIGHT + 1, to: MIDNIGHT + 2 * HOUR }
    expect(await usageOf(store).byPeriod(key.seq, range, 'hour')).toEqual([
      { from: MIDNIGHT + HOUR, ...sums(1) },
    ])
    expect(await usageOf(store).byPeriod(key.seq, range, 'day')).toEqual([
      { from: MIDNIGHT, ...sums(1) },
    ])
    expect(await usageOf(store).byUpstream(key.seq, range)).toEqual([{ upstream: '', ...sums(1) }])
    const later = { from: MIDNIGHT + 2 * HOUR }
    expect(await usageOf(store).byPeriod(key.seq, later, 'hour')).toHaveLength(1)
  })

  test('each upstream has what was charged for it, and a call that failed is counted as such', async () => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{ amount: null }])
    const other = await addKey(store, [{ amount: null }])
    await make(store, key, { at: 0, upstream: 'b', charged: { tokens: 7, cost: 900 } })
    await make(store, key, { at: DAY, upstream: 'b', charged: { tokens: 5, cost: 100 } })
    await make(store, key, { at: 0, upstream: 'a', charged: { requests: 0 }, outcome: 'not_sent' })
    await make(store, key, { at: 0 })
    await make(store, other, { at: 0, upstream: 'c' })
    const all = [
      { upstream: '', ...sums(1) },
      { upstream: 'a', ...sums(1), failed: 1, requests: 0 },
      { upstream: 'b', ...sums(2), tokens: 12, cost: 1000 },
    ]
    expect(await usageOf(store).byUpstream(key.seq, {})).toEqual(all)
    const [first] = await usageOf(store).byPeriod(key.seq, { to: DAY }, 'day')
    expect(first).toEqual({ from: 0, ...sums(3), failed: 1, requests: 2, tokens: 7, cost: 900 })
    const totals = await usageOf(store).totals([key.seq], {})
    expect(totals.get(key.seq)).toEqual({
      ...sums(4),
      failed: 1,
      requests: 3,
      tokens: 12,
      cost: 1000,
    })
  })
})
