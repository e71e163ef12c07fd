/** What every list of the admin API takes: a page size, and where the page before has ended. */
import { t } from 'elysia'

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
