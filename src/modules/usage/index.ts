/** `GET /admin/usage`. */
import { Elysia } from 'elysia'
import type { UsageReader } from '../../domain/usage.ts'
import { readRange } from '../../http/fields/range.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { readPage, showPageUpTo } from '../../http/pagination.ts'
import type { Clock } from '../../lib/clock.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import type { KeyQueries } from '../keys/queries.ts'
import { UsageList, usageQuery } from './model.ts'
import { showUsage } from './show.ts'

export function usageController(
  keys: KeyQueries,
  usage: UsageReader,
  check: CheckToken,
  clock: Clock,
) {
  return new Elysia({ name: 'usage', detail: { tags: ['Usage'] } }).use(adminGuard(check)).get(
    '/admin/usage',
    async ({ query }) => {
      const { key } = query
      const range = readRange(query)
      const page =
        key === undefined
          ? await keys.page({ isEver: true }, readPage(query))
          : { keys: [await keys.findEver(key)], more: false }
      const totals = await usage.totals(
        page.keys.map(({ seq }) => seq),
        range,
      )
      // Of what is deleted, only what was used is of interest.
      const shown = page.keys.filter(
        ({ seq, deletedAt }) => key !== undefined || deletedAt === null || totals.has(seq),
      )
      const next = page.more ? (page.keys.at(-1)?.seq ?? null) : null
      return showPageUpTo(shown, next, (record) =>
        showUsage(record, totals.get(record.seq), clock()),
      )
    },
    {
      query: usageQuery,
      response: { 200: UsageList },
      detail: {
        operationId: 'getUsage',
        summary: 'What each key has used',
        description:
          'Quota and use of the present window, and the sums of the hourly rollups, newest key first. A key that is deleted stays as long as its sums, with the status `deleted`. Sums are kept far longer than single calls.',
        ...refuses('key_not_found', 'rate_limit_exceeded'),
      },
    },
  )
}
