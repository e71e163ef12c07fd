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
export function within({ model, input, output, cached, reasoning, parts }: Loose): Reported {
  const said: { -readonly [field in keyof Usage]?: Usage[field] } = {}
  if (model !== undefined) said.model = model
  if (input !== undefined) said.input = input
  if (output !== undefined) said.output = output
  if (cached !== undefined) said.cached = Math.min(cached, input ?? cached)
  if (reasoning !== undefined) said.reasoning = Math.min(reasoning, output ?? reasoning)
  const known = parts && partsWithin(parts, said)
  if (known) said.parts = known
  return said
}

/** What is left of the whole beside what came from the cache, or was thought, is given to each part in turn. */
function partsWithin(parts: NonNullable<Loose['parts']>, said: Reported): UsageParts | null {
  let known: Record<string, number> | null = null
  let ofInput = (said.input ?? Number.POSITIVE_INFINITY) - (said.cached ?? 0)
  let ofOutput = (said.output ?? Number.POSITIVE_INFINITY) - (said.reasoning ?? 0)
  for (const part of PARTS) {
    const amount = parts[part] ?? 0
    if (amount <= 0) continue
    const isInput = OF_INPUT.has(part)
    const isOutput = OF_OUTPUT.has(part)
    const taken = Math.min(amount, isInput ? ofInput : isOutput ? ofOutput : amount)
    if (isInput) ofInput -= taken
    else if (isOutput) ofOutput -= taken
    if (taken > 0) {
      known ??= {}
      known[part] = taken
    }
  }
  return known
}

const PARTS = [
  'cacheWritten1h',
  'cacheWritten5m',
  'audioInput',
  'imageInput',
  'audioOutput',
  'imageOutput',
  'images',
  'seconds',
] as const satisfies readonly (keyof UsageParts)[]
const OF_INPUT: ReadonlySet<string> = new Set(PARTS.slice(0, 4))
const OF_OUTPUT: ReadonlySet<string> = new Set(PARTS.slice(4, 6))
