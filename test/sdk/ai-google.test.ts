/** An unchanged program, written against `ai` and `@ai-sdk/google`, gets the same through a mount, and its tokens are counted right. */
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { askOf, isAiError, leaveAi, streamOf, toolsOf } from '../support/vendors/ai.ts'
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
  asks: {
    'an answer': [(google) => askOf(google(MODEL)), USED],
    'a streamed answer': [(google) => streamOf(google(MODEL)), USED],
    'a call of a tool': [(google) => toolsOf(google(MODEL)), USED],
    'a streamed call of a tool': [(google) => toolsOf(google(MODEL), true), USED],
  },
  leave: (google) => leaveAi(google(STALLING)),
  leftInput: 220,
  exhausted: {
    whole: (google) => askOf(google(MODEL)),
    streamed: (google) => streamOf(google(MODEL)),
  },
  isOwnError: isAiError,
})
