/** An unchanged program, written against `ai` and `@ai-sdk/anthropic`, gets the same through a mount, and its tokens are counted right. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { ANTHROPIC_CREDENTIAL, STALLING, startAnthropic } from '../support/anthropic-server.ts'
import { askOf, isAiError, leaveAi, streamOf, toolsOf, usedOf } from '../support/vendors/ai.ts'
import { testSdk } from '../support/vendors/sdk.ts'

type Provider = ReturnType<typeof createAnthropic>

await testSdk<Provider>({
  api: startAnthropic(),
  base: '/v1',
  credential: { secret: ANTHROPIC_CREDENTIAL, header: 'x-api-key' },
  connect: (baseURL, apiKey) => createAnthropic({ baseURL, apiKey }),
  asks: {
    'a message': [(anthropic) => askOf(anthropic('claude-opus-5')), usedOf],
    'a streamed message': [(anthropic) => streamOf(anthropic('claude-opus-5')), usedOf],
    'a call of a tool': [(anthropic) => toolsOf(anthropic('claude-opus-5')), usedOf],
    'a streamed call of a tool': [(anthropic) => toolsOf(anthropic('claude-opus-5'), true), usedOf],
  },
  leave: (anthropic) => leaveAi(anthropic(STALLING)),
  // message_start says that 340 tokens of the cache were read or written.
  leftInput: 340,
  exhausted: {
    whole: (anthropic) => askOf(anthropic('claude-opus-5')),
    streamed: (anthropic) => streamOf(anthropic('claude-opus-5')),
  },
  isOwnError: isAiError,
})
