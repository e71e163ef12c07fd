/** What a reason is, and the words that reasons are written in. */
import type { Case } from './case.ts'
import type { Difference } from './differences.ts'

export type Reason = {
  readonly name: string
  readonly explains: (difference: Difference, row: Case) => boolean
  readonly why: string
  /** A section of a standard, what Bun does, or what we have promised. */
  readonly source: string
  /** Told once for all rows, and not in each. */
  readonly isEverywhere?: true
}

/** All that one side says in a row. */
export function said({ client, answer }: Case, side: Difference['side']): string {
  return (side === 'upstream' ? client : answer.parts).join('')
}

export const toUpstream = (
  name: string,
  test: (d: Difference, row: Case) => boolean,
  why: string,
  source: string,
  more = {},
): Reason => ({
  ...{ name, why, source, ...more },
  explains: (d, row) => d.side === 'upstream' && test(d, row),
})
export const toClient = (
  name: string,
  test: (d: Difference, row: Case) => boolean,
  why: string,
  source: string,
  more = {},
): Reason => ({
  ...{ name, why, source, ...more },
  explains: (d, row) => d.side === 'client' && test(d, row),
})
export const either = (name: string, explains: Reason['explains'], why: string, source: string, more = {}): Reason => ({
  ...{ name, explains, why, source, ...more },
}) // biome-ignore format: one row
export const EVERYWHERE = { isEverywhere: true }
export const isField = (d: Difference, ...names: string[]) =>
  d.what === 'field' && names.includes(d.name)
export const isDropped = (d: Difference, names: readonly string[]) =>
  isField(d, ...names) && d.proxied === ''
export const isAdded = (d: Difference, names: readonly string[]) =>
  isField(d, ...names) && d.direct === ''
