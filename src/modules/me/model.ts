/**
 * What holders may ask about their own key, and what they see. Tags and metadata belong to the
 * operator and never appear here.
 */
import { t } from 'elysia'
import { KEY_STATUSES } from '../../domain/key.ts'
import { oneOf } from '../../http/fields/choice.ts'
import { shownInstant, shownInstantOrNull } from '../../http/fields/instant.ts'
import { integer } from '../../http/fields/integer.ts'
import { shownScope } from '../../http/fields/key.ts'
import { currency, LIMIT_UNITS } from '../../http/fields/money.ts'
import { orNull } from '../../http/fields/nullable.ts'
import { rangeQuery } from '../../http/fields/range.ts'
import { usageSums } from '../../http/fields/usage-sums.ts'
import { listOf } from '../../http/pagination.ts'

/** Forty-one days of hours, or nearly three years of days: more than a page shows. */
export const BUCKETS_MAX = 1000
/** A range without a beginning holds so many days of UTC. */
export const DAYS_DEFAULT = 30

export const usageQuery = t.Object(
  {
    from: t.Optional({
      ...rangeQuery.from,
      description: `Only hours that begin at or after this instant. Unless given, the range holds ${DAYS_DEFAULT} days of UTC, of the last one as much as there is before its end.`,
    }),
    to: t.Optional({
      ...rangeQuery.to,
      description: 'Only hours that begin before this instant; now unless given.',
    }),
    group_by: t.Optional(
      oneOf(['hour', 'day', 'total'], {
        error: 'must be hour, day or total',
        description: `\`day\` unless given. Of hours or days, at most ${BUCKETS_MAX} may lie in the range.`,
      }),
    ),
  },
  { additionalProperties: false },
)

// Any text may be asked for; one that is no id names no call.
export const callParams = t.Object({ id: t.String({ examples: ['call_258'] }) })

const OwnLimit = t.Object(
  {
    name: t.String(),
    unit: t.String(),
    window: t.String(),
    amount: orNull(integer(), {
      description: `Of the present period, credits included; null is unlimited. ${LIMIT_UNITS}`,
    }),
    used: integer({ description: LIMIT_UNITS }),
    remaining: orNull(integer(), { description: LIMIT_UNITS }),
    resets_at: shownInstantOrNull,
  },
  { title: 'OwnLimit' },
)

export const Me = t.Object(
  {
    id: t.String(),
    hint: t.String({ description: 'Enough of the key to recognise it by.' }),
    name: t.String(),
    status: oneOf(KEY_STATUSES),
    expires_at: shownInstantOrNull,
    limits: t.Array(OwnLimit, {
      description: 'A call must fit into all of them. The first is what `X-Quota-*` tells of.',
    }),
    currency,
    concurrency: orNull(integer(), {
      description: 'Most calls in flight at once; null is no limit.',
    }),
    ...shownScope,
    ip_allow: orNull(t.Array(t.String()), {
      description: 'Networks that calls may come from. Of these five lists, null restricts nothing.',
    }),
    created_at: shownInstant,
    last_used_at: shownInstantOrNull,
  },
  {
    title: 'Me',
    examples: [
      {
        id: 'key_4hXcQ0m2VtYb7LrKp9Zs', hint: 'trial_Ab3d…x9Zk', name: 'trial-user-1', status: 'active',
        expires_at: '2026-12-31T00:00:00Z',
        limits: [
          { name: 'quota', unit: 'requests', window: 'lifetime', amount: 1000, used: 258, remaining: 742, resets_at: null },
        ],
        currency: 'USD', concurrency: null, upstreams: ['openai'], methods: null, paths: null, models: ['gpt-4o*'], ip_allow: null,
        created_at: '2026-11-22T09:23:52Z', last_used_at: '2026-11-22T10:00:00.512Z',
      },
    ],
  },
) // biome-ignore format: as it is read

const OwnUsage = t.Object(
  {
    from: shownInstant,
    to: t.String({ format: 'date-time', description: 'The first instant after it.' }),
    ...usageSums,
    by_upstream: t.Optional(
      t.Array(
        t.Object({
          upstream: t.String({ description: 'Empty for endpoints given in an envelope.' }),
          ...usageSums,
        }),
        { description: 'Only with `group_by=total`.' },
      ),
    ),
  },
  { title: 'OwnUsage' },
)

export const OwnUsageList = listOf(
  OwnUsage,
  [
    {
      from: '2026-11-22T00:00:00Z', to: '2026-11-23T00:00:00Z',
      calls: 260, failed: 2, requests: 258, tokens: 0, cost: 0, bytes_in: 52_000, bytes_out: 910_000, estimated: 0,
    },
  ],
  'OwnUsageList',
) // biome-ignore format: one row

export const BillingSubscription = t.Object(
  {
    object: t.Literal('billing_subscription'),
    has_payment_method: t.Literal(true),
    soft_limit_usd: t.Number({ description: 'The same as `hard_limit_usd`.' }),
    hard_limit_usd: t.Number({ description: 'The amount; 100000000 is unlimited.' }),
    system_hard_limit_usd: t.Number({ description: 'The same as `hard_limit_usd`.' }),
    access_until: t.Number({
      description: 'When the key expires, in seconds since 1970; the end of the year 9999 is never.',
    }),
  },
  {
    title: 'BillingSubscription',
    examples: [
      {
        object: 'billing_subscription', has_payment_method: true,
        soft_limit_usd: 5, hard_limit_usd: 5, system_hard_limit_usd: 5, access_until: 1_798_675_200,
      },
    ],
  },
) // biome-ignore format: one answer

export const BillingUsage = t.Object(
  {
    object: t.Literal('list'),
    total_usage: t.Number({ description: 'What is used of the amount, in hundredths.' }),
  },
  { title: 'BillingUsage', examples: [{ object: 'list', total_usage: 129.5 }] },
)

const ignored = t.Optional(t.Unknown({ description: 'Taken, and changes nothing.' }))
/** Clients add parameters of their own to those of OpenAI. */
const anyQuery = { additionalProperties: true }

export const subscriptionQuery = t.Object({}, anyQuery)
export const billingUsageQuery = t.Object({ start_date: ignored, end_date: ignored }, anyQuery)
