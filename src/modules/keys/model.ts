/** What the admin API says and takes about keys. Written by hand: a new column never appears in the API by itself. */
import { type Static, t } from 'elysia'
import { UNITS, WEEK_STARTS, WINDOWS } from '../../quota/limit.ts'

const AMOUNT_MAX = Number.MAX_SAFE_INTEGER
const AMOUNT_RULE = `must be a whole number from 0 to ${AMOUNT_MAX}, or null for unlimited`

const name = t.String({
  minLength: 1,
  maxLength: 200,
  // Neither control characters nor line separators: names stand in logs, tables and pages.
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$',
  error: 'must be 1 to 200 characters without control characters',
  description: 'For people; need not be unique.',
  examples: ['trial-user-1'],
})
const quota = t.Union([t.Integer({ minimum: 0, maximum: AMOUNT_MAX }), t.Null()], {
  error: AMOUNT_RULE,
  description: 'Requests that may be made per `window`; `null` is unlimited, `0` denies.',
  examples: [1000],
})
const expiresAt = t.Union([t.String({ format: 'date-time' }), t.Null()], {
  error: 'must be a date and time with an offset, such as 2026-12-31T00:00:00Z, or null',
  description: 'From this instant on the key is refused; `null` never expires.',
  examples: ['2026-12-31T00:00:00Z'],
})
const window = t.Union(
  WINDOWS.map((value) => t.Literal(value)),
  {
    error: `must be one of ${WINDOWS.join(', ')}`,
    description:
      'How often the quota starts anew. `minute` and `hour` slide; the longer ones follow the calendar.',
  },
)
const timezone = t.String({
  maxLength: 64,
  error: 'must be an IANA time zone, such as Europe/Berlin',
  description: 'IANA time zone of calendar windows.',
  examples: ['UTC'],
})
const weekStart = t.Union(
  WEEK_STARTS.map((value) => t.Literal(value)),
  {
    error: `must be one of ${WEEK_STARTS.join(', ')}`,
  },
)
const limit = t.Object(
  {
    name: t.Optional(
      t.String({
        pattern: '^[a-z][a-z0-9-]{0,31}$',
        error: 'must be 1 to 32 lower-case letters, digits and dashes',
      }),
    ),
    unit: t.Union(
      UNITS.map((value) => t.Literal(value)),
      { error: `must be one of ${UNITS.join(', ')}` },
    ),
    amount: t.Union([t.Integer({ minimum: 0, maximum: AMOUNT_MAX }), t.Null()], {
      error: AMOUNT_RULE,
    }),
    window,
    timezone: t.Optional(timezone),
    week_start: t.Optional(weekStart),
  },
  { additionalProperties: false },
)
const limits = t.Array(limit, {
  maxItems: 16,
  error: 'must be a list of at most 16 limits',
  description: 'Further limits; all of them and the quota must have room, or nothing is charged.',
})
const concurrency = t.Union([t.Integer({ minimum: 1, maximum: 100_000 }), t.Null()], {
  error: 'must be a whole number from 1 to 100000, or null',
  description: 'Most calls in flight at once; `null` is no limit.',
})
const tags = t.Array(
  t.String({
    minLength: 1,
    maxLength: 64,
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$',
  }),
  {
    maxItems: 32,
    error: 'must be a list of at most 32 texts of 1 to 64 characters',
  },
)
const metadata = t.Record(t.String({ maxLength: 64 }), t.Unknown(), {
  maxProperties: 64,
  error: 'must be an object with at most 64 members',
  description: 'Anything of yours; never interpreted.',
})
const enabled = t.Boolean({ error: 'must be true or false' })

export const CreateKey = t.Object(
  {
    name,
    quota,
    expires_at: t.Optional(expiresAt),
    window: t.Optional(window),
    timezone: t.Optional(timezone),
    week_start: t.Optional(weekStart),
    limits: t.Optional(limits),
    concurrency: t.Optional(concurrency),
    prefix: t.Optional(
      t.String({
        error:
          'must be 2 to 16 lower-case letters, digits and _, beginning with a letter and ending with _',
      }),
    ),
    key: t.Optional(
      t.String({
        error: 'must be text',
        description: 'An existing raw key to take over, instead of a new one.',
      }),
    ),
    enabled: t.Optional(enabled),
    tags: t.Optional(tags),
    metadata: t.Optional(metadata),
  },
  {
    additionalProperties: false,
    examples: [{ name: 'trial-user-1', quota: 1000, expires_at: '2026-12-31T00:00:00Z' }],
  },
)
export type CreateKey = Static<typeof CreateKey>

export const UpdateKey = t.Object(
  {
    name: t.Optional(name),
    quota: t.Optional(quota),
    expires_at: t.Optional(expiresAt),
    window: t.Optional(window),
    timezone: t.Optional(timezone),
    week_start: t.Optional(weekStart),
    limits: t.Optional(limits),
    concurrency: t.Optional(concurrency),
    enabled: t.Optional(enabled),
    tags: t.Optional(tags),
    metadata: t.Optional(metadata),
  },
  { additionalProperties: false, minProperties: 1, examples: [{ quota: 2000, enabled: true }] },
)
export type UpdateKey = Static<typeof UpdateKey>

export const ResetKey = t.Object(
  { quota: t.Optional(quota) },
  { additionalProperties: false, examples: [{ quota: 2000 }] },
)

const nullableInteger = t.Union([t.Integer(), t.Null()])
const nullableInstant = t.Union([t.String(), t.Null()])

const LimitState = t.Object({
  name: t.String(),
  unit: t.String(),
  amount: nullableInteger,
  window: t.String(),
  timezone: t.String(),
  week_start: t.String(),
  credited: t.Integer(),
  used: t.Integer(),
  remaining: nullableInteger,
  resets_at: nullableInstant,
})

const shown = {
  id: t.String({ description: 'Stands for the key in every URL; not a secret.' }),
  hint: t.String({ description: 'Enough of the key to recognise it by.' }),
  name: t.String(),
  quota: nullableInteger,
  used: t.Integer({ description: 'Requests used in the present window.' }),
  remaining: nullableInteger,
  window: t.String(),
  resets_at: nullableInstant,
  expires_at: nullableInstant,
  enabled: t.Boolean(),
  status: t.Union([t.Literal('active'), t.Literal('disabled'), t.Literal('expired')]),
  concurrency: nullableInteger,
  limits: t.Array(LimitState, { description: 'Every limit, the quota first.' }),
  tags: t.Array(t.String()),
  metadata: t.Record(t.String(), t.Unknown()),
  created_at: t.String(),
  updated_at: t.String(),
  last_used_at: nullableInstant,
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
} // biome-ignore format: one limit, one glance

export const Key = t.Object(shown, { examples: [shownExample] })
export type Key = Static<typeof Key>

export const CreatedKey = t.Object(
  {
    key: t.String({ description: 'The secret. This is the only answer that ever holds it.' }),
    ...shown,
  },
  {
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

export const KeyList = t.Object(
  {
    object: t.Literal('list'),
    data: t.Array(Key),
    has_more: t.Boolean(),
    next: t.Union([t.String(), t.Null()]),
  },
  { examples: [{ object: 'list', data: [shownExample], has_more: false, next: null }] },
)

export const DeletedKey = t.Object(
  { id: t.String(), deleted: t.Literal(true) },
  { examples: [{ id: shownExample.id, deleted: true }] },
)
