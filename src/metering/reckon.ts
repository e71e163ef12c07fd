/**
 * What a call is expected to consume, and what it did consume, in the units of limits. What was reported is charged as it
 * was reported. What was not is estimated from what passed, and never above what the call itself allowed. Pure.
 */

import type { Metered } from '../domain/call.ts'
import { NO_UNITS, type Units } from '../domain/limit.ts'
import type { MeterSettings, PriceList } from '../domain/upstream.ts'
import { storable } from '../lib/text/storable.ts'
import { BYTES_PER_TOKEN } from './count.ts'
import { type AskedModels, costAtMost, priceOf } from './price/choice.ts'
import { costOf } from './price/cost.ts'
import { complete, type Reported } from './usage.ts'

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
  /**
   * In tokens; null if the request could not be read. `allowed` is the longest output that the call itself allows; absent
   * if it sets no bound, so that `output` is only what is usual.
   */
  readonly estimate: {
    readonly input: number
    readonly output: number
    readonly allowed?: number | undefined
  } | null
}

export type Report = {
  /** What the upstream has said so far; an absent member was not said. */
  readonly usage: Reported
  /** What a meter of the kind `json` reads; null if it is not there. */
  readonly units: number | null
  /**
   * Bytes of text that the model was seen to write (content, thought, tool arguments), without the framing around them. It may
   * be measured only when it is asked for.
   */
  readonly writtenBytes: number
  /** The answer itself says that the work failed: an error event in a stream, or an error document under a 2xx. */
  readonly failed: boolean
  /** Whether a part of the answer could not be read: what it reports there is not known. */
  readonly isPartial?: boolean
  /** Names of members of a report that nobody understands, never their values; null if something was understood. */
  unknown?(): readonly string[] | null
}

export const NO_REPORT: Report = { usage: {}, units: null, writtenBytes: 0, failed: false }

/** How far the upstream's answer came. */
export type Ending = {
  /** Null if there was no head of an answer. */
  readonly status: number | null
  /** Whether the answer was read to its end. */
  readonly isWhole: boolean
}

/** A report of no tokens beside more text than one token is no report: some servers fill in zeros for what they do not count. */
const UNCOUNTED_BYTES_MAX = 4

/**
 * No text that models write has as many bytes a token on average: English and code have three to five, Chinese three to six. A
 * report that would need more was made before the text, such as the first event of an Anthropic stream.
 */
const BYTES_PER_TOKEN_MAX = 16

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
 * What a call is charged, by how its answer ended and what was seen of it. `due` is what the charge policy lets stand of the
 * reservation.
 */
export function reckon(
  due: Units,
  { status, isWhole }: Ending,
  metering: Metering,
  report: Report,
): { readonly charged: Units; readonly metered: Metered } {
  const ending = { status, isWhole: isWhole && !report.isPartial }
  const said = believed(ending, report)
  const usage = complete(said) ?? said
  const consumed = consumedTokens(usage, ending, metering, report)
  const { cost, isPriced } = priced(metering, { ...usage, ...consumed })
  const model = usage.model ?? metering.model
  const metered: Metered = {
    // Upstream and client may write anything, and what the ledger could not keep would never be settled.
    model: model === null ? null : storable(model),
    input: usage.input ?? null,
    output: usage.output ?? null,
    cached: usage.cached ?? null,
    reasoning: usage.reasoning ?? null,
    parts: usage.parts ?? null,
    estimated: false,
    priceListId: isPriced && metering.prices ? metering.prices.id : null,
  }
  // Given back as a whole.
  if (due === NO_UNITS) return { charged: due, metered }
  if (metering.settings.kind === 'json') {
    const { charged, estimated } = unitsByPath(due, ending, metering.settings.unit, report)
    return { charged, metered: { ...metered, estimated } }
  }
  const { input, output, estimated } = consumed
  return {
    charged: { ...due, tokens: input + output, cost },
    metered: { ...metered, estimated },
  }
}

/** The report, without what cannot be true of the text beside it. That is measured only where it matters. */
function believed({ isWhole }: Ending, report: Report): Reported {
  const { input, output, cached, reasoning: _, ...rest } = report.usage
  if (isCountedOtherwise(report.usage)) return report.usage
  if (!input && !output) return report.writtenBytes > UNCOUNTED_BYTES_MAX ? rest : report.usage
  const isFinal = isWhole && !report.failed
  if (isFinal || output === undefined) return report.usage
  if (output * BYTES_PER_TOKEN_MAX >= report.writtenBytes) return report.usage
  return { ...rest, ...(input !== undefined && { input }), ...(cached !== undefined && { cached }) }
}

/** Images and seconds have no tokens. */
function isCountedOtherwise({ parts }: Reported): boolean {
  return parts?.images !== undefined || parts?.seconds !== undefined
}

type Consumed = { readonly input: number; readonly output: number; readonly estimated: boolean }

/** Input and output, as far as they were reported, and the rest estimated where work was done. */
function consumedTokens(
  { input, output, parts = {} }: Reported,
  { status, isWhole }: Ending,
  { estimate }: Metering,
  report: Report,
): Consumed {
  const isSilent = input === undefined && output === undefined
  const hasDoneNothing =
    didNothing(status) ||
    (isSilent && (isCountedOtherwise({ parts }) || (report.failed && report.writtenBytes === 0)))
  if (hasDoneNothing) return { input: input ?? 0, output: output ?? 0, estimated: false }
  const read = input ?? estimate?.input ?? 0
  const written = output ?? guessOutput(report, estimate?.allowed)
  const known = isWhole ? (input ?? 0) + (output ?? 0) : 0
  return { input: read, output: written, estimated: read + written > known }
}

function guessOutput({ writtenBytes }: Report, allowed = Infinity): number {
  return Math.min(Math.ceil(writtenBytes / BYTES_PER_TOKEN), allowed)
}

/** An error, a redirect, 204, 205 or 304: no work was done that was not reported. */
function didNothing(status: number | null): boolean {
  return status !== null && (status >= 300 || status === 204 || status === 205)
}

function unitsByPath(
  due: Units,
  { status }: Ending,
  unit: keyof Units,
  { units, failed }: Report,
): { readonly charged: Units; readonly estimated: boolean } {
  if (units !== null) return { charged: { ...due, [unit]: units }, estimated: false }
  if (didNothing(status) || failed)
    return { charged: { ...due, tokens: 0, cost: 0 }, estimated: false }
  return { charged: due, estimated: due.tokens + due.cost > 0 }
}

/** The one place that asks for a price. */
function priced(
  metering: Metering,
  { model: answered = null, input = 0, output = 0, cached = 0, reasoning = 0, parts }: Reported,
): { readonly cost: number; readonly isPriced: boolean } {
  const price = priceOf(metering.prices?.prices ?? [], { ...askedOf(metering), answered })
  if (price === null) return { cost: 0, isPriced: false }
  const usage = { input, output, cached, reasoning, ...(parts && { parts }) }
  return { cost: costOf(price, usage), isPriced: true }
}

/** The models of a request, as prices are looked up for them. */
export function askedOf({ model, alias = null, fallbacks = [] }: Metering): AskedModels {
  return { asked: model, alias, fallbacks }
}
