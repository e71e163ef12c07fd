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

/** Null while input or output is missing. */
export function complete({
  model,
  input,
  output,
  cached,
  reasoning,
  parts,
}: Reported): Usage | null {
  if (input === undefined || output === undefined) return null
  return {
    model: model ?? null,
    input,
    output,
    cached: Math.min(cached ?? 0, input),
    reasoning: Math.min(reasoning ?? 0, output),
    ...(parts && { parts }),
  }
}
