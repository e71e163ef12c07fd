/** What a holder is told about their own key. Tags and metadata are the operator's, and never stand here. */
import { t } from 'elysia'
import { integer } from '../../http/fields/integer.ts'
import { listOf } from '../../http/pagination.ts'
import { sums } from '../usage/sums.ts'

const integerOrNull = t.Union([integer(), t.Null()])
const instant = t.String({ format: 'date-time' })
const instantOrNull = t.Union([instant, t.Null()])
const listOrNull = t.Union([t.Array(t.String()), t.Null()])

const OwnLimit = t.Object(
  {
    name: t.String(),
    unit: t.String(),
    window: t.String(),
    amount: t.Union([integer(), t.Null()], {
      description: 'Of the present period, credits included; null is unlimited.',
    }),
    used: integer(),
    remaining: integerOrNull,
    resets_at: instantOrNull,
  },
  { title: 'OwnLimit' },
)

export const Me = t.Object(
  {
    id: t.String(),
    hint: t.String({ description: 'Enough of the key to recognise it by.' }),
    name: t.String(),
    status: t.Union([t.Literal('active'), t.Literal('disabled'), t.Literal('expired')]),
    expires_at: instantOrNull,
    limits: t.Array(OwnLimit, {
      description: 'A call must fit into all of them. The first is what `X-Quota-*` tells of.',
    }),
    concurrency: t.Union([integer(), t.Null()], {
      description: 'Most calls in flight at once; null is no limit.',
    }),
    upstreams: listOrNull,
    methods: listOrNull,
    paths: listOrNull,
    models: listOrNull,
    ip_allow: t.Union([t.Array(t.String()), t.Null()], {
      description: 'Networks that calls may come from. Of these five lists, null restricts nothing.',
    }),
    created_at: instant,
    last_used_at: instantOrNull,
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
        concurrency: null, upstreams: ['openai'], methods: null, paths: null, models: ['gpt-4o*'], ip_allow: null,
        created_at: '2026-11-22T09:23:52Z', last_used_at: '2026-11-22T10:00:00.512Z',
      },
    ],
  },
) // biome-ignore format: as it is read

const OwnUsage = t.Object(
  {
    from: instant,
    to: t.String({ format: 'date-time', description: 'The first instant after it.' }),
    ...sums,
    by_upstream: t.Optional(
      t.Array(
        t.Object({
          upstream: t.String({ description: 'Empty for endpoints given in an envelope.' }),
          ...sums,
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
      calls: 260, failed: 2, requests: 258, tokens: 0, cost: 0, bytes_in: 52_000, bytes_out: 910_000,
    },
  ],
  'OwnUsageList',
) // biome-ignore format: one row
