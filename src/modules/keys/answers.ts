/** What the admin API says about keys. Written by hand: a new column never appears in the API by itself. */
import { type Static, t } from 'elysia'
import { integer } from '../../http/fields/integer.ts'
import { listOf } from '../../http/pagination.ts'
import { shownScope } from './scope.ts'

const nullableInteger = t.Union([integer(), t.Null()])
const instant = t.String({ format: 'date-time' })
const nullableInstant = t.Union([instant, t.Null()])

const LimitState = t.Object(
  {
    name: t.String(),
    unit: t.String(),
    amount: nullableInteger,
    window: t.String(),
    timezone: t.String(),
    week_start: t.String(),
    credited: integer(),
    used: integer(),
    remaining: nullableInteger,
    resets_at: nullableInstant,
  },
  { title: 'LimitState' },
)

const shown = {
  id: t.String({ description: 'Stands for the key in every URL; not a secret.' }),
  hint: t.String({ description: 'Enough of the key to recognise it by.' }),
  name: t.String(),
  quota: nullableInteger,
  used: integer({ description: 'Requests used in the present window.' }),
  remaining: nullableInteger,
  window: t.String(),
  resets_at: nullableInstant,
  expires_at: nullableInstant,
  enabled: t.Boolean(),
  status: t.Union([t.Literal('active'), t.Literal('disabled'), t.Literal('expired')]),
  concurrency: nullableInteger,
  ...shownScope,
  limits: t.Array(LimitState, { description: 'Every limit, the quota first.' }),
  tags: t.Array(t.String()),
  metadata: t.Record(t.String(), t.Unknown()),
  created_at: instant,
  updated_at: instant,
  last_used_at: nullableInstant,
  previous_until: t.Union([instant, t.Null()], {
    description: 'Until when the secret before the latest rotation still works.',
  }),
}

const shownExample = {
  id: 'key_4hXcQ0m2VtYb7LrKp9Zs',
  hint: 'trial_Ab3d…x9Zk',
  name: 'trial-user-1',
  quota: 1000,
  used: 258,
  remaining: 742,
  window: 'lifetime',
  resets_at: null,
  expires_at: '2026-12-31T00:00:00Z',
  enabled: true,
  status: 'active',
  concurrency: null,
  upstreams: null,
  methods: null,
  paths: ['/chat/**', '/models'],
  models: null,
  ip_allow: null,
  limits: [
    {
      name: 'quota', unit: 'requests', amount: 1000, window: 'lifetime', timezone: 'UTC', week_start: 'monday',
      credited: 0, used: 258, remaining: 742, resets_at: null,
    },
  ],
  tags: [],
  metadata: {},
  created_at: '2026-11-22T09:23:52Z',
  updated_at: '2026-11-22T09:23:52Z',
  last_used_at: '2026-11-22T10:00:00.512Z',
  previous_until: null,
} // biome-ignore format: one limit, one glance

export const Key = t.Object(shown, { title: 'Key', examples: [shownExample] })
export type Key = Static<typeof Key>

export const CreatedKey = t.Object(
  {
    key: t.String({ description: 'The secret. No other answer ever holds it.' }),
    ...shown,
  },
  {
    title: 'CreatedKey',
    examples: [
      {
        key: 'trial_Ab3dK8sLq0ZyXw2VtUr5PnMb7HgFeDx9ZkQm',
        ...shownExample,
        used: 0,
        remaining: 1000,
        last_used_at: null,
      },
    ],
  },
)

export const KeyList = listOf(Key, [shownExample], 'KeyList')

export const Adjustment = t.Object(
  {
    id: t.String(),
    key_id: t.String(),
    at: instant,
    kind: t.Union([t.Literal('credit'), t.Literal('reset')]),
    limit: t.String({
      description: 'The name that the limit had then; `quota` is the main one, in requests.',
    }),
    amount: integer({
      description:
        'Units credited, negative if they were taken. Of a reset, the units that had been used.',
    }),
    reason: t.String({ description: 'Empty if none was given; a reset takes none.' }),
  },
  { title: 'Adjustment' },
)
export type Adjustment = Static<typeof Adjustment>

const adjustmentExamples = [
  {
    id: 'adj_18', key_id: shownExample.id, at: '2026-11-23T08:30:00Z', kind: 'reset',
    limit: 'quota', amount: 258, reason: '',
  },
  {
    id: 'adj_17', key_id: shownExample.id, at: '2026-11-22T16:05:31.207Z', kind: 'credit',
    limit: 'quota', amount: 500, reason: 'goodwill',
  },
] // biome-ignore format: as they are read

export const AdjustmentList = listOf(Adjustment, adjustmentExamples, 'AdjustmentList')

export const DeletedKey = t.Object(
  { id: t.String(), deleted: t.Literal(true) },
  { title: 'DeletedKey', examples: [{ id: shownExample.id, deleted: true }] },
)
