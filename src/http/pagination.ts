/** What every list of the admin API takes: a page size, and where the page before has ended. */
import { t } from 'elysia'

export const pageQuery = {
  limit: t.Optional(
    t.Integer({
      minimum: 1,
      maximum: 100,
      default: 50,
      error: 'must be a whole number from 1 to 100',
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
