/** An unchanged program, written against the `openai` package, gets the same through a mount, and its tokens are counted right. */
import { describe, expect, test } from 'bun:test'
import type OpenAI from 'openai'
import { toFile } from 'openai'
import { callsOf, usedByLimit } from '../support/books.ts'
import { LIMITS, startOpenAiMount } from '../support/openai-mount.ts'
import { expectSame } from '../support/sdk-calls.ts'

const { api, server, direct, holder } = await startOpenAiMount()

const messages = [{ role: 'user' as const, content: 'Wie heißt die Hauptstadt von 日本?' }]
const CHAT = { model: 'gpt-4o', messages }
const STREAM = { ...CHAT, stream: true as const }
const COUNTED = { ...STREAM, stream_options: { include_usage: true } }
const INPUT = { model: 'gpt-4o', input: 'Was ist „groß“?' }
const TEXTS = { model: 'text-embedding-3-small', input: ['eins', 'zwei', 'drei'] }
const tool = {
  type: 'function' as const,
  function: {
    name: 'weather',
    parse: (text: string) => JSON.parse(text) as { city: string },
    function: ({ city }: { city: string }) => `${city}: 21 °C`,
    description: 'The weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}
const tools = [{ type: 'function' as const, function: { name: 'weather' } }]
const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 256)

type Ask = (client: OpenAI) => Promise<unknown>

async function all<T>(items: PromiseLike<AsyncIterable<T>>): Promise<T[]> {
  return Array.fromAsync(await items)
}

const ASKS: Readonly<Record<string, Ask>> = {
  'a chat': (client) => client.chat.completions.create(CHAT),
  'a streamed chat, chunk by chunk': (client) => all(client.chat.completions.create(COUNTED)),
  'a call of a tool': (client) => client.chat.completions.create({ ...CHAT, tools }),
  'a streamed call of a tool': (client) =>
    all(client.chat.completions.create({ ...COUNTED, tools })),
  'a conversation with tools': (client) =>
    client.chat.completions.runTools({ ...CHAT, tools: [tool] }).finalContent(),
  embeddings: (client) => client.embeddings.create(TEXTS),
  'embeddings as numbers': (client) =>
    client.embeddings.create({ ...TEXTS, encoding_format: 'float' }),
  'a response': (client) => client.responses.create(INPUT),
  'a streamed response, event by event': (client) =>
    all(client.responses.create({ ...INPUT, stream: true })),
  'an image': (client) => client.images.generate({ model: 'gpt-image-1', prompt: 'ein Haus' }),
  'the models': (client) => all(client.models.list()),
  'one model': (client) => client.models.retrieve('gpt-4o'),
  'an upload': async (client) =>
    client.files.create({ file: await toFile(bytes, 'größe.bin'), purpose: 'user_data' }),
  'a deletion': (client) => client.files.delete('file-1'),
  'an error of the API': (client) =>
    client.models.retrieve('gpt-nil').catch(({ status, code, message }) => [status, code, message]),
}

describe('the same as without the proxy is the result of', () => {
  for (const [what, ask] of Object.entries(ASKS)) {
    test(what, async () => {
      const { client } = await holder()
      await expectSame(api, ask, { direct, proxied: client })
    })
  }

  test('a streamed chat that does not ask for its usage', async () => {
    const { client } = await holder()
    const expected = await all(direct.chat.completions.create(STREAM))
    const chunks = await all(client.chat.completions.create(STREAM))
    // OpenAI writes `"usage": null` into each chunk once anybody asks for usage, as the proxy did.
    expect(chunks).toEqual(expected.map((chunk) => ({ ...chunk, usage: null })))
  })

  test('a streamed chat that the SDK puts together', async () => {
    const { client } = await holder()
    const ask = (one: OpenAI) => one.chat.completions.stream(CHAT).finalChatCompletion()
    const { usage, ...completion } = await ask(client)
    expect<unknown>(completion).toEqual(await ask(direct))
    expect(usage ?? null).toBe(null)
  })
})

type ChatUsage = OpenAI.CompletionUsage | null | undefined
type Used = { input: number; output: number; cached: number; reasoning: number }

const ofChat = (usage: ChatUsage): Used => ({
  input: usage?.prompt_tokens ?? -1,
  output: usage?.completion_tokens ?? -1,
  cached: usage?.prompt_tokens_details?.cached_tokens ?? -1,
  reasoning: usage?.completion_tokens_details?.reasoning_tokens ?? -1,
})
const ofResponse = (usage: OpenAI.Responses.ResponseUsage | null | undefined): Used => ({
  input: usage?.input_tokens ?? -1,
  output: usage?.output_tokens ?? -1,
  cached: usage?.input_tokens_details.cached_tokens ?? -1,
  reasoning: usage?.output_tokens_details.reasoning_tokens ?? -1,
})

/** What is asked through the proxy, and what the API itself says that it uses. */
const METERED: Readonly<Record<string, readonly [Ask, (client: OpenAI) => Promise<Used>]>> = {
  'a chat': [
    (client) => client.chat.completions.create(CHAT),
    async (client) => ofChat((await client.chat.completions.create(CHAT)).usage),
  ],
  'a streamed chat': [
    (client) => all(client.chat.completions.create(COUNTED)),
    async (client) => ofChat((await all(client.chat.completions.create(COUNTED))).at(-1)?.usage),
  ],
  'a streamed chat that does not ask for its usage': [
    (client) => all(client.chat.completions.create(STREAM)),
    async (client) => ofChat((await all(client.chat.completions.create(COUNTED))).at(-1)?.usage),
  ],
  'a call of a tool': [
    (client) => all(client.chat.completions.create({ ...STREAM, tools })),
    async (client) => ofChat((await client.chat.completions.create({ ...CHAT, tools })).usage),
  ],
  'a response': [
    (client) => client.responses.create(INPUT),
    async (client) => ofResponse((await client.responses.create(INPUT)).usage),
  ],
  'a streamed response': [
    (client) => all(client.responses.create({ ...INPUT, stream: true })),
    async (client) => ofResponse((await client.responses.create(INPUT)).usage),
  ],
  embeddings: [
    (client) => client.embeddings.create(TEXTS),
    async (client) => {
      const { usage } = await client.embeddings.create(TEXTS)
      return { input: usage.prompt_tokens, output: 0, cached: 0, reasoning: 0 }
    },
  ],
  'an image': [
    (client) => client.images.generate({ model: 'gpt-image-1', prompt: 'ein Haus' }),
    async () => ({ input: 11, output: 1056, cached: 0, reasoning: 0 }),
  ],
}

describe('charged to the unit, in tokens and in money, is', () => {
  for (const [what, [ask, usage]] of Object.entries(METERED)) {
    test(what, async () => {
      const { client, id } = await holder({ limits: LIMITS })
      const used = await usage(direct)
      await ask(client)
      const tokens = used.input + used.output
      const cost = Math.ceil(
        (used.input - used.cached) * 2.5 + used.cached * 1.25 + used.output * 10,
      )
      const requests = what === 'an image' ? 10 : 1
      expect(await callsOf(server, id)).toMatchObject([
        {
          upstream: 'openai',
          // Who has read [DONE] may leave before the answer has formally ended; the charge is the same.
          outcome: expect.stringMatching(/^(?:answered|client_aborted)$/),
          requests: { charged: requests },
          tokens: { charged: tokens, ...used },
          cost: { charged: cost },
          estimated: false,
          price_list: expect.any(Number),
        },
      ])
      expect(await usedByLimit(server, id)).toEqual({ quota: requests, tokens, money: cost })
    })
  }
})

test('what reads, deletes or judges costs no tokens, and is not taken for a guess', async () => {
  const { client, id } = await holder({ limits: LIMITS })
  await client.models.list()
  await client.models.retrieve('gpt-4o')
  await client.files.delete('file-1')
  await client.moderations.create({ input: 'gut' })
  expect(await usedByLimit(server, id)).toEqual({ quota: 4, tokens: 0, money: 0 })
  const calls = await callsOf(server, id)
  expect(calls.map(({ estimated }) => estimated)).toEqual([false, false, false, false])
})
