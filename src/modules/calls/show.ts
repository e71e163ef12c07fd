/** A call as the API shows it, to the operator and to the holder of its key alike. */
import { type CallEntry, chargeId } from '../../domain/call.ts'
import { formatInstant } from '../../lib/clock.ts'
import { explain } from '../../quota/charge-policy.ts'
import type { Call } from './model.ts'

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
    key_name: entry.keyName,
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
