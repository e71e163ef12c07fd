/**
 * Moonshot (Kimi): `cached_tokens` directly in `usage`, and in a stream the whole `usage` in the last choice.
 *
 * https://platform.kimi.ai/docs/api/chat (2026-11-28)
 */
import { ITEMS } from '../../../lib/json/member.ts'
import type { Spelling } from '../openai/spelling.ts'

export const MOONSHOT: Spelling = {
  places: [['choices', ITEMS, 'usage']],
  cached: [['cached_tokens']],
}
