/** An unchanged program, written against `@anthropic-ai/sdk`, gets the same through an upstream's name, and its tokens are counted right. */
import { describe, expect, test } from 'bun:test'
import Anthropic from '@anthropic-ai/sdk'
import { ANTHROPIC_CREDENTIAL, STALLING, startAnthropic } from '../support/anthropic-server.ts'
import { TELL_TALE } from '../support/api-server.ts'
import { callsOf, settled, until, usedByLimit } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { expectLeftAsEstimated, expectSame } from '../support/sdk-calls.ts'
import { issueKey, startServer } from '../support/server.ts'

const api = startAnthropic()
const server = await startServer()
const shared = {
  base_url: api.url,
  prices: [{ model: 'claude-*', input: 3_000_000, cached_input: 300_000, output: 15_000_000 }],
}
const header = 'x-api-key'
const credential = { secret: ANTHROPIC_CREDENTIAL, header }
await addUpstream(server, { name: 'anthropic', ...shared, credential })
await addUpstream(server, { name: 'mistaken', ...shared, credential: { secret: 'sk-no', header } })
const direct = new Anthropic({ baseURL: api.url, apiKey: ANTHROPIC_CREDENTIAL })

/** Who has a key, and a client that counts what it sends. */
async function holder(fields: Record<string, unknown> = {}, upstream = 'anthropic') {
  const { key, id } = await issueKey(server, fields)
  let sent = 0
  const count = (url: string | URL | Request, init?: RequestInit) => {
    sent++
    return fetch(url, init)
  }
  const client = new Anthropic({
    baseURL: `${server.url}/u/${upstream}`,
    apiKey: key,
    fetch: count,
  })
  return { key, id, client, sent: () => sent }
}

const LIMITS = [
  { name: 'tokens', unit: 'tokens', amount: 1_000_000, window: 'lifetime' },
  { name: 'money', unit: 'cost', amount: 1_000_000, window: 'lifetime' },
]

const ask = { role: 'user' as const, content: 'Wie heißt die Hauptstadt von 日本?' }
const MESSAGE = { model: 'claude-opus-5', max_tokens: 100, messages: [ask] }
const STREAM = { ...MESSAGE, stream: true as const }
const tools = [{ name: 'weather', input_schema: { type: 'object' as const } }]

type Ask = (client: Anthropic) => Promise<unknown>

const METERED: Readonly<Record<string, Ask>> = {
  'a message': (client) => client.messages.create(MESSAGE),
  'a streamed message, event by event': async (client) =>
    Array.fromAsync(await client.messages.create(STREAM)),
  'a streamed message that the SDK puts together': (client) =>
    client.messages.stream(MESSAGE).finalMessage(),
  'a call of a tool': (client) => client.messages.create({ ...MESSAGE, tools }),
  'a streamed call of a tool': (client) =>
    client.messages.stream({ ...MESSAGE, tools }).finalMessage(),
}

const FREE: Readonly<Record<string, Ask>> = {
  'a count of tokens': ({ messages }) =>
    messages.countTokens({ model: MESSAGE.model, messages: [ask] }),
  'the models': async (client) => Array.fromAsync(client.models.list()),
  'an error of the API': (client) =>
    client.models.retrieve('nil').catch(({ status, type, message }) => [status, type, message]),
}

describe('the same as without the proxy is the result of', () => {
  for (const [what, ask] of Object.entries({ ...METERED, ...FREE })) {
    test(what, async () => {
      const { client } = await holder()
      await expectSame(api, ask, { direct, proxied: client })
    })
  }
})

