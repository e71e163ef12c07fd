import { describe, expect, test } from 'bun:test'
import {
  addKey,
  ask,
  codeOf,
  ENGINES,
  end,
  hold,
  openTestStore,
  tokens,
  used,
} from '../support/store.ts'
import { DAY, HOUR, NOON, SECOND } from '../support/time.ts'

const times = (n: number) => Array.from({ length: n })

describe.each(ENGINES)('the ledger on %s', (engine) => {
  const open = () => openTestStore(engine)

  test('sliding windows never allow a double burst at their edge', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10, window: 'minute' }])
    const edge = NOON + 60 * SECOND
    const burst = async (at: number) => {
      const answers = await Promise.all(times(20).map(() => ask(store, key, at)))
      return answers.filter(({ ok }) => ok).length
    }
    expect(await burst(edge - 1)).toBe(10)
    expect(await burst(edge)).toBe(0)
    expect(await burst(edge + 59 * SECOND)).toBe(0)
    expect(await burst(edge + 60 * SECOND)).toBe(10)
    expect(store.events).toEqual([])
  })

  test('a clock that goes back frees nothing', async () => {
    const store = await open()
    for (const window of ['lifetime', 'minute', 'hour', 'day', 'week', 'month'] as const) {
      const key = await addKey(store, [{ amount: 2, window }])
      await end(store, await hold(store, key, NOON))
      await end(store, await hold(store, key, NOON + 30 * SECOND))
      for (const at of [NOON + SECOND, NOON, NOON - SECOND]) {
        expect(await codeOf(ask(store, key, at))).not.toBe('granted')
      }
    }
  })

  test('a window starts afresh exactly when it says', async () => {
    const store = await open()
    const berlin = { amount: 1, timezone: 'Europe/Berlin' }
    const ends = {
      day: Date.UTC(2026, 2, 29, 22),
      week: Date.UTC(2026, 2, 29, 22),
      month: Date.UTC(2026, 2, 31, 22),
    } as const
    // The morning of the day on which clocks change: it has 23 hours.
    const at = Date.UTC(2026, 2, 29, 0, 30)
    for (const window of ['day', 'week', 'month'] as const) {
      const key = await addKey(store, [{ ...berlin, window }])
      const { balances } = await hold(store, key, at)
      expect(balances[0]?.resetsAt).toBe(ends[window])
      expect(await codeOf(ask(store, key, ends[window] - 1))).not.toBe('granted')
      expect(await codeOf(ask(store, key, ends[window]))).toBe('granted')
    }
  })

  test('0 denies and says that waiting is no help, whatever the window', async () => {
    const store = await open()
    for (const window of ['lifetime', 'minute', 'hour', 'day', 'week', 'month'] as const) {
      const key = await addKey(store, [{ amount: 0, window }])
      const answer = await ask(store, key, NOON)
      if (answer.ok || answer.changed) throw new Error('not refused')
      expect(answer.refusal).toMatchObject({ code: 'insufficient_quota', limit: 0, remaining: 0 })
      expect(answer.refusal.retryAfterS).toBeUndefined()
    }
  })

  test('null never refuses, and counts all the same', async () => {
    const store = await open()
    const key = await addKey(store, [
      { amount: null },
      { unit: 'cost', amount: null, window: 'minute' },
    ])
    const much = { requests: 1, tokens: 0, cost: 1_000_000_000_000 }
    await Promise.all(times(100).map(() => hold(store, key, NOON, much)))
    expect(await used(store, key, NOON)).toEqual([100, 100_000_000_000_000])
  })

  test('quota held by calls in flight is told from quota that is used up', async () => {
    const store = await open()
    for (const window of ['lifetime', 'day', 'minute'] as const) {
      const key = await addKey(store, [{ amount: 1, window }])
      const one = await hold(store, key, NOON)
      const answer = await ask(store, key, NOON)
      expect(answer).toMatchObject({
        ok: false,
        refusal: { code: 'quota_reserved', retryAfterS: 1 },
      })
      const [sameTurn] = await Promise.all([codeOf(ask(store, key, NOON)), end(store, one)])
      const code = window === 'minute' ? 'rate_limit_exceeded' : 'insufficient_quota'
      expect([sameTurn, await codeOf(ask(store, key, NOON))]).toEqual([code, code])
    }
  })

  test('a call larger than the whole quota is told so, even when nothing is used', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 10, window: 'day' }])
    expect(await codeOf(ask(store, key, NOON, tokens(11)))).toBe('cost_exceeds_quota')
    expect(await codeOf(ask(store, key, NOON, tokens(10)))).toBe('granted')
  })

  test('a refusal tells the wait after which no limit stands in the way', async () => {
    const store = await open()
    const key = await addKey(store, [
      { amount: 1, window: 'day' },
      { amount: 1, window: 'minute' },
    ])
    await end(store, await hold(store, key, NOON))
    const answer = await ask(store, key, NOON + 1)
    expect(answer).toMatchObject({
      ok: false,
      refusal: {
        code: 'insufficient_quota',
        retryAfterS: 12 * 3600,
        resetsAt: '2026-06-11T00:00:00Z',
      },
    })
    expect(await codeOf(ask(store, key, NOON + 1 + 12 * HOUR))).toBe('granted')
  })

  test('credits beyond zero neither fail the ledger nor grant anything', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 5, window: 'day' }])
    await store.keys.credit(key.id, { limit: 'limit-1', amount: -9, reason: '' }, NOON)
    expect(await codeOf(ask(store, key, NOON, tokens(1)))).toBe('insufficient_quota')
    expect(await codeOf(ask(store, key, NOON, tokens(0)))).toBe('granted')
    expect(await codeOf(ask(store, key, NOON + DAY, tokens(5)))).toBe('granted')
    expect(store.events).toEqual([])
  })
})
