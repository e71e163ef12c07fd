/**
 * DeepSeek: how much of the input came from the cache (`hit`) and how much did not (`miss`), in chat's `usage`.
 *
 * https://api-docs.deepseek.com/api/create-chat-completion (2026-11-28)
 */
import { countAt, type Dialect, sumOf } from '../dialect.ts'
import type { Spelling } from '../openai/spelling.ts'

export const DEEPSEEK_SPELLING: Spelling = { cached: [['prompt_cache_hit_tokens']] }

export const DEEPSEEK: Dialect = {
  shape: { usage: true },
  signs: ['usage'],
  read(answer) {
    const miss = countAt(answer, ['usage', 'prompt_cache_miss_tokens'])
    const hit = countAt(answer, ['usage', 'prompt_cache_hit_tokens'])
    return miss === undefined || hit === undefined ? null : { input: sumOf(miss, hit) }
  },
}
