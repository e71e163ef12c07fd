/** What a call has consumed, as its upstream reported it. Pure. */
import type { UsageParts } from '../domain/call.ts'

export type Usage = {
  /** The model that did the work, as the upstream names it; null if it did not say. */
  readonly model: string | null
  /** Everything that was read, from the cache or not. */
  readonly input: number
  /** Everything that was written, shown or not. */
  readonly output: number
  /** Of the input, what came from the upstream's cache. */
  readonly cached: number
  /** Of the output, what was thought and not shown. */
  readonly reasoning: number
  /** What else was reported; absent if nothing was. */
  readonly parts?: UsageParts
}

/** What has been reported so far: a stream says one thing at its start and another at its end. */
export type Reported = Partial<Usage>

/** Null while input or output is missing: half a report is no ground for a charge. */
export function complete(reported: Reported): Usage | null {
  const { model, input, output, cached, reasoning, parts } = within(reported)
  if (input === undefined || output === undefined) return null
  return {
    model: model ?? null,
    input,
    output,
    cached: cached ?? 0,
    reasoning: reasoning ?? 0,
    ...(parts && { parts }),
  }
}

/** The same, where what was not said may stand as undefined, and a part as zero. */
type Loose = {
  readonly [field in Exclude<keyof Usage, 'parts'>]?: Usage[field] | undefined
} & {
  readonly parts?: { readonly [part in keyof UsageParts]: number | undefined } | undefined
}

/**
 * Without what was not said, and with each part within the whole: what came from the cache and what was written to it are
 * other parts of the input than what is sound or images, so that together they are never more than it. So it is with the
 * output and what was thought.
 */
export function within(said: Loose): Reported {
  const { model, input, output, cached, reasoning, parts } = said
  const ofInput = dealer(input)
  const ofOutput = dealer(output)
  const reported: { -readonly [field in keyof Reported]: Reported[field] } = {}
  if (model !== undefined) reported.model = model
  if (input !== undefined) reported.input = input
  if (output !== undefined) reported.output = output
  if (cached !== undefined) reported.cached = ofInput(cached)
  if (reasoning !== undefined) reported.reasoning = ofOutput(reasoning)
  const known = parts && partsWithin(parts, ofInput, ofOutput)
  if (known) reported.parts = known
  return reported
}

type Dealer = (part?: number) => number

/** Undefined if all of them are zero. */
function partsWithin(
  parts: NonNullable<Loose['parts']>,
  ofInput: Dealer,
  ofOutput: Dealer,
): UsageParts | undefined {
  const known = {
    cacheWritten1h: ofInput(parts.cacheWritten1h),
    cacheWritten5m: ofInput(parts.cacheWritten5m),
    audioInput: ofInput(parts.audioInput),
    imageInput: ofInput(parts.imageInput),
    audioOutput: ofOutput(parts.audioOutput),
    imageOutput: ofOutput(parts.imageOutput),
    images: parts.images ?? 0,
    seconds: parts.seconds ?? 0,
  }
  const positive = Object.entries(known).filter(([, part]) => part > 0)
  return positive.length > 0 ? Object.fromEntries(positive) : undefined
}

/** Gives each part as much as is left of the whole. */
function dealer(whole = Number.POSITIVE_INFINITY): Dealer {
  let left = whole
  return (part = 0) => {
    const taken = Math.min(part, left)
    left -= taken
    return taken
  }
}
