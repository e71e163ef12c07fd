/** What the API says about one call. */
import { type Static, t } from 'elysia'
import type { CallEntry } from '../../domain/call.ts'
import { OUTCOMES } from '../../domain/call.ts'
import { chargeId } from '../../domain/charge-id.ts'
import { integer } from '../../http/fields/integer.ts'
import { formatInstant } from '../../lib/clock.ts'
import { explain } from '../../quota/charge-policy.ts'

const amounts = { reserved: integer(), charged: integer(), refunded: integer() }
const amount = (unit: string) => t.Object(amounts, { description: `In ${unit}.` })

const nullable = (description: string) => t.Union([integer(), t.Null()], { description })

export const Call = t.Object(
  {
    id: t.String({ description: 'The `X-Quota-Charge-Id` of the answer.' }),
    key_id: t.String(),
    at: t.String({ description: 'When the call was admitted.' }),
    upstream: t.String({ description: 'Empty for an endpoint that is no upstream’s.' }),
    request_id: t.String(),
    outcome: t.UnionEnum([...OUTCOMES, 'in_flight']),
    status: t.Union([integer(), t.Null()], {
      description: "The upstream's status; null if it gave none.",
    }),
    why: t.String({ description: 'Why it was charged or given back.' }),
    requests: amount('requests'),
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
    cost: amount('micro-units of money'),
    model: t.Union([t.String(), t.Null()], {
      description:
        'The model that did the work, or else the one that was asked for; null if neither is known.',
    }),
    estimated: t.Boolean({
      description: 'Whether tokens or cost are charged as estimated, for want of a report.',
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

export function showCall(entry: CallEntry): Call {
  const { outcome, status, reserved, charged, metered } = entry
  const { input, output, cached, reasoning } = metered
  const units = (unit: keyof typeof reserved) => ({
    reserved: reserved[unit],
    charged: charged[unit],
    refunded: Math.max(0, reserved[unit] - charged[unit]),
  })
  return {
    id: chargeId(entry.seq),
    key_id: entry.keyId,
    at: formatInstant(entry.at),
    upstream: entry.upstream,
    request_id: entry.requestId,
    outcome,
    status,
    why:
      outcome === 'in_flight'
        ? 'Reserved: the call has not ended.'
        : explain(outcome, status, reserved, charged),
    requests: units('requests'),
    tokens: { ...units('tokens'), input, output, cached, reasoning },
    cost: units('cost'),
    model: metered.model,
    estimated: metered.estimated,
    price_list: metered.priceListId,
    latency_ms: entry.latencyMs,
    bytes_in: entry.bytesIn,
    bytes_out: entry.bytesOut,
  }
}
