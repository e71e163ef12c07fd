/** Keys as the admin API takes and shows them. */
import { type Static, t } from 'elysia'
import { IMPORTABLE, PREFIX, PREFIX_RULE } from '../../domain/key/secret.ts'
import { KEY_NAME_CHARS_MAX, KEY_STATUSES, TAG_CHARS_MAX } from '../../domain/key.ts'
import { oneOf } from '../../http/fields/choice.ts'
import { INSTANT_FORM, shownInstant, shownInstantOrNull } from '../../http/fields/instant.ts'
import { concurrency, integer, integerOrNull, wholeNumber } from '../../http/fields/integer.ts'
import { keyReference, shownScope } from '../../http/fields/key.ts'
import { orNull } from '../../http/fields/nullable.ts'
import { anyText, text } from '../../http/fields/text.ts'
import { notTogether } from '../../http/openapi/schema.ts'
import { listOf, pageQuery } from '../../http/pagination.ts'
import { INSTANT_RULE } from '../../lib/clock.ts'
import { printable } from '../../lib/text/printable.ts'
import {
  LimitState,
  limitChanges,
  limitFields,
  quota,
  reserveMax,
  shownReserveMax,
} from './limits.ts'
import { scopeFields } from './scope.ts'

/** The longest grace of a rotation. A key that must work for longer need not be rotated. */
const GRACE_SECONDS_MAX = 90 * 86_400

export const params = t.Object({
  key: keyReference({
    description: 'The id (`key_…`) or the whole key.',
    examples: ['key_4hXcQ0m2VtYb7LrKp9Zs'],
  }),
})

export const listQuery = t.Object(
  {
    ...pageQuery,
    status: t.Optional(oneOf(KEY_STATUSES, { error: 'must be active, disabled or expired' })),
    tag: t.Optional(
      anyText(1, TAG_CHARS_MAX, { error: `must be a text of 1 to ${TAG_CHARS_MAX} characters` }),
    ),
    q: t.Optional(
      anyText(1, KEY_NAME_CHARS_MAX, {
        error: `must be a text of 1 to ${KEY_NAME_CHARS_MAX} characters`,
        description: 'Part of the name, or the id.',
      }),
    ),
  },
  { additionalProperties: false },
)

const name = text(printable(1, KEY_NAME_CHARS_MAX), {
  error: `must be 1 to ${KEY_NAME_CHARS_MAX} characters without control characters`,
  description: 'For people; need not be unique.',
  examples: ['trial-user-1'],
})

const settings = {
  expires_at: t.Optional(
    orNull(t.String({ documented: INSTANT_FORM }), {
      error: `${INSTANT_RULE}, or null`,
      description:
        'From this instant on, of the years 1970 to 9999, the key is refused; `null` never expires.',
      examples: ['2026-12-31T00:00:00Z'],
    }),
  ),
  ...limitFields,
  concurrency: t.Optional(concurrency('Most calls in flight at once; `null` is no limit.')),
  reserve_max: t.Optional(reserveMax),
  ...scopeFields,
  enabled: t.Optional(t.Boolean({ error: 'must be true or false' })),
  tags: t.Optional(
    t.Array(
      text(printable(1, TAG_CHARS_MAX), {
        error: `must be a text of 1 to ${TAG_CHARS_MAX} characters without control characters`,
      }),
      {
        maxItems: 32,
        error: `must be a list of at most 32 texts of 1 to ${TAG_CHARS_MAX} characters`,
      },
    ),
  ),
  metadata: t.Optional(
    t.Record(t.String(), t.Unknown(), {
      maxProperties: 64,
      error: 'must be an object with at most 64 members',
      description: 'Anything of yours; never interpreted.',
    }),
  ),
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
  { name: t.Optional(name), quota: t.Optional(quota), ...settings, ...limitChanges },
  {
    title: 'UpdateKey',
    additionalProperties: false,
    minProperties: 1,
    error: 'must hold at least one field to change',
    examples: [{ quota: 2000, enabled: true }],
  },
)
export type UpdateKey = Static<typeof UpdateKey>

export const RotateKey = t.Object(
  {
    grace_seconds: t.Optional(
      wholeNumber(0, GRACE_SECONDS_MAX, {
        description: 'How long the secret of before still works; not at all unless given.',
        examples: [86_400],
      }),
    ),
  },
  { title: 'RotateKey', additionalProperties: false, examples: [{ grace_seconds: 86_400 }] },
)

const shown = {
  id: t.String({ description: 'Stands for the key in every URL; not a secret.' }),
  hint: t.String({ description: 'Enough of the key to recognise it by.' }),
  name: t.String(),
  quota: integerOrNull,
  used: integer({ description: 'Requests used in the present window.' }),
  remaining: integerOrNull,
  window: t.String(),
  resets_at: shownInstantOrNull,
  expires_at: shownInstantOrNull,
  enabled: t.Boolean(),
  status: oneOf(KEY_STATUSES),
  concurrency: integerOrNull,
  reserve_max: shownReserveMax,
  ...shownScope,
  limits: t.Array(LimitState, { description: 'Every limit, the quota first.' }),
  tags: t.Array(t.String()),
  metadata: t.Record(t.String(), t.Unknown()),
  created_at: shownInstant,
  updated_at: shownInstant,
  last_used_at: shownInstantOrNull,
  previous_until: orNull(shownInstant, {
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
  reserve_max: null,
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

export const DeletedKey = t.Object(
  { id: t.String(), deleted: t.Literal(true) },
  { title: 'DeletedKey', examples: [{ id: shownExample.id, deleted: true }] },
)
