/** What a call is expected to consume, and what it did consume, in the units of limits. Pure. */

import type { Metered } from '../domain/call.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { MeterSettings, PriceList } from '../domain/upstream.ts'
import { costOf, priceOf } from './price.ts'
import { complete, type Reported } from './usage.ts'

/** How a call is metered, as far as its request says. */
export type Metering = {
  readonly settings: Exclude<MeterSettings, { kind: 'none' }>
  readonly prices: PriceList | null
  /** The model that was asked for; null if the request names none. */
  readonly model: string | null
  /** Whether the usage in the stream was asked for by us alone. */
  readonly hideUsage: boolean
  /** In tokens; null if the request could not be read. */
  readonly estimate: { readonly input: number; readonly output: number } | null
}

/** What the upstream said of the call; null where it said nothing. */
export type Report = {
  /** What the upstream has said so far; an absent member was not said. */
  readonly usage: Reported
  /** The number that a meter of the kind `json` reads. */
  readonly units: number | null
  /** Bytes of text that the model was seen to write (content, thought, tool arguments), without the framing around them. */
  readonly writtenBytes: number
  /** The answer itself says that the work failed: an error event in a stream, or an error document under a 2xx. */
  readonly failed: boolean
}

/** What is reserved before the call goes out. */
export function estimateUnits(requests: number, metering: Metering | null): Units {
  if (!metering) return { ...NO_UNITS, requests }
  const { settings, estimate } = metering
  if (settings.kind === 'json') return { ...NO_UNITS, requests, [settings.unit]: settings.estimate }
  const { input, output } = estimate ?? { input: 0, output: settings.outputTokensDefault }
  const price = priceOf(metering.prices?.prices ?? [], metering.model)
  const cost = price ? costOf(price, { input, output, cached: 0 }) : 0
  return { requests, tokens: input + output, cost }
}

/**
 * What a call is charged: what was reported, or else what was reserved. An answer that is an error and reports nothing has
 * consumed nothing. `due` is what the charge policy lets stand of the reservation.
 */
export function reckon(
  due: Units,
  status: number | null,
  metering: Metering,
  { usage: said, units }: Report,
): { readonly charged: Units; readonly metered: Metered } {
  const { settings, prices } = metering
  const usage = complete(said)
  const price = priceOf(prices?.prices ?? [], metering.model, usage?.model ?? null)
  const metered: Metered = {
    model: usage?.model ?? metering.model,
    input: usage?.input ?? null,
    output: usage?.output ?? null,
    cached: usage?.cached ?? null,
    reasoning: usage?.reasoning ?? null,
    parts: usage?.parts ?? null,
    estimated: false,
    priceListId: price && prices ? prices.id : null,
  }
  // Given back as a whole.
  if (due === NO_UNITS) return { charged: due, metered }
  if (settings.kind === 'json' && units !== null)
    return { charged: { ...due, [settings.unit]: units }, metered }
  if (settings.kind === 'tokens' && usage) {
    const cost = price ? costOf(price, usage) : 0
    return { charged: { ...due, tokens: usage.input + usage.output, cost }, metered }
  }
  if (status !== null && status >= 400) return { charged: { ...due, tokens: 0, cost: 0 }, metered }
  return { charged: due, metered: { ...metered, estimated: due.tokens + due.cost > 0 } }
}
