/** An unchanged program, written against `ai` and `@ai-sdk/google`, gets the same through a mount, and its tokens are counted right. */
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { askingAi } from '../support/vendors/ai.ts'
import {
  GEMINI_CREDENTIAL,
  MODEL,
  STALLING,
  startGemini,
  USED,
} from '../support/vendors/gemini-server.ts'
import { testSdk } from '../support/vendors/sdk.ts'

type Provider = ReturnType<typeof createGoogleGenerativeAI>

await testSdk<Provider>({
  api: startGemini(),
  base: '/v1beta',
  credential: { secret: GEMINI_CREDENTIAL, header: 'x-goog-api-key' },
  connect: (baseURL, apiKey) => createGoogleGenerativeAI({ baseURL, apiKey }),
  ...askingAi<Provider>((google, name) => google(name), [MODEL, STALLING], USED),
  leftInput: 220,
})
