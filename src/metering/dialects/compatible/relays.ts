/**
 * Relays that translate other APIs into OpenAI's form, and keep Anthropic's counts of the cache beside chat's: LiteLLM,
 * new-api, OpenRouter; Qwen in OpenAI's form does likewise. Servers that are made with the AI SDK write its names.
 *
 * https://docs.litellm.ai/docs/completion/prompt_caching, https://openrouter.ai/docs/use-cases/usage-accounting,
 * https://github.com/QuantumNous/new-api `dto/openai_response.go`,
 * https://www.alibabacloud.com/help/en/model-studio/context-cache, https://ai-sdk.dev/docs/reference/ai-sdk-core, as typed
 * by ai 7.0.173 (2026-11-28)
 */
import type { Spelling } from '../openai/spelling.ts'

export const RELAYS: Spelling = {
  input: [['inputTokens'], ['promptTokens']],
  output: [['outputTokens'], ['completionTokens']],
  total: [['totalTokens']],
  cached: [['cache_read_input_tokens'], ['cachedInputTokens']],
  written: [
    ['cache_creation_input_tokens'],
    ['prompt_tokens_details', 'cache_creation_tokens'],
    ['prompt_tokens_details', 'cache_creation_input_tokens'],
    ['prompt_tokens_details', 'cached_creation_tokens'],
  ],
  writtenLong: [
    ['claude_cache_creation_1_h_tokens'],
    ['prompt_tokens_details', 'cache_creation_token_details', 'ephemeral_1h_input_tokens'],
  ],
  reasoning: [['reasoning_tokens'], ['reasoningTokens']],
}
