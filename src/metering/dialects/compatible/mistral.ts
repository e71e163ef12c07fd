/**
 * Mistral: chat's `usage`, with names of its own for what came from the cache and for sound. In conversations,
 * `connector_tokens` are what its tools have read; the total contains them.
 *
 * https://docs.mistral.ai/api, as typed by @mistralai/mistralai 2.7.0 (2026-11-28)
 */
import { countAt, type Dialect, sumOf } from '../dialect.ts'
import type { Spelling } from '../openai/spelling.ts'

export const MISTRAL_SPELLING: Spelling = {
  cached: [['num_cached_tokens'], ['prompt_token_details', 'cached_tokens']],
  audioInput: [['prompt_token_details', 'audio_tokens']],
  seconds: [['prompt_audio_seconds']],
}

export const MISTRAL: Dialect = {
  shape: { usage: true },
  signs: ['usage'],
  read(answer) {
    const tools = countAt(answer, ['usage', 'connector_tokens'])
    const prompt = countAt(answer, ['usage', 'prompt_tokens'])
    return tools === undefined || prompt === undefined ? null : { input: sumOf(prompt, tools) }
  },
}
