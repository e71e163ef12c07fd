/**
 * What a walker looks for in a JSON text, as tables that it follows a byte at a time: names as a tree of their letters, and
 * the members to read as a tree of their names. Made once, used by every walker. Pure.
 */
import { ITEMS, type Shape } from './member.ts'

export type WalkOptions = {
  /** The members to read; an empty shape asks whether the member is there. No name may need an escape in JSON. */
  readonly shape: Shape
  /** Names of members of the shape: a value that holds one of them, not null, is worth reading. */
  readonly signs: readonly string[]
  /** Names of members whose strings are measured, wherever they stand. */
  readonly texts: readonly string[]
  /** Names of members that are measured whole, if they are objects or lists. */
  readonly objects: readonly string[]
}

export type WalkPlan = {
  /** By row (times 256) and byte: the row of the longer beginning. Row 0 is no beginning of a name, row 1 the empty one. */
  readonly letters: Uint16Array
  /** By row: the number of the name that ends there; 0 if none does. */
  readonly ends: Uint16Array
  /** By node (times `names.length`) and number of a name: the node of that member, PICKED, PRESENT or 0. */
  readonly members: Int16Array
  /** By node: the node of the items, if it is a list. */
  readonly items: Uint16Array
  /** By node: the names that lead to it. */
  readonly paths: readonly (readonly string[])[]
  /** By number; 0 is no name. */
  readonly names: readonly string[]
  /** By number: IS_SIGN, IS_TEXT and IS_OBJECT. */
  readonly flags: Uint8Array
}

/** The node of members that do not matter, and of the outermost object. */
export const NODE_NONE = 0
export const NODE_ROOT = 1
/** The member is read whole. */
export const PICKED = -1
/** It matters only that the member is there. */
export const PRESENT = -2

export const IS_SIGN = 1
export const IS_TEXT = 2
export const IS_OBJECT = 4

export function planWalk({ shape, signs, texts, objects }: WalkOptions): WalkPlan {
  const names = ['', ...new Set([...namesIn(shape), ...signs, ...texts, ...objects])]
  const number = new Map(names.map((name, at) => [name, at]))
  const flags = new Uint8Array(names.length)
  const mark = (marked: readonly string[], flag: number) => {
    for (const name of marked) {
      const which = number.get(name) ?? 0
      flags[which] = (flags[which] ?? 0) | flag
    }
  }
  mark(signs, IS_SIGN)
  mark(texts, IS_TEXT)
  mark(objects, IS_OBJECT)
  return { names, flags, ...planNames(names), ...planMembers(shape, names, number) }
}

function namesIn(shape: Shape): string[] {
  return Object.entries(shape).flatMap(([name, part]) =>
    part === true ? [name] : [name, ...namesIn(part)],
  )
}

function planNames(names: readonly string[]): Pick<WalkPlan, 'letters' | 'ends'> {
  const bytes = names.map((name) => Buffer.from(name))
  const rows = bytes.reduce((sum, { length }) => sum + length, 2)
  const letters = new Uint16Array(rows * 256)
  const ends = new Uint16Array(rows)
  let used = NODE_ROOT
  for (const [which, name] of bytes.entries()) {
    let row = 1
    for (const byte of name) {
      const at = row * 256 + byte
      if (letters[at] === 0) letters[at] = ++used
      row = letters[at] ?? 0
    }
    if (which > 0) ends[row] = which
  }
  return { letters, ends }
}

function planMembers(
  shape: Shape,
  names: readonly string[],
  number: ReadonlyMap<string, number>,
): Pick<WalkPlan, 'members' | 'paths' | 'items'> {
  const paths: string[][] = [[]]
  const rows: Int16Array[] = [new Int16Array(names.length)]
  const items: number[] = [NODE_NONE]
  const add = (part: Shape, path: string[]): number => {
    const node = rows.length
    const row = new Int16Array(names.length)
    rows.push(row)
    paths.push(path)
    items.push(NODE_NONE)
    for (const [name, inner] of Object.entries(part)) {
      if (inner !== true && name === ITEMS) items[node] = add(inner, [...path, name])
      else row[number.get(name) ?? 0] = plan(inner, [...path, name])
    }
    return node
  }
  const plan = (inner: true | Shape, path: string[]): number => {
    if (inner === true) return PICKED
    return Object.keys(inner).length === 0 ? PRESENT : add(inner, path)
  }
  add(shape, [])
  const members = new Int16Array(rows.length * names.length)
  for (const [node, row] of rows.entries()) members.set(row, node * names.length)
  return { members, paths, items: Uint16Array.from(items) }
}
