/** How the counts of a `usage` object are spelled, of which APIs that speak like OpenAI have many ways. */
import type { Path } from '../dialect.ts'

export type Spelling = {
  /** Where such objects stand in an answer; `[]` is each item of a list. */
  readonly places?: readonly Path[]
} & { readonly [count in Spelled]?: readonly Path[] }

/** What is counted, each by the largest of its spellings. */
export type Spelled =
  | 'input'
  | 'output'
  | 'total'
  | 'cached'
  /** The rest of the input, where it is not counted as a whole. */
  | 'uncached'
  /** What is read beside the input. */
  | 'tools'
  | 'written'
  | 'writtenLong'
  | 'reasoning'
  | 'audioInput'
  | 'audioCached'
  | 'audioOutput'
  | 'imageInput'
  | 'imageCached'
  | 'imageOutput'
  | 'seconds'

/** Chat and Responses name the details differently, and so do audio and realtime. */
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
