/** Calls as the API names and shows them. */
import { type Static, t } from 'elysia'
import { CHARGE_ID, OUTCOMES } from '../../domain/call.ts'
import { oneOf } from '../../http/fields/choice.ts'
import { integer } from '../../http/fields/integer.ts'
import { keyReference } from '../../http/fields/key.ts'
import { MICROS } from '../../http/fields/money.ts'
import { orNull } from '../../http/fields/nullable.ts'
import { instant } from '../../http/fields/range.ts'
import { pageQuery, pricedListOf } from '../../http/pagination.ts'

export const params = t.Object({
  id: t.String({
    pattern: CHARGE_ID.source,
    error: 'must be the X-Quota-Charge-Id of an answer, such as call_258',
    examples: ['call_258'],
  }),
})

const STATUS = /^[1-5](?:[0-9]{2}|xx)$/

/** The least and the greatest status that is meant. */
export function readStatus(text: string | undefined): readonly [number, number] | undefined {
  if (text === undefined) return undefined
  const isClass = text.endsWith('xx')
  const least = isClass ? Number(text[0]) * 100 : Number(text)
  return [least, isClass ? least + 99 : least]
}

export const listQuery = t.Object(
  {
    ...pageQuery,
    key: t.Optional(
      keyReference({
        description:
          'Only calls of this key: its id, also of one that is deleted, or the whole key.',
      }),
    ),
    from: t.Optional(instant('Only calls that were admitted at or after this instant.')),
    to: t.Optional(instant('Only calls that were admitted before this instant.')),
    status: t.Optional(
      t.String({
        pattern: STATUS.source,
        error: 'must be a status such as 429, or a class such as 5xx',
        description: 'Only calls with this status of the upstream, or of this class.',
        examples: ['5xx'],
      }),
    ),
    outcome: t.Optional(oneOf(OUTCOMES, { description: 'Only calls that ended so.' })),
    upstream: t.Optional(
      t.String({ description: 'Only calls to this upstream.', examples: ['deepseek'] }),
    ),
    model: t.Optional(
      t.String({ description: 'Only calls of this model, as the upstream names it.' }),
    ),
  },
  { additionalProperties: false },
)

const amounts = { reserved: integer(), charged: integer(), refunded: integer() }

const nullable = (description: string) => orNull(integer(), { description })

export const Call = t.Object(
  {
    id: t.String({ description: 'The `X-Quota-Charge-Id` of the answer.' }),
    key_id: t.String(),
    key_name: t.String(),
    at: t.String({ description: 'When the call was admitted.' }),
    upstream: t.String({ description: 'Empty for an endpoint that is no upstream’s.' }),
    request_id: t.String(),
    outcome: t.UnionEnum([...OUTCOMES, 'in_flight']),
    status: orNull(integer(), {
      description: "The upstream's status; null if it gave none.",
    }),
    why: t.String({ description: 'Why it was charged or given back.' }),
    requests: t.Object(amounts, { description: 'In requests.' }),
    tokens: t.Object(
      {
        ...amounts,
        input: nullable('Everything that was read.'),
        output: nullable('Everything that was written.'),
        cached: nullable('Of the input, what came from the upstream’s cache.'),
        reasoning: nullable('Of the output, what was thought and not shown.'),
      },
      {
        description:
          'What was charged, and what the upstream reported; null where it reported nothing.',
      },
    ),
    cost: t.Object(amounts, { description: MICROS }),
    model: orNull(t.String(), {
      description:
        'The model that did the work, or else the one that was asked for; null if neither is known.',
    }),
    estimated: t.Boolean({
      description:
        'Whether a part of the tokens or the cost was estimated: it was not reported, or the call was not finished.',
    }),
    price_list: nullable(
      'Version of the price list by which the cost was reckoned; null if nothing had a price.',
    ),
    latency_ms: integer(),
    bytes_in: integer(),
    bytes_out: integer(),
  },
  {
    examples: [
      {
        id: 'call_258',
        key_id: 'key_4hXcQ0m2VtYb7LrKp9Zs',
        key_name: 'trial-user-1',
        at: '2026-11-22T10:00:00.512Z',
        upstream: 'openai',
        request_id: 'req_5f0c3a9b1d2e4f6a7b000001',
        outcome: 'answered',
        status: 200,
        why: 'Charged: the upstream answered 200.',
        requests: { reserved: 1, charged: 1, refunded: 0 },
        tokens: {
          reserved: 1034,
          charged: 295,
          refunded: 739,
          input: 25,
          output: 270,
          cached: 0,
          reasoning: 192,
        },
        cost: { reserved: 10_085, charged: 2763, refunded: 7322 },
        model: 'gpt-4o-2024-08-06',
        estimated: false,
        price_list: 3,
        latency_ms: 412,
        bytes_in: 136,
        bytes_out: 291,
      },
    ],
  },
)
export type Call = Static<typeof Call>

export const CallList = pricedListOf(Call, Call.examples)
