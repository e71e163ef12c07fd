/**
 * What every list of the admin API takes, a page size and where the page before has ended, and how every list answers.
 * The cursor is the number of the last row shown, so what is added meanwhile neither repeats nor hides a row.
 */
import { type TSchema, t } from 'elysia'

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

/** What a valid query asks for: a page of `limit`, all of it from before `before`. */
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

/** The schema of a list of `item`; `examples` are items. A title makes it a component of the API document. */
export function listOf<Item extends TSchema>(item: Item, examples: unknown, title?: string) {
  return t.Object(
    {
      object: t.Literal('list'),
      data: t.Array(item),
      has_more: t.Boolean(),
      next: t.Union([t.String(), t.Null()]),
    },
    {
      ...(title && { title }),
      examples: [{ object: 'list', data: examples, has_more: false, next: null }],
    },
  )
}

/** The list that `listOf` describes, of the rows of one page; `more` is whether others follow. */
export function showPage<Row extends { readonly seq: number }, Item>(
  rows: readonly Row[],
  more: boolean,
  show: (row: Row) => Item,
) {
  const last = rows.at(-1)
  const next = more && last ? String(last.seq) : null
  return { object: 'list' as const, data: rows.map(show), has_more: next !== null, next }
}
