/** What an import does to the price list of an upstream. Pure. */
import type { ApiPrice } from './money.ts'

export type Change = { readonly model: string; readonly from: ApiPrice; readonly to: ApiPrice }

export type Changes = {
  readonly added: readonly ApiPrice[]
  readonly changed: readonly Change[]
  readonly removed: readonly ApiPrice[]
  readonly unchanged: number
  /** The whole list afterwards. */
  readonly after: readonly ApiPrice[]
}

/** A merge changes a price where it stands, since globs count by their order, and adds others at the end. */
export function changesOf(
  before: readonly ApiPrice[],
  wanted: readonly ApiPrice[],
  replaces: boolean,
): Changes {
  const given = new Map(wanted.map((price) => [price.model, price]))
  const there = new Map(before.map((price) => [price.model, price]))
  const added = wanted.filter(({ model }) => !there.has(model))
  const both = before.flatMap((from) => {
    const to = given.get(from.model)
    return to ? [{ model: from.model, from, to }] : []
  })
  const changed = both.filter(({ from, to }) => !Bun.deepEquals(from, to))
  const merged = before.map((price) => given.get(price.model) ?? price)
  return {
    added,
    changed,
    removed: replaces ? before.filter(({ model }) => !given.has(model)) : [],
    unchanged: both.length - changed.length + (replaces ? 0 : before.length - both.length),
    after: replaces ? wanted : [...merged, ...added],
  }
}

export function changesSomething({ added, changed, removed }: Changes): boolean {
  return added.length + changed.length + removed.length > 0
}
