/**
 * What a report says, in the terms of `Usage`, before it is known what else the answer will say.
 * Reports of the same work are merged by maximum, since counts of a stream run and never fall; reports
 * of different work are added up. Pure.
 */
import { TOKENS_MAX } from '../count.ts'

const AMOUNTS = [
  'input',
  'output',
  /** The output if all that the total holds beyond what is named was written, too. */
  'outputByTotal',
  'cached',
  'reasoning',
  /** All that was written to the cache, and the part of it that is kept for long. */
  'written',
  'writtenLong',
  'audioInput',
  'audioOutput',
  'imageInput',
  'imageOutput',
  'images',
  'seconds',
] as const
type Amount = (typeof AMOUNTS)[number]

/** An absent amount was not said. */
export type Said = { readonly [amount in Amount]?: number | undefined }

export const NOTHING: Said = {}

/** An answer in which no work was done that is counted in tokens. */
export const NO_TOKENS: Said = { input: 0, output: 0 }

export function isNothing(said: Said): boolean {
  if (said === NOTHING) return true
  for (const amount of AMOUNTS) if (said[amount] !== undefined) return false
  return true
}

/** Two reports of the same work. */
export function merge(a: Said, b: Said): Said {
  if (a === NOTHING) return b
  if (b === NOTHING) return a
  return combine(a, b, Math.max)
}

/** Reports of different work. */
export function add(a: Said, b: Said): Said {
  if (a === NOTHING) return b
  if (b === NOTHING) return a
  return combine(withTotal(a, b), withTotal(b, a), sum)
}

/** What a report says beyond what was said of the same work before. */
export function beyond(said: Said, before: Said): Said {
  return combine(said, before, (now, then) => Math.max(0, now - then))
}

/** Where one of the two has no other output by its total, that is its output. */
function withTotal(said: Said, other: Said): Said {
  const isMissing = said.outputByTotal === undefined && other.outputByTotal !== undefined
  return isMissing ? { ...said, outputByTotal: said.output } : said
}

function combine(a: Said, b: Said, one: (x: number, y: number) => number): Said {
  const combined: { [amount in Amount]?: number } = {}
  for (const amount of AMOUNTS) {
    const x = a[amount]
    const y = b[amount]
    const value = x === undefined ? y : y === undefined ? x : one(x, y)
    if (value !== undefined) combined[amount] = value
  }
  return combined
}

/** Stays a number that is exact, whatever is added up. */
export function sum(...counts: readonly (number | undefined)[]): number {
  let all = 0
  for (const one of counts) all += one ?? 0
  return Math.min(all, TOKENS_MAX)
}
