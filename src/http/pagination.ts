/**
 * Lists of the admin API: the parameters that all of them take, and the shape that all of them
 * have. The cursor is the number of the last row shown, so that a row that is added meanwhile
 * neither repeats nor hides another.
 */
import { type TSchema, t } from 'elysia'
import { currency } from './fields/money.ts'
import { textOrNull } from './fields/nullable.ts'

const PAGE_SIZE = 50

export const pageQuery = {
  // Text, because Elysia's numbers in a query lose the name of the parameter when they are wrong.
  limit: t.Optional(
    t.String({
      pattern: '^(?:[1-9][0-9]?|100)$',
      error: 'must be a whole number from 1 to 100',
      description: `How many, from 1 to 100; ${PAGE_SIZE} unless given.`,
      examples: [String(PAGE_SIZE)],
    }),
  ),
  after: t.Optional(
    t.String({
      pattern: '^[0-9]{1,15}$',
      error: 'must be the `next` of the page before',
      description: 'The `next` of the page before.',
    }),
  ),
}

/** The page that a valid query asks for: at most `limit` rows with numbers below `before`. */
export function readPage({
  limit,
  after,
}: {
  limit?: string | undefined
  after?: string | undefined
}) {
  return {
    limit: limit === undefined ? PAGE_SIZE : Number(limit),
    before: after === undefined ? undefined : Number(after),
  }
}

/** The schema of a list in whose items money is. */
export function pricedListOf<Item extends TSchema>(item: Item, examples: unknown, title?: string) {
  const { properties, examples: lists } = listOf(item, examples)
  return t.Object(
    { ...properties, currency },
    {
      ...(title && { title }),
      examples: lists.map((list: object) => ({ ...list, currency: currency.examples[0] })),
    },
  )
}

/**
 * The schema of a list of `item`; `examples` are items. A title makes it a component of the API
 * document.
 */
export function listOf<Item extends TSchema>(item: Item, examples: unknown, title?: string) {
  return t.Object(
    {
      object: t.Literal('list'),
      data: t.Array(item),
      has_more: t.Boolean(),
      next: textOrNull,
    },
    {
      ...(title && { title }),
      examples: [{ object: 'list', data: examples, has_more: false, next: null }],
    },
  )
}

/** A list that has no pages. */
export function wholeList<Item>(data: Item[]) {
  return { object: 'list' as const, data, has_more: false, next: null }
}

/** A page of a list that says itself where it goes on. */
export function showPageUpTo<Row, Item>(
  rows: readonly Row[],
  next: number | null,
  show: (row: Row) => Item,
) {
  const cursor = next === null ? null : String(next)
  return { object: 'list' as const, data: rows.map(show), has_more: next !== null, next: cursor }
}

/** A page of a list; `more` is whether further rows follow. */
export function showPage<Row extends { readonly seq: number }, Item>(
  rows: readonly Row[],
  more: boolean,
  show: (row: Row) => Item,
) {
  const last = rows.at(-1)
  const next = more && last ? String(last.seq) : null
  return { object: 'list' as const, data: rows.map(show), has_more: next !== null, next }
}
