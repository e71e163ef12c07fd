/** Money is whole numbers to the micro-unit: compared with a sum over single tokens, made in another way. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Price, TokenPrices } from '../../src/domain/upstream/price.ts'
import { costOf, type Priced } from '../../src/metering/price/cost.ts'

const amount = fc.integer({ min: 0, max: 1e9 })
const set = fc.record(
  {
    input: amount, output: amount, cachedInput: amount, cacheWrite5m: amount, cacheWrite1h: amount, reasoning: amount,
    audioInput: amount, audioOutput: amount, imageInput: amount, imageOutput: amount,
  },
  { requiredKeys: ['input', 'output'] },
) // biome-ignore format: one record
const price: fc.Arbitrary<Price> = fc
  .record({
    set,
    long: fc.option(fc.tuple(fc.integer({ min: 1, max: 40 }), set)),
    others: fc.record({ perCall: amount, perImage: amount, perSecond: amount }, { requiredKeys: [] }),
  })
  .map(({ set: prices, long, others }) => ({
    model: '*',
    ...prices,
    ...others,
    ...(long && { longContext: { above: long[0], ...long[1] } }),
  })) // biome-ignore format: one record

/** The kinds of tokens in the order in which they are told apart, and what each costs. */
const INPUT_KINDS: readonly ((prices: TokenPrices) => number | undefined)[] = [
  ({ cachedInput }) => cachedInput,
  ({ cacheWrite5m }) => cacheWrite5m,
  ({ cacheWrite1h, cacheWrite5m }) => cacheWrite1h ?? cacheWrite5m,
  ({ audioInput }) => audioInput,
  ({ imageInput }) => imageInput,
]
const OUTPUT_KINDS: typeof INPUT_KINDS = [
  ({ reasoning }) => reasoning,
  ({ audioOutput }) => audioOutput,
  ({ imageOutput }) => imageOutput,
]

/** Token by token, each with the price of its kind: a list of kinds as long as the whole at most. */
function sumOf(whole: number, parts: readonly number[], prices: readonly number[], rest: number) {
  const kinds = parts.flatMap((tokens, kind) => Array<number>(tokens).fill(kind)).slice(0, whole)
  let sum = 0n
  for (let token = 0; token < whole; token++) sum += BigInt(prices[kinds[token] ?? -1] ?? rest)
  return sum
}

const few = fc.integer({ min: 0, max: 60 })
const used = fc.record({
  input: few, output: few, cached: few, reasoning: few,
  parts: fc.record({
    cacheWritten5m: few, cacheWritten1h: few, audioInput: few, imageInput: few, audioOutput: few, imageOutput: few, images: few, seconds: few,
  }),
}) // biome-ignore format: one record

test('a cost is the exact sum over its tokens, each counted once, rounded up to the next micro-unit', () => {
  fc.assert(
    fc.property(price, used, (one, usage) => {
      const { input, output, cached, reasoning, parts } = usage
      const { longContext } = one
      const prices = longContext && input > longContext.above ? longContext : one
      const read = [cached, parts.cacheWritten5m, parts.cacheWritten1h, parts.audioInput, parts.imageInput]
      const written = [reasoning, parts.audioOutput, parts.imageOutput]
      const exact =
        sumOf(input, read, INPUT_KINDS.map((of) => of(prices) ?? prices.input), prices.input) +
        sumOf(output, written, OUTPUT_KINDS.map((of) => of(prices) ?? prices.output), prices.output)
      const things =
        (one.perCall ?? 0) + parts.images * (one.perImage ?? 0) + parts.seconds * (one.perSecond ?? 0)
      const forTokens = BigInt(costOf(one, usage)) - BigInt(things)
      expect(forTokens * 1_000_000n >= exact && (forTokens - 1n) * 1_000_000n < exact).toBe(true)
    }),
    { numRuns: 2000 },
  )
}) // biome-ignore format: two sums

test('more tokens never cost less, and whatever is reported costs a countable number', () => {
  const odd = fc.oneof(fc.integer({ min: 0, max: 1e12 }), fc.double(), fc.constantFrom(-1, 2 ** 53))
  const report = fc.record(
    { input: odd, output: odd, cached: odd, reasoning: odd },
    { requiredKeys: ['input', 'output'] },
  )
  fc.assert(
    fc.property(price, report, odd, (one, usage: Priced, parts) => {
      const told = { audioInput: parts, cacheWritten1h: parts, seconds: parts }
      const cost = costOf(one, { ...usage, parts: told })
      expect(Number.isSafeInteger(cost) && cost >= 0).toBe(true)
      const { longContext: _, ...plain } = one
      const whole = { input: Math.abs(usage.input), output: Math.abs(usage.output) }
      if (!Number.isFinite((whole.input + whole.output) * 2)) return
      const more = { input: whole.input * 2, output: whole.output * 2 }
      expect(costOf(plain, more)).toBeGreaterThanOrEqual(costOf(plain, whole))
    }),
  )
})
