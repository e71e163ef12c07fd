/** What tokens, images and seconds cost. Pure; exact to the micro-unit, however many there are; never throws. */

import type { UsageParts } from '../../domain/call.ts'
import type { Price, TokenPrices } from '../../domain/upstream/price.ts'
import type { Usage } from '../usage.ts'

/** A price is for so many tokens. */
const TOKENS_PER_PRICE = 1_000_000n

/** What a call has used, or is expected to. */
export type Priced = Pick<Usage, 'input' | 'output'> &
  Partial<Pick<Usage, 'cached' | 'reasoning' | 'parts'>>

/**
 * Micro-units, rounded up once. Prices are whole numbers, as the API demands. Each token costs once: a part takes its tokens
 * from what the parts before it have left of the whole, so that parts that add up to more than the whole cost no more.
 */
export function costOf(price: Price, usage: Priced): number {
  const { input, output, cached = 0, reasoning = 0, parts = NO_PARTS } = usage
  const rates = ratesFor(price, input)
  const write5m = rates.cacheWrite5m ?? rates.input
  const read = wholeOf(input, rates.input)
  take(read, cached, rates.cachedInput)
  take(read, parts.cacheWritten5m, write5m)
  take(read, parts.cacheWritten1h, rates.cacheWrite1h ?? write5m)
  take(read, parts.audioInput, rates.audioInput)
  take(read, parts.imageInput, rates.imageInput)
  const written = wholeOf(output, rates.output)
  take(written, reasoning, rates.reasoning)
  take(written, parts.audioOutput, rates.audioOutput)
  take(written, parts.imageOutput, rates.imageOutput)
  const forTokens =
    read.sum + read.left * BigInt(rates.input) + written.sum + written.left * BigInt(rates.output)
  const others =
    BigInt(price.perCall ?? 0) +
    countOf(parts.images) * BigInt(price.perImage ?? 0) +
    countOf(parts.seconds) * BigInt(price.perSecond ?? 0)
  const cost = (forTokens + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE + others
  return cost > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(cost)
}

const NO_PARTS: UsageParts = {}

function ratesFor(price: Price, input: number): TokenPrices {
  const { longContext } = price
  return longContext && input > longContext.above ? longContext : price
}

/** Tokens of one kind: how many no part has taken yet, and what the parts cost, in millionths of micro-units. */
type Whole = { left: bigint; sum: bigint; readonly rate: number }

function wholeOf(tokens: number, rate: number): Whole {
  return { left: countOf(tokens), sum: 0n, rate }
}

function take(whole: Whole, tokens: number | undefined, rate: number | undefined): void {
  if (!tokens) return
  let taken = countOf(tokens)
  if (taken > whole.left) taken = whole.left
  whole.left -= taken
  whole.sum += taken * BigInt(rate ?? whole.rate)
}

/** What has begun counts, such as a second. What is no number of things counts as none. */
function countOf(value: number | undefined): bigint {
  if (value === undefined || !(value > 0) || !Number.isFinite(value)) return 0n
  return BigInt(Math.ceil(value))
}
