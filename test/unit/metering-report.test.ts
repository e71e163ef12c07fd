/** A number by its path in an answer, and what tokens are worth in money. */
import { describe, expect, test } from 'bun:test'
import { readNumber } from '../../src/metering/answer/json-path.ts'
import { costOf, priceOf } from '../../src/metering/price.ts'

describe('a number by its path', () => {
  const json = { usage: { credits: 7, parts: [{ n: 2.1 }], 'in all': 9, '0': 4 }, list: [1, 2] }
  const found: [path: string, units: number | null][] = [
    ['$.usage.credits', 7],
    ['$.usage.parts[0].n', 3],
    ["$.usage['in all']", 9],
    ["$['usage']['credits']", 7],
    ['$.list[1]', 2],
    ['$.list[2]', null],
    ['$.list.length', null],
    ['$.usage[0]', null],
    ['$.usage', null],
    ['$.toString', null],
    ['$.usage.__proto__', null],
    ['$', null],
    ['', null],
    ['usage.credits', null],
    ['$..credits', null],
    ['$.usage.*', null],
    ['$[?(@.a)]', null],
    ['$.usage.credits ', null],
  ]
  for (const [path, units] of found) {
    test(`${path || 'an empty path'} is ${units}`, () =>
      expect(readNumber(JSON.stringify(json), path)).toBe(units))
  }

  test('is nothing unless it can be charged', () => {
    for (const value of [
      '-1',
      '-0.5',
      '"5"',
      'null',
      'NaN',
      '1e999',
      '9007199254740992',
      '[5]',
      'true',
    ]) {
      expect(readNumber(`{"value":${value}}`, '$.value')).toBeNull()
    }
    expect(readNumber('{"value":0}', '$.value')).toBe(0)
    expect(readNumber('{"value":9007199254740991}', '$.value')).toBe(2 ** 53 - 1)
  })
})

describe('a price', () => {
  const price = (model: string) => ({ model, input: 1, output: 1 })

  test('is the first in the list that fits', () => {
    const prices = ['gpt-4o-mini*', 'gpt-4o*', '*'].map(price)
    expect(priceOf(prices, 'gpt-4o-mini-2024')?.model).toBe('gpt-4o-mini*')
    expect(priceOf(prices, 'gpt-4o')?.model).toBe('gpt-4o*')
    expect(priceOf(prices, 'o3')?.model).toBe('*')
    expect(priceOf(prices.slice(0, 2), 'o3')).toBeNull()
  })

  test('fits the model as it was asked for or as the upstream names it', () => {
    const prices = ['gpt-4o', '*'].map(price)
    expect(priceOf(prices, 'gpt-4o', 'gpt-4o-2024-08-06')?.model).toBe('gpt-4o')
    expect(priceOf(prices, 'auto', 'gpt-4o')?.model).toBe('gpt-4o')
  })

  test('has a glob whose * crosses slashes, as names of models have them', () => {
    expect(priceOf([price('*llama*')], 'meta-llama/Llama-3/x-llama')).not.toBeNull()
    expect(priceOf([price('meta-llama/*')], 'meta-llama/a/b')).not.toBeNull()
    expect(priceOf([price('*')], 'meta-llama/Llama-3')).not.toBeNull()
    expect(priceOf([price('meta-llama')], 'meta-llama/Llama-3')).toBeNull()
  })

  test('of a model that nobody names is that of every model', () => {
    expect(priceOf([price('gpt*'), price('*')], null)?.model).toBe('*')
    expect(priceOf([price('gpt*')], null, null)).toBeNull()
  })
})

describe('a cost', () => {
  const usage = (input: number, output: number, cached = 0) => ({ input, output, cached })

  test('is in micro-units, rounded up', () => {
    const price = { model: '*', input: 2_500_000, output: 10_000_000 }
    expect(costOf(price, usage(1000, 100))).toBe(3500)
    expect(costOf({ ...price, input: 1 }, usage(1, 0))).toBe(1)
    expect(costOf(price, usage(0, 0))).toBe(0)
  })

  test('has a price of its own for what came from the cache', () => {
    const price = { model: '*', input: 1_000_000, cachedInput: 100_000, output: 0 }
    expect(costOf(price, usage(100, 0, 60))).toBe(46)
    expect(costOf({ model: '*', input: 1_000_000, output: 0 }, usage(100, 0, 60))).toBe(100)
    expect(costOf({ ...price, cachedInput: 0 }, usage(100, 0, 100))).toBe(0)
  })

  test('is never negative, even if more was cached than read', () => {
    const price = { model: '*', input: 1_000_000, cachedInput: 0, output: 0 }
    expect(costOf(price, usage(10, 0, 50))).toBe(0)
  })

  test('is exact where the product is not', () => {
    const price = { model: '*', input: 1_000_000, output: 1 }
    // 10^16 + 1, which as a double is 10^16.
    expect(costOf(price, usage(10_000_000_000, 1))).toBe(10_000_000_001)
    expect(costOf({ ...price, input: 1e12 }, usage(1e12, 0))).toBe(Number.MAX_SAFE_INTEGER)
  })
})
