/**
 * DeepSeek: how much of the input came from the cache (`hit`) and how much did not (`miss`), in chat's `usage`.
 *
 * https://api-docs.deepseek.com/api/create-chat-completion (2026-11-28)
 */
import type { Spelling } from '../openai/spelling.ts'

export const DEEPSEEK: Spelling = {
  cached: [['prompt_cache_hit_tokens']],
  uncached: [['prompt_cache_miss_tokens']],
}
