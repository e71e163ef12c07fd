/**
 * Mistral: chat's `usage`, with names of its own for what came from the cache and for sound. In conversations,
 * `connector_tokens` are what its tools have read; the total contains them.
 *
 * https://docs.mistral.ai/api, as typed by @mistralai/mistralai 2.7.0 (2026-11-28)
 */
import type { Spelling } from '../openai/spelling.ts'

export const MISTRAL: Spelling = {
  tools: [['connector_tokens']],
  cached: [['num_cached_tokens'], ['prompt_token_details', 'cached_tokens']],
  audioInput: [['prompt_token_details', 'audio_tokens']],
  seconds: [['prompt_audio_seconds']],
}
