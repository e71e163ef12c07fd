/** What a metered call reserves, and what it is charged in the end. */
import { describe, expect, test } from 'bun:test'
import { NO_UNITS } from '../../src/domain/limit.ts'
import {
  type Ending,
  estimateUnits,
  type Metering,
  NO_REPORT,
  type Report,
  reckon,
} from '../../src/metering/reckon.ts'
import type { Usage } from '../../src/metering/usage.ts'

const PRICES = {
  id: 7,
  prices: [
    { model: 'big-*', input: 10_000_000, cachedInput: 1_000_000, output: 30_000_000 },
    { model: 'small', input: 1_000_000, output: 2_000_000 },
  ],
}

/** A call that allows 200 tokens of output. */
const TOKENS: Metering = {
  settings: { kind: 'tokens', outputTokensDefault: 500 },
  prices: PRICES,
  model: 'small',
  hideUsage: false,
  estimate: { input: 100, output: 200, allowed: 200 },
}
/** One that sets no bound. */
const OPEN: Metering = { ...TOKENS, estimate: { input: 100, output: 500 } }
const POINTS: Metering = {
  ...TOKENS,
  settings: { kind: 'json', path: '$.points', unit: 'cost', estimate: 40 },
  prices: null,
}
const USAGE: Usage = { model: 'small', input: 90, output: 60, cached: 30, reasoning: 10 }
const REPORTED: Report = { ...NO_REPORT, usage: USAGE }

const whole = (status = 200): Ending => ({ status, isWhole: true })
const CUT: Ending = { status: 200, isWhole: false }
const NO_HEAD: Ending = { status: null, isWhole: false }

/** Tokens, cost and whether they are estimated. */
function charge(ending: Ending, report: Partial<Report>, metering = TOKENS) {
  const due = estimateUnits(1, metering)
  const { charged, metered } = reckon(due, ending, metering, { ...NO_REPORT, ...report })
  return [charged.tokens, charged.cost, metered.estimated]
}

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
  const { charged, metered } = reckon(due, whole(), TOKENS, REPORTED)
  expect(charged).toEqual({ requests: 1, tokens: 150, cost: 210 })
  expect(metered).toEqual({
    model: 'small', input: 90, output: 60, cached: 30, reasoning: 10, parts: null, estimated: false, priceListId: 7,
  }) // biome-ignore format: one answer
  expect(charge(whole(), { usage: { ...USAGE, output: 10_000 } })).toEqual([10_090, 20_090, false])
})

test('a price fits the model that was asked for, or the one that is reported', () => {
  const asked = { ...TOKENS, model: 'big-1' }
  const usage = { ...USAGE, model: 'some-other-name' }
  // 60 read at 10, 30 from the cache at 1, 60 written at 30.
  expect(charge(whole(), { usage }, asked)).toEqual([150, 2430, false])
  const unnamed = { ...TOKENS, model: null }
  const named = { ...NO_REPORT, usage: { ...USAGE, model: 'big-2' } }
  const { charged, metered } = reckon(NO_REQUEST, whole(), unnamed, named)
  expect([charged.cost, metered.priceListId]).toEqual([2430, 7])
  const other = { ...NO_REPORT, usage }
  const free = reckon(NO_REQUEST, whole(), { ...TOKENS, model: 'free' }, other)
  expect([free.charged.cost, free.metered.priceListId]).toEqual([0, null])
})

const NO_REQUEST = { requests: 1, tokens: 0, cost: 0 }

describe('a whole answer', () => {
  test('without a report is charged by its length, at most what the call allowed', () => {
    expect(charge(whole(), { writtenBytes: 3 })).toEqual([101, 102, true])
    expect(charge(whole(), { writtenBytes: 400 })).toEqual([200, 300, true])
    expect(charge(whole(), { writtenBytes: 4_000_000 })).toEqual([300, 500, true])
    // What is usual is no bound.
    expect(charge(whole(), { writtenBytes: 400_000 }, OPEN)).toEqual([100_100, 200_100, true])
  })

  test('that is empty is charged for its input', () => {
    expect(charge(whole(), {})).toEqual([100, 100, true])
    expect(charge(whole(), {}, { ...TOKENS, estimate: null })).toEqual([0, 0, false])
  })

  test('that reports one half is charged for it, and for the other as estimated', () => {
    expect(charge(whole(), { usage: { output: 298 } })).toEqual([398, 696, true])
    expect(charge(whole(), { usage: { input: 9 }, writtenBytes: 40 })).toEqual([19, 29, true])
    // Embeddings write nothing, and need not say so.
    expect(charge(whole(), { usage: { input: 9 } })).toEqual([9, 9, false])
  })

  test('is not believed that it has used nothing for what it has written', () => {
    const zeros = { model: 'small', input: 0, output: 0, cached: 0, reasoning: 0 }
    const due = estimateUnits(1, TOKENS)
    const { charged, metered } = reckon(due, whole(), TOKENS, {
      ...NO_REPORT,
      ...{ usage: zeros, writtenBytes: 400 },
    })
    expect(charged).toEqual({ requests: 1, tokens: 200, cost: 300 })
    expect(metered).toMatchObject({ model: 'small', input: null, output: null, estimated: true })
    for (const usage of [zeros, { input: 0 }, { output: 0 }])
      expect(charge(whole(), { usage, writtenBytes: 5 })).toEqual([102, 104, true])
    expect(charge(whole(), { usage: zeros })).toEqual([0, 0, false])
    expect(charge(whole(), { usage: zeros, writtenBytes: 4 })).toEqual([0, 0, false])
    // It has read something: a report, whatever one may think of it.
    const empty = { ...zeros, input: 9000 }
    expect(charge(whole(), { usage: empty, writtenBytes: 400 })).toEqual([9000, 9000, false])
  })

  test('that is no work has consumed nothing but the request', () => {
    for (const status of [204, 205, 301, 304, 307, 400, 404, 422, 500])
      expect(charge(whole(status), { writtenBytes: 400 })).toEqual([0, 0, false])
    expect(charge(whole(400), { usage: USAGE })).toEqual([150, 210, false])
    expect(charge(whole(400), { usage: { input: 9 }, writtenBytes: 400 })).toEqual([9, 9, false])
  })

  test('that is counted in images or in seconds has no tokens to be estimated', () => {
    for (const parts of [{ images: 2 }, { seconds: 30 }])
      expect(charge(whole(), { usage: { parts }, writtenBytes: 400 })).toEqual([0, 0, false])
    const usage = { parts: { audioInput: 3 } }
    expect(charge(whole(), { usage, writtenBytes: 400 })).toEqual([200, 300, true])
  })
})

