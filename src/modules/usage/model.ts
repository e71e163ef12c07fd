/** What the admin API takes and shows of the usage of keys. */
import { type Static, t } from 'elysia'
import { shownInstantOrNull } from '../../http/fields/instant.ts'
import { integer, integerOrNull } from '../../http/fields/integer.ts'
import { keyReference } from '../../http/fields/key.ts'
import { rangeQuery } from '../../http/fields/range.ts'
import { usageSums } from '../../http/fields/usage-sums.ts'
import { listOf, pageQuery } from '../../http/pagination.ts'

export const usageQuery = t.Object(
  {
    key: t.Optional(keyReference({ description: 'Only this key: its id or the whole key.' })),
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
    status: t.String(),
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
  calls: 260, failed: 2, estimated: 0, requests: 258, tokens: 0, cost: 0, bytes_in: 52_000, bytes_out: 910_000,
} // biome-ignore format: one row

export const UsageList = listOf(Usage, [example], 'UsageList')
