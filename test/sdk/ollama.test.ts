/** An unchanged program, written against `ollama`, gets the same through a mount, and its tokens are counted right. */
import { Ollama } from 'ollama'
import {
  MODEL,
  OLLAMA_CREDENTIAL,
  STALLING,
  startOllama,
  USED,
} from '../support/vendors/ollama-server.ts'
import { all, testSdk } from '../support/vendors/sdk.ts'

const ASK = {
  model: MODEL,
  messages: [{ role: 'user', content: 'Wie heißt die Hauptstadt von 日本?' }],
}
const STREAM = { ...ASK, stream: true as const }
const tools = [
  {
    type: 'function',
    function: { name: 'weather', description: '', parameters: { type: 'object', properties: {} } },
  },
]

await testSdk<Ollama>({
  api: startOllama(),
  base: '',
  credential: { secret: OLLAMA_CREDENTIAL },
  connect: (host, key) => new Ollama({ host, headers: { authorization: `Bearer ${key}` } }),
  asks: {
    'a chat': [(client) => client.chat(ASK), USED],
    'a streamed chat': [async (client) => all(await client.chat(STREAM)), USED],
    'a call of a tool': [(client) => client.chat({ ...ASK, tools }), USED],
    'a streamed call of a tool': [
      async (client) => all(await client.chat({ ...STREAM, tools })),
      USED,
    ],
    'a completion': [(client) => client.generate({ model: MODEL, prompt: 'hi' }), USED],
    embeddings: [
      (client) => client.embed({ model: 'all-minilm', input: 'hi' }),
      { input: 8, output: 0 },
    ],
  },
  free: {
    'the models': (client) => client.list(),
    'the description of a model': (client) => client.show({ model: MODEL }),
  },
  leave: async (client) => {
    let read = 0
    const stream = await client.chat({ ...STREAM, model: STALLING })
    try {
      for await (const _ of stream) if (++read === 2) stream.abort()
    } catch (error) {
      if (!(error instanceof Error && error.name === 'AbortError')) throw error
    }
  },
  leftInput: 0,
  exhausted: {
    whole: (client) => client.chat(ASK),
    streamed: async (client) => all(await client.chat(STREAM)),
  },
  isOwnError: (error) =>
    error instanceof Error &&
    error.name === 'ResponseError' &&
    'status_code' in error &&
    error.status_code === 429,
})
