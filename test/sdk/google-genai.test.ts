/** An unchanged program, written against `@google/genai`, gets the same through a mount, and its tokens are counted right. */
import { ApiError, GoogleGenAI } from '@google/genai'
import {
  GEMINI_CREDENTIAL,
  MODEL,
  STALLING,
  startGemini,
  USED,
} from '../support/vendors/gemini-server.ts'
import { all, testSdk } from '../support/vendors/sdk.ts'

const ASK = { model: MODEL, contents: 'Wie heißt die Hauptstadt von 日本?' }
const config = {
  tools: [
    { functionDeclarations: [{ name: 'weather', parametersJsonSchema: { type: 'object' } }] },
  ],
}
/** Answers hold how they came, which differs with each. */
const plain = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value, (name, inner) => (name === 'sdkHttpResponse' ? undefined : inner)),
  )

await testSdk<GoogleGenAI>({
  api: startGemini(),
  base: '',
  credential: { secret: GEMINI_CREDENTIAL, header: 'x-goog-api-key' },
  connect: (baseUrl, apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl } }),
  asks: {
    'an answer': [async ({ models }) => plain(await models.generateContent(ASK)), USED],
    'a streamed answer': [
      async ({ models }) => plain(await all(await models.generateContentStream(ASK))),
      USED,
    ],
    'a call of a tool': [
      async ({ models }) => plain(await models.generateContent({ ...ASK, config })),
      USED,
    ],
    'a streamed call of a tool': [
      async ({ models }) =>
        plain(await all(await models.generateContentStream({ ...ASK, config }))),
      USED,
    ],
  },
  free: {
    'a count of tokens': async ({ models }) => plain(await models.countTokens(ASK)),
  },
  leave: async ({ models }) => {
    const controller = new AbortController()
    const { signal } = controller
    const ask = { ...ASK, model: STALLING, config: { abortSignal: signal } }
    let read = 0
    try {
      for await (const _ of await models.generateContentStream(ask))
        if (++read === 2) controller.abort()
    } catch (error) {
      if (!signal.aborted) throw error
    }
  },
  leftInput: 220,
  exhausted: {
    whole: ({ models }) => models.generateContent(ASK),
    streamed: async ({ models }) => all(await models.generateContentStream(ASK)),
  },
  isOwnError: (error) => error instanceof ApiError && error.status === 429,
})
