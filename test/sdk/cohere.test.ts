/** An unchanged program, written against `cohere-ai`, gets the same through a mount, and its tokens are counted right. */
import { CohereClientV2, CohereError } from 'cohere-ai'
import {
  COHERE_CREDENTIAL,
  MODEL,
  STALLING,
  startCohere,
  USED,
} from '../support/vendors/cohere-server.ts'
import { all, some, testSdk } from '../support/vendors/sdk.ts'

const ASK = {
  model: MODEL,
  messages: [{ role: 'user' as const, content: 'Wie heißt die Hauptstadt von 日本?' }],
}
const tools = [
  { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } },
]

await testSdk<CohereClientV2>({
  api: startCohere(),
  base: '',
  credential: { secret: COHERE_CREDENTIAL },
  connect: (baseUrl, token) => new CohereClientV2({ token, baseUrl }),
  asks: {
    'a chat': [(client) => client.chat(ASK), USED],
    'a streamed chat': [async (client) => all(await client.chatStream(ASK)), USED],
    'a call of a tool': [(client) => client.chat({ ...ASK, tools }), USED],
    'a streamed call of a tool': [
      async (client) => all(await client.chatStream({ ...ASK, tools })),
      USED,
    ],
    embeddings: [
      (client) =>
        client.embed({
          model: 'embed-v4.0',
          texts: ['hi'],
          inputType: 'search_query',
          embeddingTypes: ['float'],
        }),
      { input: 3, output: 0 },
    ],
  },
  leave: async (client) => some(await client.chatStream({ ...ASK, model: STALLING }), 3),
  leftInput: 0,
  exhausted: {
    whole: (client) => client.chat(ASK),
    streamed: async (client) => all(await client.chatStream(ASK)),
  },
  isOwnError: (error) => error instanceof CohereError && error.statusCode === 429,
})
