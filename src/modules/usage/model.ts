/** What the admin API takes and shows of the usage of keys. */
import { type Static, t } from 'elysia'
import { ZONE_NAME, ZONE_RULE } from '../../domain/limit.ts'
import { shownInstantOrNull } from '../../http/fields/instant.ts'
import { integer, integerOrNull } from '../../http/fields/integer.ts'
import { keyReference } from '../../http/fields/key.ts'
import { rangeQuery } from '../../http/fields/range.ts'
import { usageSums } from '../../http/fields/usage-sums.ts'
import { pageQuery, pricedListOf } from '../../http/pagination.ts'
import { BY, BY_RULE } from './groups.ts'

export const usageQuery = t.Object(
  {
    key: t.Optional(keyReference({ description: 'Only this key: its id or the whole key.' })),
    by: t.Optional(
      t.String({
        pattern: BY.source,
        error: BY_RULE,
        description:
          'Sums of all keys by `hour`, `day`, `week` or `month`, by `key`, `upstream`, `model` or `tag`, or by a span and one of the others, with a comma.',
        examples: ['day', 'month,model'],
      }),
    ),
    tz: t.Optional(
      t.String({
        documented: { pattern: ZONE_NAME.source },
        error: ZONE_RULE,
        description: 'Zone of days, weeks and months; DEFAULT_TIMEZONE unless given.',
      }),
    ),
    upstream: t.Optional(
      t.String({
        description: 'Sums by key, unless `by` says otherwise, of the calls to this upstream.',
      }),
    ),
    model: t.Optional(t.String({ description: 'The same for this model.' })),
    tag: t.Optional(t.String({ description: 'The same for keys with this tag.' })),
    ...rangeQuery,
    ...pageQuery,
  },
  { additionalProperties: false },
)

const Usage = t.Object(
  {
    id: t.String(),
    hint: t.String(),
    name: t.String(),
    status: t.String({ description: '`active`, `disabled`, `expired` or `deleted`.' }),
    quota: integerOrNull,
    used: integer(),
    remaining: integerOrNull,
    resets_at: shownInstantOrNull,
    expires_at: shownInstantOrNull,
    last_used_at: shownInstantOrNull,
    ...usageSums,
  },
  { title: 'Usage' },
)
export type Usage = Static<typeof Usage>

const example = {
  id: 'key_4hXcQ0m2VtYb7LrKp9Zs', hint: 'trial_Ab3d…x9Zk', name: 'trial-user-1', status: 'active',
  quota: 1000, used: 258, remaining: 742, resets_at: null, expires_at: '2026-12-31T00:00:00Z',
  last_used_at: '2026-11-22T10:00:00.512Z',
  calls: 260, failed: 2, requests: 258, tokens: 0, cost: 0, bytes_in: 52_000, bytes_out: 910_000, estimated: 0,
} // biome-ignore format: one row

export const UsageList = pricedListOf(Usage, [example], 'UsageList')
