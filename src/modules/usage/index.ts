/** `GET /admin/usage`. */
import { Elysia, type Static, t } from 'elysia'
import { isTimeZone, ZONE_RULE } from '../../domain/limit.ts'
import type { UsageRange, UsageReader } from '../../domain/usage.ts'
import { validationFailed } from '../../errors.ts'
import { readRange } from '../../http/fields/range.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { readPage, showPageUpTo } from '../../http/pagination.ts'
import type { Clock } from '../../lib/clock.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import type { KeyQueries } from '../keys/queries.ts'
import { listGroups, readBy, UsageGroups } from './groups.ts'
import { UsageList, usageQuery } from './model.ts'
import { showUsage } from './show.ts'

type Settings = { readonly defaultTimezone: string; readonly currency: string }

export function usageController(
  keys: KeyQueries,
  usage: UsageReader,
  check: CheckToken,
  clock: Clock,
  settings: () => Settings,
) {
  async function group(query: Static<typeof usageQuery>, given: UsageRange) {
    const { key, upstream, model, tag, tz: timezone = settings().defaultTimezone } = query
    if (!isTimeZone(timezone)) throw validationFailed([{ path: 'tz', message: ZONE_RULE }])
    const keySeq = key === undefined ? undefined : (await keys.findEver(key)).seq
    const to = given.to ?? clock()
    const range = { from: given.from ?? to - DAYS_DEFAULT_MS, to }
    const by = readBy(query.by ?? 'key')
    return await listGroups(usage, { keySeq, upstream, model, tag }, range, { by, timezone })
  }

  return new Elysia({ name: 'usage', detail: { tags: ['Usage'] } }).use(adminGuard(check)).get(
    '/admin/usage',
    async ({ query }) => {
      const { key } = query
      const range = readRange(query)
      const { currency } = settings()
      if (isGrouped(query)) return { ...(await group(query, range)), currency }
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
      const list = showPageUpTo(shown, next, (record) =>
        showUsage(record, totals.get(record.seq), clock()),
      )
      return { ...list, currency }
    },
    {
      query: usageQuery,
      response: { 200: t.Union([UsageList, UsageGroups], { examples: UsageList.examples }) },
      detail: {
        operationId: 'getUsage',
        summary: 'What each key has used',
        description:
          'Quota and use of the present window, and the sums of the hourly rollups, newest key first. A key that is deleted stays as long as its sums, with the status `deleted`. With `by` instead the sums of all keys, by spans of time in a zone and by key, upstream, model or tag; the last 30 days unless `from` says otherwise. Sums are kept far longer than single calls.',
        ...refuses('key_not_found', 'rate_limit_exceeded'),
      },
    },
  )
}

const DAYS_DEFAULT_MS = 30 * 86_400_000

/** Only grouped sums can be filtered by more than the key. */
function isGrouped({ by, tz, upstream, model, tag }: Static<typeof usageQuery>): boolean {
  return (by ?? tz ?? upstream ?? model ?? tag) !== undefined
}
