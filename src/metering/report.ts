/**
 * Reads what language model APIs report of their work, whichever of them it is: OpenAI (chat, completions, embeddings,
 * responses), DeepSeek, xAI, Anthropic and Ollama, in whole answers and in the events of their streams. Pure; takes any
 * value at all, never throws, and counts nothing but whole numbers that are exact.
 */
import type { Reported, Usage } from './usage.ts'

/** The longest names that are in use have a hundred characters; the ledger keeps no essays. */
const MODEL_CHARS_MAX = 256

const PART = { usage: true, model: true } as const

/** All that is looked for in an answer, of which most may be something else. */
export const REPORT = {
  ...PART,
  response: PART,
  message: PART,
  prompt_eval_count: true,
  eval_count: true,
} as const

/** Null if the value reports nothing. A later report of the same answer replaces what it names, and nothing else. */
export function readUsage(json: unknown): Reported | null {
  if (json === undefined) return null
  const started = own(json, 'message')
  const tokens =
    fromUsage(own(json, 'usage')) ??
    // Events of OpenAI's Responses hold the whole response, `message_start` of Anthropic the message so far.
    fromUsage(own(own(json, 'response'), 'usage')) ??
    fromStart(own(started, 'usage')) ??
    fromOllama(json)
  if (!tokens) return null
  const model =
    modelName(own(json, 'model')) ??
    modelName(own(own(json, 'response'), 'model')) ??
    modelName(own(started, 'model'))
  return model === undefined ? tokens : { ...tokens, model }
}

/** The member of that name; undefined if it is not there, or comes from a prototype. */
export function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

/** No call reads or writes a trillion tokens; whatever is added up of such numbers stays exact. */
const TOKENS_MAX = 1_000_000_000_000

/** A number of tokens; undefined for anything that cannot be one. */
export function count(value: unknown): number | undefined {
  const possible = typeof value === 'number' && Number.isInteger(value) && value >= 0
  return possible && value <= TOKENS_MAX ? value : undefined
}

function fromUsage(usage: unknown): Reported | null {
  // Most of what is asked for it has none.
  if (usage === undefined) return null
  return fromOpenAi(usage) ?? fromParts(usage)
}

/** Chat, completions and embeddings of OpenAI, and all who speak like it. */
function fromOpenAi(usage: unknown): Reported | null {
  const input = count(own(usage, 'prompt_tokens'))
  // Embeddings write nothing, and do not say so.
  const completion = count(own(usage, 'completion_tokens') ?? (input === undefined ? null : 0))
  return reported({
    input,
    output: withThought(completion, input, usage),
    cached:
      count(own(own(usage, 'prompt_tokens_details'), 'cached_tokens')) ??
      count(own(usage, 'prompt_cache_hit_tokens')),
    reasoning: count(own(own(usage, 'completion_tokens_details'), 'reasoning_tokens')),
  })
}

/** Responses of OpenAI, where the input includes what was cached, and messages of Anthropic, where it does not. */
function fromParts(usage: unknown): Reported | null {
  const fresh = count(own(usage, 'input_tokens'))
  const cacheRead = count(own(usage, 'cache_read_input_tokens'))
  const cacheWritten = count(own(usage, 'cache_creation_input_tokens')) ?? 0
  const input = fresh === undefined ? undefined : fresh + cacheWritten + (cacheRead ?? 0)
  return reported({
    input,
    output: withThought(count(own(usage, 'output_tokens')), input, usage),
    cached: count(own(own(usage, 'input_tokens_details'), 'cached_tokens')) ?? cacheRead,
    reasoning: count(own(own(usage, 'output_tokens_details'), 'reasoning_tokens')),
  })
}

/** Anthropic's `message_start` knows what was read; its output is a placeholder until `message_delta`. */
function fromStart(usage: unknown): Reported | null {
  if (usage === undefined) return null
  const { output: _, ...read } = fromParts(usage) ?? {}
  return reported(read)
}

/** `/api/chat`, `/api/generate` and `/api/embed` of Ollama, which leaves out counts that are zero. */
function fromOllama(json: unknown): Reported | null {
  const input = count(own(json, 'prompt_eval_count'))
  return reported({
    input,
    output: count(own(json, 'eval_count') ?? (input === undefined ? null : 0)),
  })
}

/** xAI, and Gemini in OpenAI's form, leave what was thought out of the output and count it in the total. */
function withThought(output: number | undefined, input: number | undefined, usage: unknown) {
  const total = count(own(usage, 'total_tokens'))
  if (output === undefined || input === undefined || total === undefined) return output
  return Math.max(output, total - input)
}

function modelName(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MODEL_CHARS_MAX
    ? value.toWellFormed()
    : undefined
}

/** Without the gaps, which would else replace what was reported before; null if nothing is left. */
function reported(
  tokens: {
    readonly [field in keyof Omit<Usage, 'model' | 'parts'>]?: number | undefined
  },
): Omit<Reported, 'model' | 'parts'> | null {
  const known = Object.entries(tokens).filter(([, value]) => value !== undefined)
  return known.length > 0 ? Object.fromEntries(known) : null
}
