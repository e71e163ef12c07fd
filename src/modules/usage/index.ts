/** `GET /admin/usage`. */
import { Elysia, t } from 'elysia'
import type { KeyRecord } from '../../domain/key.ts'
import type { UsageReader, UsageTotals } from '../../domain/usage.ts'
import { integer } from '../../http/fields/integer.ts'
import { keyReference } from '../../http/fields/key-reference.ts'
import { rangeQuery, readRange } from '../../http/fields/range.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { listOf, pageQuery, readPage, showPage } from '../../http/pagination.ts'
import type { Clock } from '../../lib/clock.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import type { KeyQueries } from '../keys/queries.ts'
import { show } from '../keys/show.ts'
import { sums } from './sums.ts'

const query = t.Object(
  {
    key: t.Optional(keyReference({ description: 'Only this key: its id or the whole key.' })),
    ...rangeQuery,
    ...pageQuery,
  },
  { additionalProperties: false },
)

const integerOrNull = t.Union([integer(), t.Null()])
const instantOrNull = t.Union([t.String({ format: 'date-time' }), t.Null()])
const Usage = t.Object(
  {
    id: t.String(),
    hint: t.String(),
    name: t.String(),
    status: t.String(),
    quota: integerOrNull,
    used: integer(),
    remaining: integerOrNull,
    resets_at: instantOrNull,
    expires_at: instantOrNull,
    last_used_at: instantOrNull,
    ...sums,
  },
  { title: 'Usage' },
)

const example = {
  id: 'key_4hXcQ0m2VtYb7LrKp9Zs', hint: 'trial_Ab3d…x9Zk', name: 'trial-user-1', status: 'active',
  quota: 1000, used: 258, remaining: 742, resets_at: null, expires_at: '2026-12-31T00:00:00Z',
  last_used_at: '2026-11-22T10:00:00.512Z',
  calls: 260, failed: 2, requests: 258, tokens: 0, cost: 0, bytes_in: 52_000, bytes_out: 910_000,
} // biome-ignore format: one row

const UsageList = listOf(Usage, [example], 'UsageList')

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
        row(record, totals.get(record.seq), clock()),
      )
    },
    {
      query,
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

function row(record: KeyRecord, totals: UsageTotals | undefined, at: number) {
  const { id, hint, name, status, quota, used, remaining, resets_at, expires_at, last_used_at } =
    show(record, at)
  return {
    id, hint, name, status, quota, used, remaining, resets_at, expires_at, last_used_at,
    calls: totals?.calls ?? 0,
    failed: totals?.failed ?? 0,
    requests: totals?.requests ?? 0,
    tokens: totals?.tokens ?? 0,
    cost: totals?.cost ?? 0,
    bytes_in: totals?.bytesIn ?? 0,
    bytes_out: totals?.bytesOut ?? 0,
  } // biome-ignore format: as the schema
}
