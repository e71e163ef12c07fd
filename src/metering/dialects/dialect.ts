/**
 * What a dialect is: where an API reports its work in an answer, and what the report means. The head of its file names the
 * documentation, and the SDK whose types the names were compared with, or the date alone where they were compared with
 * what public clients quote of it.
 */
import { ITEMS, type Shape } from '../../lib/json/member.ts'
import { own } from '../../lib/json/object.ts'
import { reportedCount } from '../count.ts'
import { type Said, sum } from './said.ts'

export type Dialect = {
  /** All members that it looks for. */
  readonly shape: Shape
  /** Members of an answer of which one is there whenever it has something to read. */
  readonly members: readonly string[]
  /** Members of `usage` of which one is there whenever it has something to read in it; absent is any. */
  readonly usageMembers?: readonly string[]
  /** Names of members of which one stands in every answer that is worth being read. */
  readonly signs: readonly string[]
  /** Nothing if the answer holds no such report. `before` is what the answer has said until now. */
  readonly read?: (answer: unknown, before: Said) => Said
  /** The same for one of several works that one answer or one socket reports. */
  readonly piece?: (answer: unknown) => Piece | null
}

export type Piece = {
  /** The same work has the same name; null is a work of its own. */
  readonly name: string | null
  readonly said: Said
}

export type Path = readonly string[]

/** What stands at the end of the path; undefined if nothing does. */
export function at(value: unknown, path: Path): unknown {
  let found = value
  for (const name of path) {
    if (found === undefined) return undefined
    found = own(found, name)
  }
  return found
}

export function countAt(value: unknown, path: Path): number | undefined {
  return reportedCount(at(value, path))
}

const ITEMS_MAX = 1000

/** The items of a list, as many as anybody needs. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, ITEMS_MAX) : []
}

/** Everything that the path leads to, where `[]` leads to each item of a list. */
export function allAt(value: unknown, path: Path): readonly unknown[] {
  let all: readonly unknown[] = [value]
  for (const name of path) {
    all = name === ITEMS ? all.flatMap(items) : all.map((one) => own(one, name))
    if (all.length === 0 || (all.length === 1 && all[0] === undefined)) return []
  }
  return all
}

/** Without what came from the cache, which has a price of its own. */
export function less(all: number | undefined, cached: number | undefined): number | undefined {
  return all === undefined ? undefined : Math.max(0, all - (cached ?? 0))
}

/** Undefined if none of them was said. */
export function sumOf(...counts: readonly (number | undefined)[]): number | undefined {
  return counts.every((one) => one === undefined) ? undefined : sum(...counts)
}

/** A name that an upstream gives to a piece of work; null if it gives none that can be kept. */
export function nameOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null
}
