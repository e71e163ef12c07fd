/** The quota fields: always valid structured fields, and true to the balances they are made from. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Parameters, parseList } from 'structured-headers'
import type { Balance } from '../../src/domain/limit.ts'
import { UNITS } from '../../src/domain/limit.ts'
import { type QuotaNote, setQuotaHeaders } from '../../src/proxy/headers/quota.ts'

const AT = Date.UTC(2026, 10, 22, 10, 0, 0)

const LIFETIME: Balance = {
  name: 'quota',
  unit: 'requests',
  window: 'lifetime',
  amount: 1_000,
  used: 258,
  remaining: 742,
  windowS: null,
  resetsAt: null,
}
const DAILY: Balance = { ...LIFETIME, window: 'day', windowS: 86_400, resetsAt: AT + 3_599_001 }

function written(note: Partial<QuotaNote>): Record<string, string> {
  const headers: Record<string, string> = {}
  setQuotaHeaders(headers, { balances: [], at: AT, cost: null, seq: null, ...note })
  return headers
}

describe('the fields', () => {
  test('of a lifetime quota name no window and no reset', () => {
    expect(written({ balances: [LIFETIME], cost: 1, seq: 7 })).toEqual({
      'ratelimit-policy': '"quota";q=1000',
      ratelimit: '"quota";r=742',
      'x-quota-limit': '1000',
      'x-quota-remaining': '742',
      'x-quota-cost': '1',
      'x-quota-charge-id': 'call_7',
    })
  })

  test('of a window name its length, and the seconds until it resets, rounded up', () => {
    expect(written({ balances: [DAILY] })).toEqual({
      'ratelimit-policy': '"quota";q=1000;w=86400',
      ratelimit: '"quota";r=742;t=3600',
      'x-quota-limit': '1000',
      'x-quota-remaining': '742',
      'x-quota-reset': '2026-11-22T10:59:59.001Z',
    })
  })

  test('never count below zero, also when the clock has gone past the reset', () => {
    expect(written({ balances: [{ ...DAILY, resetsAt: AT - 5_000 }] })['ratelimit']).toBe(
      '"quota";r=742;t=0',
    )
  })

  test('leave out what is unlimited, and say what else there is', () => {
    const unlimited: Balance = { ...LIFETIME, amount: null, remaining: null }
    expect(written({ balances: [unlimited], cost: 0 })).toEqual({ 'x-quota-cost': '0' })
    const tokens: Balance = { ...DAILY, name: 'tokens-day', unit: 'tokens' }
    expect(written({ balances: [unlimited, tokens] })).toEqual({
      'ratelimit-policy': '"tokens-day";q=1000;w=86400;qp-unit="tokens"',
      ratelimit: '"tokens-day";r=742;t=3600',
      'x-ratelimit-limit-tokens': '1000',
      'x-ratelimit-remaining-tokens': '742',
      'x-ratelimit-reset-tokens': '3600s',
    })
  })

  test('parse by RFC 9651 whatever the balances are, and say what they say', () => {
    const amount = fc.nat({ max: Number.MAX_SAFE_INTEGER })
    const balance = fc.record({
      name: fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/),
      unit: fc.constantFrom(...UNITS),
      window: fc.constant('day' as const),
      amount,
      used: amount,
      remaining: amount,
      windowS: fc.option(fc.nat({ max: 31 * 86_400 })),
      resetsAt: fc.option(fc.integer({ min: AT - 1_000, max: AT + 31 * 86_400_000 })),
    })
    fc.assert(
      fc.property(fc.array(balance, { minLength: 1, maxLength: 17 }), (balances) => {
        const headers = written({ balances })
        const policies = parseList(headers['ratelimit-policy'] ?? '')
        const states = parseList(headers['ratelimit'] ?? '')
        expect([policies.length, states.length]).toEqual([balances.length, balances.length])
        for (const [i, { name, amount, remaining, windowS, resetsAt }] of balances.entries()) {
          const [policyName, policy] = policies[i] as [string, Parameters]
          const [stateName, state] = states[i] as [string, Parameters]
          expect([policyName, stateName]).toEqual([name, name])
          const limit = 10 ** 15 - 1
          expect(policy.get('q')).toBe(Math.min(amount, limit))
          expect(state.get('r')).toBe(Math.min(remaining, limit))
          expect(policy.get('w') ?? null).toBe(windowS)
          const seconds = resetsAt === null ? null : Math.max(0, Math.ceil((resetsAt - AT) / 1_000))
          expect(state.get('t') ?? null).toBe(seconds)
        }
      }),
    )
  })
})
