/** An unchanged program, written against `@mistralai/mistralai`, gets the same through a mount, and its tokens are counted right. */
import { Mistral } from '@mistralai/mistralai'
import { MistralError } from '@mistralai/mistralai/models/errors'
import {
  MISTRAL_CREDENTIAL,
  MODEL,
  STALLING,
  startMistral,
  USED,
} from '../support/vendors/mistral-server.ts'
import { all, some, testSdk } from '../support/vendors/sdk.ts'

const ASK = {
  model: MODEL,
  messages: [{ role: 'user' as const, content: 'Wie heißt die Hauptstadt von 日本?' }],
}
const tools = [
  { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } },
]

await testSdk<Mistral>({
  api: startMistral(),
  base: '',
  credential: { secret: MISTRAL_CREDENTIAL },
  connect: (serverURL, apiKey) => new Mistral({ apiKey, serverURL }),
  asks: {
    'a chat': [({ chat }) => chat.complete(ASK), USED],
    'a streamed chat': [async ({ chat }) => all(await chat.stream(ASK)), USED],
    'a call of a tool': [({ chat }) => chat.complete({ ...ASK, tools }), USED],
    'a streamed call of a tool': [
      async ({ chat }) => all(await chat.stream({ ...ASK, tools })),
      USED,
    ],
    'a filled gap': [({ fim }) => fim.complete({ model: MODEL, prompt: 'def f' }), USED],
    'a filled gap, streamed': [
      async ({ fim }) => all(await fim.stream({ model: MODEL, prompt: 'def f' })),
      USED,
    ],
    embeddings: [
      ({ embeddings }) => embeddings.create({ model: 'mistral-embed', inputs: ['hi'] }),
      { input: 5, output: 0 },
    ],
  },
  leave: async ({ chat }) => some(await chat.stream({ ...ASK, model: STALLING }), 2),
  leftInput: 0,
  exhausted: {
    whole: ({ chat }) => chat.complete(ASK),
    streamed: async ({ chat }) => all(await chat.stream(ASK)),
  },
  isOwnError: (error) => error instanceof MistralError && error.statusCode === 429,
})
