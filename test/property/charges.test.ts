/** What holds of every charge, whatever the upstream says and however the answer ends. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Units } from '../../src/domain/limit.ts'
import {
  type Ending,
  estimateUnits,
  type Metering,
  type Report,
  reckon,
} from '../../src/metering/reckon.ts'

const PRICE = { model: '*', input: 1_234_567, cachedInput: 98_765, output: 7_654_321 }

const tokens = fc.oneof(
  fc.constantFrom(0, 1),
  fc.integer({ min: 0, max: 100_000 }),
  fc.integer({ min: 0, max: 1_000_000_000_000 }),
)
const bytes = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2_000_000 }))

/** A call that allows so much output, or sets no bound. */
const meterings = fc
  .record({ input: tokens, output: tokens, isBounded: fc.boolean(), isRead: fc.boolean() })
  .map(({ input, output, isBounded, isRead }): Metering => {
    const estimate = isBounded ? { input, output, allowed: output } : { input, output }
    return {
      settings: { kind: 'tokens', outputTokensDefault: 1024 },
      prices: { id: 1, prices: [PRICE] },
      model: 'm',
      hideUsage: false,
      estimate: isRead ? estimate : null,
    }
  })

const usages = fc.record(
  { input: tokens, output: tokens, cached: tokens, model: fc.constant('m') },
  { requiredKeys: [] },
)
const reports: fc.Arbitrary<Report> = fc.record({
  usage: usages,
  units: fc.constant(null),
  writtenBytes: bytes,
  failed: fc.boolean(),
})
const endings: fc.Arbitrary<Ending> = fc.oneof(
  fc.constant({ status: null, isWhole: false }),
  fc.record({ status: fc.constantFrom(200, 204, 304, 400, 500), isWhole: fc.boolean() }),
)

function charge(ending: Ending, metering: Metering, report: Report) {
  const due = estimateUnits(1, metering)
  return reckon(due, ending, metering, report)
}

const isExact = (units: Units) =>
  Object.values(units).every((n) => Number.isSafeInteger(n) && n >= 0)

/** By itself: the sum of the parts at their prices, rounded up once. */
function costOf(input: number, cached: number, output: number): number {
  const read = Math.min(cached, input)
  const parts = [
    BigInt(input - read) * BigInt(PRICE.input),
    BigInt(read) * BigInt(PRICE.cachedInput),
    BigInt(output) * BigInt(PRICE.output),
  ]
  const sum = parts.reduce((all, part) => all + part)
  return Number((sum + 999_999n) / 1_000_000n)
}

test('every charge is exact, and of as many requests as were due', () => {
  const all = fc.property(endings, meterings, reports, (ending, metering, report) => {
    const { charged } = charge(ending, metering, report)
    expect(isExact(charged)).toBe(true)
    expect(charged.requests).toBe(1)
  })
  fc.assert(all, { numRuns: 2_000 })
})

test('what a whole answer reports is charged as it is, and is no estimate', () => {
  const whole = { status: 200, isWhole: true }
  const reported = fc.record({ input: tokens, output: tokens, cached: tokens })
  const all = fc.property(meterings, reported, bytes, (metering, usage, writtenBytes) => {
    const isSilent = usage.input + usage.output === 0
    const report = { usage, units: null, writtenBytes: isSilent ? 0 : writtenBytes, failed: false }
    const { charged, metered } = charge(whole, metering, report)
    const { input, output, cached } = usage
    expect(charged.tokens).toBe(input + output)
    expect(charged.cost).toBe(costOf(input, cached, output))
    expect(metered).toMatchObject({ input, output, estimated: false })
  })
  fc.assert(all, { numRuns: 2_000 })
})

test('output that was estimated is never above what the call allowed, nor above what was written', () => {
  const all = fc.property(endings, meterings, reports, (ending, metering, report) => {
    const { charged, metered } = charge(ending, metering, report)
    if (metered.output !== null) return
    const input = metered.input ?? metering.estimate?.input ?? 0
    const output = Math.max(0, charged.tokens - input)
    expect(output).toBeLessThanOrEqual(Math.ceil(report.writtenBytes / 4))
    expect(output).toBeLessThanOrEqual(metering.estimate?.allowed ?? Infinity)
  })
  fc.assert(all, { numRuns: 2_000 })
})

test('an answer that was cut off costs no more than it would have cost as a whole', () => {
  const cuts = fc.tuple(bytes, bytes, fc.constantFrom(null, 200))
  const all = fc.property(meterings, cuts, tokens, (metering, [one, other, status], input) => {
    const [few, many] = one < other ? [one, other] : [other, one]
    for (const usage of [{}, { input }]) {
      const said = { usage, units: null, failed: false }
      const writtenBytes = status === null ? 0 : few
      const cut = charge({ status, isWhole: false }, metering, { ...said, writtenBytes }).charged
      const whole = { ...said, writtenBytes: many }
      const all = charge({ status: 200, isWhole: true }, metering, whole).charged
      if (usage.input === 0 && many > 4) continue
      expect(cut.tokens).toBeLessThanOrEqual(all.tokens)
      expect(cut.cost).toBeLessThanOrEqual(all.cost)
    }
  })
  fc.assert(all, { numRuns: 2_000 })
})

test('whoever left before the head pays for the input alone, and errors for nothing that was not reported', () => {
  const all = fc.property(meterings, bytes, (metering, writtenBytes) => {
    const said = { usage: {}, units: null, failed: false }
    const left = charge({ status: null, isWhole: false }, metering, { ...said, writtenBytes: 0 })
    expect(left.charged.tokens).toBe(metering.estimate?.input ?? 0)
    const error = charge({ status: 400, isWhole: true }, metering, { ...said, writtenBytes })
    expect([error.charged.tokens, error.charged.cost]).toEqual([0, 0])
  })
  fc.assert(all, { numRuns: 500 })
})
