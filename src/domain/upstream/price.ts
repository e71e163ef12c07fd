/**
 * What the work of a model costs. Every price is a whole number of micro-units of money: for a million tokens, or for one
 * of what is not counted in tokens.
 */

/** For a million tokens each: 2.50 a million is 2_500_000. An absent one costs what the whole costs that it is a part of. */
export type TokenPrices = {
  readonly input: number
  /** For input that the upstream read from its cache. */
  readonly cachedInput?: number
  /** For input that the upstream wrote to its cache, to be kept for five minutes or for an hour. */
  readonly cacheWrite5m?: number
  /** As `cacheWrite5m` if absent. */
  readonly cacheWrite1h?: number
  readonly output: number
  /** For output that was thought and not shown. */
  readonly reasoning?: number
  readonly audioInput?: number
  readonly audioOutput?: number
  readonly imageInput?: number
  readonly imageOutput?: number
}

export type Price = TokenPrices & {
  /** The name of a model, or a glob on names. */
  readonly model: string
  /** In the place of the others for a call whose input has more tokens than `above`, for all of its tokens. */
  readonly longContext?: TokenPrices & { readonly above: number }
  readonly perCall?: number
  /** For each image that was made, and each second of sound that was read or made. */
  readonly perImage?: number
  readonly perSecond?: number
}

/** A list may hold no more. */
export const PRICES_MAX = 500
/** A million units of money. With it, the cost of any call stays countable. */
export const PRICE_MAX = 1_000_000_000_000