describe('an answer that says itself that the work failed', () => {
  const failed = true
  test('has consumed nothing if nothing was written', () => {
    expect(charge(whole(), { failed })).toEqual([0, 0, false])
    expect(charge(CUT, { failed })).toEqual([0, 0, false])
  })

  test('is charged for what was reported and written until then', () => {
    expect(charge(whole(), { failed, writtenBytes: 4 })).toEqual([101, 102, true])
    const usage = { input: 25, output: 1 }
    expect(charge(whole(), { failed, usage, writtenBytes: 1 })).toEqual([26, 27, false])
    expect(charge(whole(), { failed, usage, writtenBytes: 400 })).toEqual([125, 225, true])
  })
})

describe('an answer that broke off', () => {
  test('before its head is charged for its input, whatever it could have become', () => {
    expect(charge(NO_HEAD, {})).toEqual([100, 100, true])
    expect(charge(NO_HEAD, {}, OPEN)).toEqual([100, 100, true])
  })

  test('is charged for what was reported so far and for what was written beside it', () => {
    expect(charge(CUT, {})).toEqual([100, 100, true])
    expect(charge(CUT, { writtenBytes: 14 })).toEqual([104, 108, true])
    expect(charge(CUT, { usage: { input: 25 }, writtenBytes: 14 })).toEqual([29, 33, true])
    expect(charge(CUT, { usage: { input: 51_000, cached: 50_000 } })).toEqual([
      51_000, 51_000, true,
    ]) // biome-ignore format: one answer
  })

  test('is not believed that its last report was of text that came after it', () => {
    const start = { input: 25, output: 1 }
    expect(charge(CUT, { usage: start, writtenBytes: 16 })).toEqual([26, 27, true])
    expect(charge(CUT, { usage: start, writtenBytes: 17 })).toEqual([30, 35, true])
    // One that counts as it goes on is.
    const running = { input: 25, output: 70 }
    expect(charge(CUT, { usage: running, writtenBytes: 400 })).toEqual([95, 165, true])
  })

  test('is never charged more output than the call allowed, unless that was reported', () => {
    expect(charge(CUT, { writtenBytes: 1_000_000 })).toEqual([300, 500, true])
    const usage = { input: 25, output: 300 }
    expect(charge(CUT, { usage, writtenBytes: 1000 })).toEqual([325, 625, true])
  })
})

test('what is given back is given back whole, whatever was reported', () => {
  const { charged, metered } = reckon(NO_UNITS, whole(500), TOKENS, REPORTED)
  expect(charged).toEqual(NO_UNITS)
  expect(metered).toMatchObject({ input: 90, estimated: false })
})

test('a meter by path charges the number in its unit, its estimate without one, and nothing for no work', () => {
  expect(charge(whole(), { units: 3 }, POINTS)).toEqual([0, 3, false])
  expect(charge(whole(), { units: 0 }, POINTS)).toEqual([0, 0, false])
  expect(charge(whole(), {}, POINTS)).toEqual([0, 40, true])
  expect(charge(NO_HEAD, {}, POINTS)).toEqual([0, 40, true])
  for (const status of [204, 304, 404])
    expect(charge(whole(status), {}, POINTS)).toEqual([0, 0, false])
  expect(charge(whole(), { failed: true }, POINTS)).toEqual([0, 0, false])
})

test('of a whole report, what it does not say is zero, and a part is no more than the whole', () => {
  const metered = (usage: Report['usage']) =>
    reckon(NO_REQUEST, whole(), TOKENS, { ...NO_REPORT, usage }).metered
  expect(metered({ input: 9, output: 5 })).toMatchObject({ cached: 0, reasoning: 0 })
  const more = { input: 9, output: 5, cached: 10, reasoning: 6 }
  expect(metered(more)).toMatchObject({ cached: 9, reasoning: 5 })
  expect(metered({ output: 5 })).toMatchObject({ input: null, output: 5, cached: null })
})

test('the text of an answer that reports all of its work is not measured', () => {
  const report = {
    ...{ usage: USAGE, units: null, failed: false },
    get writtenBytes(): number {
      throw new Error('measured')
    },
  }
  const due = estimateUnits(1, TOKENS)
  expect(reckon(due, whole(), TOKENS, report).charged.tokens).toBe(150)
})
