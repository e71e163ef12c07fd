/** What a call is expected to consume, and what it did consume, in the units of limits. Pure. */

import type { Metered } from '../domain/call.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { MeterSettings, PriceList } from '../domain/upstream.ts'
import { type AskedModels, costAtMost, priceOf } from './price/choice.ts'
import { costOf } from './price/cost.ts'
import type { Usage } from './usage.ts'

/** How a call is metered, as far as its request says. */
export type Metering = {
  readonly settings: Exclude<MeterSettings, { kind: 'none' }>
  readonly prices: PriceList | null
  /** The model that was asked for; null if the request names none. */
  readonly model: string | null
  /** As the client calls it, if that is another name. */
  readonly alias?: string | null
  /** Models that the request lets the upstream take in its place. */
  readonly fallbacks?: readonly string[]
  /** Whether the usage in the stream was asked for by us alone. */
  readonly hideUsage: boolean
  /** In tokens; null if the request could not be read. */
  readonly estimate: { readonly input: number; readonly output: number } | null
}

/** What the upstream said of the call; null where it said nothing. */
export type Report = { readonly usage: Usage | null; readonly units: number | null }

/** What is reserved before the call goes out. */
export function estimateUnits(requests: number, metering: Metering | null): Units {
  if (!metering) return { ...NO_UNITS, requests }
  const { settings, estimate } = metering
  if (settings.kind === 'json') return { ...NO_UNITS, requests, [settings.unit]: settings.estimate }
  const { input, output } = estimate ?? { input: 0, output: settings.outputTokensDefault }
  const cost = costAtMost(metering.prices?.prices ?? [], askedOf(metering), { input, output })
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
  { usage, units }: Report,
): { readonly charged: Units; readonly metered: Metered } {
  const { settings, prices } = metering
  const answered = usage?.model ?? null
  const price = priceOf(prices?.prices ?? [], { ...askedOf(metering), answered })
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

/** The models of a request, as prices are looked up for them. */
export function askedOf({ model, alias = null, fallbacks = [] }: Metering): AskedModels {
  return { asked: model, alias, fallbacks }
}