describe('charged to the unit, what was cached among it, is', () => {
  for (const [what, ask] of Object.entries(METERED)) {
    test(what, async () => {
      const { client, id } = await holder({ limits: LIMITS })
      const isTool = what.endsWith('tool')
      const { usage } = await direct.messages.create(isTool ? { ...MESSAGE, tools } : MESSAGE)
      await ask(client)
      const cached = usage.cache_read_input_tokens ?? -1
      const fresh = usage.input_tokens + (usage.cache_creation_input_tokens ?? -1)
      const output = usage.output_tokens
      const tokens = fresh + cached + output
      const cost = Math.ceil(fresh * 3 + (cached * 3) / 10 + output * 15)
      expect(await callsOf(server, id)).toMatchObject([
        {
          outcome: 'answered',
          tokens: { charged: tokens, input: fresh + cached, output, cached, reasoning: 0 },
          cost: { charged: cost },
          model: 'claude-opus-5-20260219',
          estimated: false,
        },
      ])
      expect(await usedByLimit(server, id)).toEqual({ quota: 1, tokens, money: cost })
    })
  }
})

test('a client that sends its key as x-api-key is let in too, and its key goes no further', async () => {
  const { key } = await holder()
  const client = new Anthropic({
    baseURL: `${server.url}/u/anthropic`,
    apiKey: null,
    defaultHeaders: { 'x-api-key': key },
  })
  expect(await client.messages.create(MESSAGE)).toEqual(await direct.messages.create(MESSAGE))
  const headers = api.asked.at(-2)?.headers
  expect(headers?.get('x-api-key')).toBe(ANTHROPIC_CREDENTIAL)
  expect(JSON.stringify([...(headers ?? [])])).not.toContain(key)
})

test('what only reads or counts costs no tokens, and is not taken for a guess', async () => {
  const { client, id } = await holder({ limits: LIMITS })
  for (const ask of Object.values(FREE)) await ask(client)
  expect(await usedByLimit(server, id)).toEqual({ quota: 3, tokens: 0, money: 0 })
  const calls = await callsOf(server, id)
  expect(calls.map(({ estimated }) => estimated)).toEqual([false, false, false])
})

test('a key with nothing left raises the SDK’s RateLimitError at once, without a retry', async () => {
  const limits = [{ unit: 'tokens', amount: 500, window: 'lifetime' }]
  const { client, id, sent } = await holder({ limits })
  await client.messages.create(MESSAGE)
  await settled(server)
  const [before, reached] = [sent(), api.asked.length]
  for (const stream of [false, true]) {
    const error = await client.messages
      .create({ ...MESSAGE, stream })
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Anthropic.RateLimitError)
    expect(error).toMatchObject({ status: 429, type: 'rate_limit_error' })
    expect(error).toMatchObject({ error: { error: { code: 'insufficient_quota' } } })
    expect(String(error)).toContain('Quota exhausted')
  }
  expect([sent() - before, api.asked.length - reached]).toEqual([2, 0])
  expect(await callsOf(server, id)).toHaveLength(1)
})

test('a model outside the scope of the key raises PermissionDeniedError, and reaches nobody', async () => {
  const { client, sent } = await holder({ models: ['claude-haiku-*'] })
  const before = api.asked.length
  const error = await client.messages.create(MESSAGE).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
  expect([sent(), api.asked.length - before]).toEqual([1, 0])
})

test('a credential that the API refuses is the operator’s trouble: the holder reads nothing of it', async () => {
  const { client, sent } = await holder({}, 'mistaken')
  const error = await client.messages.create(MESSAGE).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    status: 502,
    error: { error: { code: 'upstream_credential_rejected' } },
  })
  expect(String(error) + JSON.stringify(error)).not.toContain(TELL_TALE)
  expect(sent()).toBe(1)
})

test('a stream that its reader leaves half-way is ended at the API when that falls silent, and charged once, as estimated', async () => {
  const { client, id } = await holder({ limits: LIMITS })
  const before = api.left.length
  const stream = await client.messages.create({ ...STREAM, model: STALLING })
  let events = 0
  for await (const _ of stream) if (++events === 3) break
  await until(() => api.left.length > before, 5_000)
  await expectLeftAsEstimated(server, id, 100)
})
