/** What tokens cost. Pure; exact to the micro-unit, however many tokens there are. */

import type { Price } from '../domain/upstream.ts'
import { matchesName } from '../lib/text/glob.ts'
import type { Usage } from './usage.ts'

/** A price is for so many tokens. */
const TOKENS_PER_PRICE = 1_000_000n

/**
 * The first price that fits one of the names of the model: an upstream asked for `gpt-4o` may report
 * `gpt-4o-2024-08-06`, and a list may name either. Where nobody names a model, only a price for every model fits.
 */
export function priceOf(
  prices: readonly Price[],
  ...models: readonly (string | null)[]
): Price | null {
  const names = models.filter((model) => model !== null)
  const known = names.length > 0 ? names : ['']
  return prices.find((price) => known.some((name) => matchesName(price.model, name))) ?? null
}

/** Micro-units, rounded up. Prices are whole numbers, as the API demands. */
export function costOf(
  price: Price,
  { input, output, cached }: Pick<Usage, 'input' | 'output' | 'cached'>,
): number {
  const fromCache = Math.min(cached, input)
  const sum =
    BigInt(input - fromCache) * BigInt(price.input) +
    BigInt(fromCache) * BigInt(price.cachedInput ?? price.input) +
    BigInt(output) * BigInt(price.output)
  const cost = (sum + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE
  return cost > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(cost)
}
