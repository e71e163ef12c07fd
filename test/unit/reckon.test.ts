/** What a metered call reserves, and what it is charged in the end. */
import { expect, test } from 'bun:test'
import { NO_UNITS } from '../../src/domain/limit.ts'
import { estimateUnits, type Metering, reckon } from '../../src/metering/reckon.ts'
import type { Usage } from '../../src/metering/usage.ts'

const PRICES = {
  id: 7,
  prices: [
    { model: 'big-*', input: 10_000_000, cachedInput: 1_000_000, output: 30_000_000 },
    { model: 'small', input: 1_000_000, output: 2_000_000 },
  ],
}

const TOKENS: Metering = {
  settings: { kind: 'tokens', outputTokensDefault: 500 },
  prices: PRICES,
  model: 'small',
  hideUsage: false,
  estimate: { input: 100, output: 200 },
}
const POINTS: Metering = {
  ...TOKENS,
  settings: { kind: 'json', path: '$.points', unit: 'cost', estimate: 40 },
  prices: null,
}
const USAGE: Usage = { model: 'small', input: 90, output: 60, cached: 30, reasoning: 10 }
const SILENT = { usage: {}, units: null, writtenBytes: 0, failed: false }

test('what is reserved is the estimate, in tokens and at their price', () => {
  expect(estimateUnits(1, null)).toEqual({ requests: 1, tokens: 0, cost: 0 })
  expect(estimateUnits(3, TOKENS)).toEqual({ requests: 3, tokens: 300, cost: 500 })
  expect(estimateUnits(1, { ...TOKENS, estimate: null })).toEqual({
    requests: 1, tokens: 500, cost: 1000,
  }) // biome-ignore format: one answer
  expect(estimateUnits(1, { ...TOKENS, prices: null })).toMatchObject({ tokens: 300, cost: 0 })
  expect(estimateUnits(1, POINTS)).toEqual({ requests: 1, tokens: 0, cost: 40 })
})

test('what was reported is charged, less or more than was reserved, and kept with its price list', () => {
  const due = estimateUnits(1, TOKENS)
  const { charged, metered } = reckon(due, 200, TOKENS, {
    usage: USAGE,
    units: null,
    writtenBytes: 0,
    failed: false,
  })
  expect(charged).toEqual({ requests: 1, tokens: 150, cost: 210 })
  expect(metered).toEqual({
    model: 'small', input: 90, output: 60, cached: 30, reasoning: 10, parts: null, estimated: false, priceListId: 7,
  }) // biome-ignore format: one answer
  const more = { ...USAGE, output: 10_000 }
  expect(
    reckon(due, 200, TOKENS, { usage: more, units: null, writtenBytes: 0, failed: false }).charged
      .tokens,
  ).toBe(10_090)
})

test('a price fits the model that was asked for, or the one that is reported', () => {
  const asked = { ...TOKENS, model: 'big-1' }
  const usage = { ...USAGE, model: 'some-other-name' }
  // 60 read at 10, 30 from the cache at 1, 60 written at 30.
  expect(
    reckon(estimateUnits(1, asked), 200, asked, {
      usage,
      units: null,
      writtenBytes: 0,
      failed: false,
    }).charged.cost,
  ).toBe(2430)
  const unnamed = { ...TOKENS, model: null }
  const named = { ...USAGE, model: 'big-2' }
  const { charged, metered } = reckon(NO_REQUEST, 200, unnamed, {
    usage: named,
    units: null,
    writtenBytes: 0,
    failed: false,
  })
  expect([charged.cost, metered.priceListId]).toEqual([2430, 7])
  const free = reckon(
    NO_REQUEST,
    200,
    { ...TOKENS, model: 'free' },
    { usage, units: null, writtenBytes: 0, failed: false },
  )
  expect([free.charged.cost, free.metered.priceListId]).toEqual([0, null])
})

const NO_REQUEST = { requests: 1, tokens: 0, cost: 0 }

test('without a report the estimate stands, and says so', () => {
  const due = estimateUnits(1, TOKENS)
  const { charged, metered } = reckon(due, 200, TOKENS, SILENT)
  expect(charged).toEqual(due)
  expect(metered).toMatchObject({ estimated: true, model: 'small', input: null, output: null })
  expect(reckon(estimateUnits(1, POINTS), 200, POINTS, SILENT).metered.estimated).toBeTrue()
  // Nothing was estimated either.
  expect(reckon(NO_REQUEST, 200, TOKENS, SILENT).metered.estimated).toBeFalse()
})

test('an error that reports nothing has consumed nothing but the request', () => {
  const due = estimateUnits(2, TOKENS)
  const { charged, metered } = reckon(due, 400, TOKENS, SILENT)
  expect(charged).toEqual({ requests: 2, tokens: 0, cost: 0 })
  expect(metered.estimated).toBeFalse()
  expect(
    reckon(due, 400, TOKENS, { usage: USAGE, units: null, writtenBytes: 0, failed: false }).charged
      .tokens,
  ).toBe(150)
})

test('what is given back is given back whole, whatever was reported', () => {
  const { charged, metered } = reckon(NO_UNITS, 500, TOKENS, {
    usage: USAGE,
    units: null,
    writtenBytes: 0,
    failed: false,
  })
  expect(charged).toEqual(NO_UNITS)
  expect(metered).toMatchObject({ input: 90, estimated: false })
})

test('a meter by path charges the number in its unit', () => {
  const due = estimateUnits(1, POINTS)
  expect(reckon(due, 200, POINTS, { usage: {}, units: 3, writtenBytes: 0, failed: false }).charged).toEqual({
    requests: 1, tokens: 0, cost: 3,
  }) // biome-ignore format: one answer
  expect(
    reckon(due, 200, POINTS, { usage: {}, units: 0, writtenBytes: 0, failed: false }).charged.cost,
  ).toBe(0)
})
