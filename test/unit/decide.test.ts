import { describe, expect, test } from 'bun:test'
import { NO_UNITS } from '../../src/domain/limit.ts'
import { decide, type LimitState } from '../../src/quota/decide.ts'

const AT = Date.UTC(2026, 5, 10, 12)
const MIDNIGHT = Date.UTC(2026, 5, 11)

function state(changes: Partial<LimitState>): LimitState {
  return {
    name: 'quota',
    unit: 'requests',
    window: 'lifetime',
    amount: 10,
    used: 0,
    remaining: 10,
    windowS: null,
    resetsAt: null,
    held: 0,
    retryAt: () => null,
    ...changes,
  }
}

const daily = {
  window: 'day',
  windowS: 86_400,
  resetsAt: MIDNIGHT,
  retryAt: () => MIDNIGHT,
} as const
const minute = { window: 'minute', windowS: 60, retryAt: () => AT + 1_500 } as const

function refusal(limits: readonly LimitState[], requests = 1) {
  return decide(limits, { ...NO_UNITS, requests }, AT)
}

describe('a claim fits', () => {
  test('up to the very amount', () => {
    expect(refusal([state({ used: 9 })])).toBeNull()
    expect(refusal([state({ used: 9 })], 2)).not.toBeNull()
  })

  test('an unlimited amount, always', () => {
    expect(refusal([state({ amount: null, used: Number.MAX_SAFE_INTEGER })], 1e9)).toBeNull()
  })

  test('without limits', () => {
    expect(refusal([])).toBeNull()
  })

  test('a limit of a unit that it does not ask for, as long as that is not overdrawn', () => {
    expect(refusal([state({ unit: 'tokens', used: 10 })])).toBeNull()
    expect(refusal([state({ unit: 'tokens', used: 11 })])).not.toBeNull()
  })
})

describe('a refusal', () => {
  test('says money in decimals, as holders read it', () => {
    const money = (used: number, cost: number) =>
      decide([state({ unit: 'cost', amount: 5_500_000, used })], { ...NO_UNITS, cost }, AT)?.message
    expect(money(5_500_000, 1)).toStartWith('Quota exhausted: 5.50 of 5.50 in money used.')
    expect(money(0, 6_000_001)).toStartWith(
      'This call needs 6.000001 in money, which is more than the whole quota of 5.50.',
    )
  })

  test('of a quota that never refills has no time to wait for', () => {
    const refused = refusal([state({ used: 10 })])
    expect(refused).toMatchObject({ code: 'insufficient_quota', limit: 10, remaining: 0 })
    expect(refused).not.toHaveProperty('retryAfterS')
    expect(refused).not.toHaveProperty('resetsAt')
  })

  test('of a window up to an hour is a rate limit, of a longer one a quota', () => {
    expect(refusal([state({ used: 10, ...minute })])).toMatchObject({ code: 'rate_limit_exceeded' })
    expect(refusal([state({ used: 10, ...daily })])).toMatchObject({
      code: 'insufficient_quota', retryAfterS: 12 * 3600, resetsAt: '2026-06-11T00:00:00Z',
    }) // biome-ignore format: one refusal
  })

  test('rounds the wait up to whole seconds, and never to none', () => {
    expect(refusal([state({ used: 10, ...minute })])?.retryAfterS).toBe(2)
    expect(refusal([state({ used: 10, ...minute, retryAt: () => AT })])?.retryAfterS).toBe(1)
  })

  test('says when the rest is only held by calls in flight', () => {
    expect(refusal([state({ used: 10, held: 1 })])).toMatchObject({
      code: 'quota_reserved',
      retryAfterS: 1,
    })
    expect(refusal([state({ used: 10, held: 1 })], 2)?.code).toBe('insufficient_quota')
    expect(refusal([state({ used: 12, held: 2 })])?.code).toBe('insufficient_quota')
  })

  test('says when the call alone is more than the quota, unless a later period has room for it', () => {
    expect(refusal([state({})], 11)).toMatchObject({ code: 'cost_exceeds_quota', remaining: 10 })
    expect(refusal([state({})], 11)).not.toHaveProperty('retryAfterS')
    expect(refusal([state(daily)], 11)?.code).toBe('insufficient_quota')
  })

  test('of a quota of nothing is not about the size of the call', () => {
    expect(refusal([state({ amount: 0 })])?.code).toBe('insufficient_quota')
  })

  test('never says that less than nothing remains', () => {
    expect(refusal([state({ used: 15 })])?.remaining).toBe(0)
  })

  test('is that of the limit with the longest wait, wherever it stands', () => {
    const spent = state({ name: 'spent', used: 10, amount: 10 })
    const [short, long] = [state({ used: 10, ...minute }), state({ used: 10, ...daily })]
    const reserved = state({ used: 10, held: 5 })
    for (const limits of [
      [short, reserved, long],
      [long, short, reserved],
    ])
      expect(refusal(limits)?.retryAfterS).toBe(12 * 3600)
    for (const limits of [
      [spent, long],
      [long, reserved, spent],
    ])
      expect(refusal(limits)).not.toHaveProperty('retryAfterS')
    expect(refusal([reserved, short])?.code).toBe('rate_limit_exceeded')
  })
})
