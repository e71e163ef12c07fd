/** How the counts of a `usage` object are spelled, of which APIs that speak like OpenAI have many ways. */
import type { Path } from '../dialect.ts'

export type Spelling = {
  /** Where such objects stand in an answer; `[]` is each item of a list. */
  readonly places?: readonly Path[]
  readonly input?: readonly Path[]
  readonly output?: readonly Path[]
  readonly total?: readonly Path[]
  readonly cached?: readonly Path[]
  readonly written?: readonly Path[]
  readonly writtenLong?: readonly Path[]
  readonly reasoning?: readonly Path[]
  readonly audioInput?: readonly Path[]
  readonly audioCached?: readonly Path[]
  readonly audioOutput?: readonly Path[]
  readonly imageInput?: readonly Path[]
  readonly imageCached?: readonly Path[]
  readonly imageOutput?: readonly Path[]
  readonly seconds?: readonly Path[]
}

/** The two names of a member in chat and in Responses, and the one that audio and realtime use. */
const inputDetails = (name: string): Path[] =>
  ['prompt_tokens_details', 'input_tokens_details', 'input_token_details'].map((d) => [d, name])
const outputDetails = (name: string): Path[] =>
  ['completion_tokens_details', 'output_tokens_details', 'output_token_details'].map((d) => [
    d,
    name,
  ])

/**
 * Chat, completions and embeddings have `prompt_tokens` and `completion_tokens`, all others `input_tokens` and
 * `output_tokens`; relays write both into one object, of which one family may be zeros. The input contains the cache, the
 * output what was thought.
 *
 * https://platform.openai.com/docs/api-reference/chat/object, …/responses/object, …/embeddings/create, …/images/object,
 * …/audio, …/realtime-server-events/response/done, each as typed by openai-node 7.57.0 (2026-11-28).
 */
export const OPENAI: Spelling = {
  places: [['usage']],
  input: [['prompt_tokens'], ['input_tokens']],
  output: [['completion_tokens'], ['output_tokens']],
  total: [['total_tokens']],
  cached: inputDetails('cached_tokens'),
  written: inputDetails('cache_write_tokens'),
  // Kept for thirty minutes or for twelve hours.
  writtenLong: inputDetails('cache_write_tokens_details').map((path) => [
    ...path,
    'ttl_12h_tokens',
  ]),
  reasoning: outputDetails('reasoning_tokens'),
  audioInput: inputDetails('audio_tokens'),
  audioCached: inputDetails('cached_tokens_details').map((path) => [...path, 'audio_tokens']),
  audioOutput: outputDetails('audio_tokens'),
  imageInput: inputDetails('image_tokens'),
  imageCached: inputDetails('cached_tokens_details').map((path) => [...path, 'image_tokens']),
  imageOutput: outputDetails('image_tokens'),
}
