/** What a JSON request is expected to make a model read, and what it lets it write. Pure; never throws. */
import { own } from '../../lib/json/object.ts'
import { BYTES_PER_TOKEN, count, TOKENS_MAX } from '../count.ts'
import { findMedia } from './media.ts'
import { plainPath } from './plain-path.ts'
import { worksForNothing, writesNothing } from './work.ts'

/** Tokens that a call is expected to read, and the most that it lets a model write, as far as it says. */
export type Estimate = {
  readonly input: number
  readonly output: number
  /** The longest output that the call itself allows; absent if it sets no bound. */
  readonly allowed?: number
}

/**
 * How long one answer may be, by API: OpenAI, Anthropic, Cohere and Mistral (`max_tokens`), OpenAI's reasoning models and
 * Responses, llama.cpp, models of Bedrock, and the first API of Anthropic.
 */
export const LENGTHS = [
  'max_tokens', 'max_completion_tokens', 'max_output_tokens', 'max_new_tokens', 'n_predict', 'max_gen_len',
  'max_tokens_to_sample',
] // biome-ignore format: a list

/** The same inside of another member: Gemini in both of its spellings, Ollama, Converse, Titan, DashScope and Vertex. */
const NESTED_LENGTHS: readonly (readonly [string, string])[] = [
  ['generationConfig', 'maxOutputTokens'],
  ['generationConfig', 'max_output_tokens'],
  ['generation_config', 'max_output_tokens'],
  ['generation_config', 'maxOutputTokens'],
  ['options', 'num_predict'],
  ['inferenceConfig', 'maxTokens'],
  ['inferenceConfig', 'max_new_tokens'],
  ['textGenerationConfig', 'maxTokenCount'],
  ['parameters', 'max_tokens'],
  ['parameters', 'max_new_tokens'],
  ['parameters', 'maxOutputTokens'],
]

/** How many answers are written; of `best_of` all are paid for and `n` are shown. */
export const ANSWERS = ['n', 'best_of', 'num_generations']
const NESTED_ANSWERS: readonly (readonly [string, string])[] = [
  ['generationConfig', 'candidateCount'],
  ['generationConfig', 'candidate_count'],
  ['generation_config', 'candidate_count'],
  ['generation_config', 'candidateCount'],
  ['parameters', 'n'],
  ['parameters', 'candidateCount'],
  ['parameters', 'sampleCount'],
]

export const NESTED = [...NESTED_LENGTHS, ...NESTED_ANSWERS]

/** Alibaba's, whose `max_tokens` bounds the answer alone: what is thought comes on top. */
export const THOUGHT = 'thinking_budget'

export type Asked = {
  /** What matters of the request, as JSON.parse would give it. */
  readonly request: object | null
  /** How many texts the request asks to be completed. */
  readonly prompts: number
}

export type EstimateOptions = {
  /** The decoded path after the base URL. */
  readonly path: string
  /** Unless given, POST. */
  readonly method?: string
  /** Tokens that a call is expected to write if it sets no bound; null where tokens are not metered. */
  readonly outputDefault: number | null
}

export function estimateOf(
  text: string,
  { path: spelled, method = 'POST', outputDefault }: EstimateOptions,
  { request, prompts }: Asked,
): Estimate {
  // A call without a body, such as one that cancels another, asks for nothing.
  if (outputDefault === null || text.trim() === '') return NOTHING
  const path = plainPath(spelled)
  if (worksForNothing(path, method, text)) return NOTHING
  const media = findMedia(text)
  const bytes = Buffer.byteLength(text) - media.chars
  const input = Math.ceil(bytes / BYTES_PER_TOKEN) + media.tokens
  if (writesNothing(path)) return { input, output: 0, allowed: 0 }
  const answers = Math.max(1, ...counts(request, ANSWERS, NESTED_ANSWERS)) * prompts
  const lengths = counts(request, LENGTHS, NESTED_LENGTHS)
  const length = lengthOf(request, lengths, outputDefault)
  const output = Math.min(length * answers, TOKENS_MAX)
  return lengths.length > 0 ? { input, output, allowed: output } : { input, output }
}

export const NOTHING: Estimate = { input: 0, output: 0, allowed: 0 }

/** The largest of what bounds an answer: which of them an upstream goes by, nobody knows. */
function lengthOf(
  request: object | null,
  lengths: readonly number[],
  outputDefault: number,
): number {
  const onTop = count(own(request, THOUGHT)) ?? 0
  if (lengths.length > 0) return Math.max(...lengths) + onTop
  return outputDefault + onTop + Math.max(0, ...geminiThought(request))
}

/** Within `maxOutputTokens`, if that is there. */
function geminiThought(request: object | null): number[] {
  return ['generationConfig', 'generation_config'].flatMap((outer) => {
    const config = own(own(request, outer), 'thinkingConfig')
    return count(own(config, 'thinkingBudget')) ?? []
  })
}

/** Where a number is none that can be, such as -1 for no bound, there is no bound. */
function counts(
  request: object | null,
  names: readonly string[],
  nested: readonly (readonly [string, string])[],
): number[] {
  const found: number[] = []
  const take = (value: unknown) => {
    const number = count(value)
    if (number !== undefined) found.push(number)
  }
  for (const name of names) take(own(request, name))
  for (const [outer, inner] of nested) take(own(own(request, outer), inner))
  return found
}
