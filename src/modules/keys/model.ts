/** What the admin API takes about keys. */
import { type Static, t } from 'elysia'
import { MAIN_LIMIT } from '../../domain/key.ts'
import { IMPORTABLE, PREFIX, PREFIX_RULE } from '../../domain/key-secret.ts'
import { UNITS, WEEK_STARTS, WINDOWS, ZONE_NAME } from '../../domain/limit.ts'
import { integer } from '../../http/fields/integer.ts'
import { INSTANT_FORM } from '../../http/fields/range.ts'
import { PRINTABLE, text } from '../../http/fields/text.ts'
import { notTogether } from '../../http/openapi/schema.ts'
import { scopeFields } from './scope.ts'

const AMOUNT_MAX = Number.MAX_SAFE_INTEGER
const AMOUNT_RULE = `must be a whole number from 0 to ${AMOUNT_MAX}, or null for unlimited`

const name = text(`^${PRINTABLE}{1,200}$`, {
  error: 'must be 1 to 200 characters without control characters',
  description: 'For people; need not be unique.',
  examples: ['trial-user-1'],
})
const quota = t.Union([integer({ minimum: 0, maximum: AMOUNT_MAX }), t.Null()], {
  error: AMOUNT_RULE,
  description: 'Requests that may be made per `window`; `null` is unlimited, `0` denies.',
  examples: [1000],
})
const expiresAt = t.Union([t.String({ documented: INSTANT_FORM }), t.Null()], {
  error: 'must be a date and time with an offset, such as 2026-12-31T00:00:00Z, or null',
  description:
    'From this instant on, of the years 1970 to 9999, the key is refused; `null` never expires.',
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
  documented: { pattern: ZONE_NAME.source },
  error: 'must be an IANA time zone, such as Europe/Berlin',
  description: 'IANA time zone of calendar windows.',
  examples: ['UTC'],
})
const LIMIT_NAME = '^[a-z][a-z0-9-]{0,31}$'
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
        pattern: LIMIT_NAME,
        error: 'must be 1 to 32 lower-case letters, digits and dashes',
        documented: { not: { const: MAIN_LIMIT } },
        description: 'Unique within the key; made from unit and window unless given.',
      }),
    ),
    unit: t.Union(
      UNITS.map((value) => t.Literal(value)),
      { error: `must be one of ${UNITS.join(', ')}` },
    ),
    amount: t.Union([integer({ minimum: 0, maximum: AMOUNT_MAX }), t.Null()], {
      error: AMOUNT_RULE,
    }),
    window,
    timezone: t.Optional(timezone),
    week_start: t.Optional(weekStart),
  },
  {
    title: 'Limit',
    additionalProperties: false,
    error: 'must be an object with unit, amount and window',
  },
)
const limits = t.Array(limit, {
  maxItems: 16,
  error: 'must be a list of at most 16 limits',
  description: 'Further limits; all of them and the quota must have room, or nothing is charged.',
})
const concurrency = t.Union([integer({ minimum: 1, maximum: 100_000 }), t.Null()], {
  error: 'must be a whole number from 1 to 100000, or null',
  description: 'Most calls in flight at once; `null` is no limit.',
})
const tags = t.Array(
  text(`^${PRINTABLE}{1,64}$`, {
    error: 'must be a text of 1 to 64 characters without control characters',
  }),
  {
    maxItems: 32,
    error: 'must be a list of at most 32 texts of 1 to 64 characters',
  },
)
const metadata = t.Record(t.String(), t.Unknown(), {
  maxProperties: 64,
  error: 'must be an object with at most 64 members',
  description: 'Anything of yours; never interpreted.',
})
const enabled = t.Boolean({ error: 'must be true or false' })

const settings = {
  expires_at: t.Optional(expiresAt),
  window: t.Optional(window),
  timezone: t.Optional(timezone),
  week_start: t.Optional(weekStart),
  limits: t.Optional(limits),
  concurrency: t.Optional(concurrency),
  ...scopeFields,
  enabled: t.Optional(enabled),
  tags: t.Optional(tags),
  metadata: t.Optional(metadata),
}

export const CreateKey = t.Object(
  {
    name,
    quota,
    ...settings,
    prefix: t.Optional(t.String({ error: PREFIX_RULE, documented: { pattern: PREFIX.source } })),
    key: t.Optional(
      t.String({
        error: 'must be text',
        documented: { pattern: IMPORTABLE.source },
        description:
          'An existing raw key to take over, instead of a new one; one of this form must have its checksum.',
      }),
    ),
  },
  {
    title: 'CreateKey',
    additionalProperties: false,
    documented: notTogether('prefix', 'key'),
    examples: [{ name: 'trial-user-1', quota: 1000, expires_at: '2026-12-31T00:00:00Z' }],
  },
)
export type CreateKey = Static<typeof CreateKey>

export const UpdateKey = t.Object(
  {
    name: t.Optional(name),
    quota: t.Optional(quota),
    ...settings,
  },
  {
    title: 'UpdateKey',
    additionalProperties: false,
    minProperties: 1,
    error: 'must hold at least one field to change',
    examples: [{ quota: 2000, enabled: true }],
  },
)
export type UpdateKey = Static<typeof UpdateKey>

export const CreditKey = t.Object(
  {
    amount: integer({
      minimum: -AMOUNT_MAX,
      maximum: AMOUNT_MAX,
      error: 'must be a whole number other than 0',
      documented: { not: { const: 0 } },
      description: 'Units to add to the present period; a negative number takes.',
      examples: [500],
    }),
    limit: t.Optional(
      t.String({
        pattern: LIMIT_NAME,
        error: 'must be the name of a limit',
        description: 'A limit of the key that has an amount; the main quota unless given.',
      }),
    ),
    reason: t.Optional(
      text(`^${PRINTABLE}{0,500}$`, {
        error: 'must be at most 500 characters without control characters',
        description: 'Kept with the credit.',
      }),
    ),
  },
  { additionalProperties: false, examples: [{ amount: 500, reason: 'goodwill' }] },
)
export type CreditKey = Static<typeof CreditKey>

/** Long enough for whoever has to be told; a key that is to work for longer need not be rotated. */
const GRACE_SECONDS_MAX = 90 * 86_400

export const RotateKey = t.Object(
  {
    grace_seconds: t.Optional(
      integer({
        minimum: 0,
        maximum: GRACE_SECONDS_MAX,
        error: `must be a whole number from 0 to ${GRACE_SECONDS_MAX}`,
        description: 'How long the secret of before still works; not at all unless given.',
        examples: [86_400],
      }),
    ),
  },
  { title: 'RotateKey', additionalProperties: false, examples: [{ grace_seconds: 86_400 }] },
)

export const ResetKey = t.Object(
  { quota: t.Optional(quota) },
  { title: 'ResetKey', additionalProperties: false, examples: [{ quota: 2000 }] },
)
