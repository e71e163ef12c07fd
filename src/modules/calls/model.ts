/** What the API says about one call. */
import { type Static, t } from 'elysia'
import { integer } from '../../http/integer.ts'
import { formatInstant } from '../../lib/clock.ts'
import { chargeId } from '../../quota/charge-id.ts'
import { explain } from '../../quota/charge-policy.ts'
import { OUTCOMES } from '../../quota/ledger.ts'
import type { CallEntry } from './store.ts'

const amount = (unit: string) =>
  t.Object(
    { reserved: integer(), charged: integer(), refunded: integer() },
    { description: `In ${unit}.` },
  )

export const Call = t.Object(
  {
    id: t.String({ description: 'The `X-Quota-Charge-Id` of the answer.' }),
    key_id: t.String(),
    at: t.String({ description: 'When the call was admitted.' }),
    upstream: t.String({ description: 'Empty for an endpoint given in an envelope.' }),
    request_id: t.String(),
    outcome: t.UnionEnum([...OUTCOMES, 'in_flight']),
    status: t.Union([integer(), t.Null()], {
      description: "The upstream's status; null if it gave none.",
    }),
    why: t.String({ description: 'Why it was charged or given back.' }),
    requests: amount('requests'),
    tokens: amount('tokens'),
    cost: amount('micro-units of money'),
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
        upstream: '',
        request_id: 'req_5f0c3a9b1d2e4f6a7b000001',
        outcome: 'answered',
        status: 200,
        why: 'Charged: the upstream answered 200.',
        requests: { reserved: 1, charged: 1, refunded: 0 },
        tokens: { reserved: 0, charged: 0, refunded: 0 },
        cost: { reserved: 0, charged: 0, refunded: 0 },
        latency_ms: 412,
        bytes_in: 119,
        bytes_out: 291,
      },
    ],
  },
)
export type Call = Static<typeof Call>

export function showCall(entry: CallEntry): Call {
  const { outcome, status, reserved, charged } = entry
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
    tokens: units('tokens'),
    cost: units('cost'),
    latency_ms: entry.latencyMs,
    bytes_in: entry.bytesIn,
    bytes_out: entry.bytesOut,
  }
}
