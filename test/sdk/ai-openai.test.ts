/** An unchanged program, written against `ai` and `@ai-sdk/openai`, gets the same through a mount, and its tokens are counted right. */
import { createOpenAI } from '@ai-sdk/openai'
import { OPENAI_CREDENTIAL, STALLING, startOpenAi } from '../support/openai-server.ts'
import { askOf, isAiError, leaveAi, streamOf, toolsOf, usedOf } from '../support/vendors/ai.ts'
import { testSdk } from '../support/vendors/sdk.ts'

type Provider = ReturnType<typeof createOpenAI>

await testSdk<Provider>({
  api: startOpenAi(),
  base: '/v1',
  credential: { secret: OPENAI_CREDENTIAL },
  connect: (baseURL, apiKey) => createOpenAI({ baseURL, apiKey }),
  asks: {
    'a response': [(openai) => askOf(openai('gpt-4o')), usedOf],
    'a streamed response': [(openai) => streamOf(openai('gpt-4o')), usedOf],
    'a chat': [(openai) => askOf(openai.chat('gpt-4o')), usedOf],
    'a streamed chat': [(openai) => streamOf(openai.chat('gpt-4o')), usedOf],
    'a call of a tool': [(openai) => toolsOf(openai.chat('gpt-4o')), usedOf],
    'a streamed call of a tool': [(openai) => toolsOf(openai.chat('gpt-4o'), true), usedOf],
  },
  leave: (openai) => leaveAi(openai.chat(STALLING)),
  leftInput: 0,
  exhausted: {
    'a response': (openai) => askOf(openai('gpt-4o')),
    'a streamed chat': (openai) => streamOf(openai.chat('gpt-4o')),
  },
  isOwnError: isAiError,
})
