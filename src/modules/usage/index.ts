/** `GET /admin/usage`. */
import { Elysia } from 'elysia'
import type { UsageReader } from '../../domain/usage.ts'
import { readRange } from '../../http/fields/range.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { readPage, showPage } from '../../http/pagination.ts'
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
          ? await keys.page({}, readPage(query))
          : { keys: [await keys.find(key)], more: false }
      const totals = await usage.totals(
        page.keys.map(({ seq }) => seq),
        range,
      )
      return showPage(page.keys, page.more, (record) =>
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
          'Quota and use of the present window, and the sums of the hourly rollups, newest key first. Sums are kept far longer than single calls.',
        ...refuses('key_not_found', 'rate_limit_exceeded'),
      },
    },
  )
}
