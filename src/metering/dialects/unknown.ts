/**
 * A report that no dialect understands: the names of its members, for the operator to know that there is one. It never
 * holds a value. Pure.
 */
import type { Shape } from '../../lib/json/member.ts'
import { isObject } from '../../lib/json/object.ts'
import { at, type Path } from './dialect.ts'

/** Where reports stand, and where they stand in APIs that are not in the table. */
const PLACES: readonly Path[] = [
  ['usage'],
  ['response', 'usage'],
  ['message', 'usage'],
  ['delta', 'usage'],
  ['metadata', 'usage'],
  ['usageMetadata'],
  ['usage_metadata'],
  ['usage_info'],
  ['token_usage'],
  ['tokenUsage'],
]

export const UNKNOWN_SHAPE: Shape = {
  usage_info: true,
  token_usage: true,
  tokenUsage: true,
}

export const UNKNOWN_SIGNS = Object.keys(UNKNOWN_SHAPE)

/** Members of an answer of which one is there whenever there is such a report. */
export const UNKNOWN_MEMBERS = [...new Set(PLACES.map(([name = '']) => name))]

const NAMES_MAX = 20
const PRINTABLE = /^[\x21-\x7e]{1,64}$/

/** Null if there is no report at all. */
export function namesOf(answer: unknown): readonly string[] | null {
  for (const place of PLACES) {
    const report = at(answer, place)
    if (!isObject(report)) continue
    const names = Object.keys(report).filter(
      (name) => report[name] !== null && PRINTABLE.test(name),
    )
    if (names.length > 0) return names.toSorted().slice(0, NAMES_MAX)
  }
  return null
}
