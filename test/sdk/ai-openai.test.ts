/** An unchanged program, written against `ai` and `@ai-sdk/openai`, gets the same through a mount, and its tokens are counted right. */
import { createOpenAI } from '@ai-sdk/openai'
import { OPENAI_CREDENTIAL, STALLING, startOpenAi } from '../support/openai-server.ts'
import { askingAi, askOf, streamOf, usedOf } from '../support/vendors/ai.ts'
import { testSdk } from '../support/vendors/sdk.ts'

type Provider = ReturnType<typeof createOpenAI>

const chats = askingAi<Provider>((openai, name) => openai.chat(name), ['gpt-4o', STALLING])

await testSdk<Provider>({
  api: startOpenAi(),
  base: '/v1',
  credential: { secret: OPENAI_CREDENTIAL },
  connect: (baseURL, apiKey) => createOpenAI({ baseURL, apiKey }),
  ...chats,
  asks: {
    ...chats.asks,
    'a response': [(openai) => askOf(openai('gpt-4o')), usedOf],
    'a streamed response': [(openai) => streamOf(openai('gpt-4o')), usedOf],
  },
  leftInput: 0,
  exhausted: { ...chats.exhausted, 'a response': (openai) => askOf(openai('gpt-4o')) },
})
