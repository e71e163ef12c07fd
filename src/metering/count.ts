/** Numbers of tokens as they stand in JSON. Pure. */

/** No call reads or writes a trillion tokens; whatever is added up of such numbers stays exact. */
export const TOKENS_MAX = 1_000_000_000_000

/**
 * About four bytes of English make a token in the tokenizers in use. Structure and other scripts take more bytes for one,
 * code fewer; what is wrong with it is put right when the upstream reports.
 */
export const BYTES_PER_TOKEN = 4

/** A number of tokens; undefined for anything that cannot be one. */
export function count(value: unknown): number | undefined {
  const possible = typeof value === 'number' && Number.isInteger(value) && value >= 0
  return possible && value <= TOKENS_MAX ? value : undefined
}

/** Some relays write numbers as text. */
const WHOLE = /^\d{1,13}(\.0{1,9})?$/

/** The same in what an upstream reports, where the number may stand in quotes. */
export function reportedCount(value: unknown): number | undefined {
  return count(typeof value === 'string' && WHOLE.test(value) ? Number(value) : value)
}
