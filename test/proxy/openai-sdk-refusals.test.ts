/** What the `openai` package makes of being refused, and what becomes of a stream that its reader leaves. */
import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { TELL_TALE } from '../support/api-server.ts'
import { callsOf, settled, until } from '../support/books.ts'
import { LIMITS, startOpenAiMount } from '../support/openai-mount.ts'
import { STALLING } from '../support/openai-server.ts'
import { expectLeftAsEstimated } from '../support/sdk-calls.ts'

const { api, server, direct, holder } = await startOpenAiMount()

const messages = [{ role: 'user' as const, content: 'Wie heißt die Hauptstadt von 日本?' }]
const CHAT = { model: 'gpt-4o', messages }
const STREAM = { ...CHAT, stream: true as const }
const COUNTED = { ...STREAM, stream_options: { include_usage: true } }
const INPUT = { model: 'gpt-4o', input: 'Was ist „groß“?' }

async function all<T>(items: PromiseLike<AsyncIterable<T>>): Promise<T[]> {
  return Array.fromAsync(await items)
}

describe('a key with nothing left raises the SDK’s RateLimitError at once, without a retry,', () => {
  const ended: Readonly<Record<string, Record<string, unknown>>> = {
    'in requests': { quota: 1 },
    'in tokens': { limits: [{ unit: 'tokens', amount: 200, window: 'lifetime' }] },
    'in money': { limits: [{ unit: 'cost', amount: 1_500, window: 'lifetime' }] },
    'for this month': { limits: [{ unit: 'tokens', amount: 200, window: 'month' }] },
  }
  for (const [what, fields] of Object.entries(ended)) {
    test(what, async () => {
      const { client, id, sent } = await holder(fields)
      const ask = (stream: boolean) =>
        client.chat.completions.create({ ...CHAT, max_tokens: 100, stream })
      await ask(false)
      await settled(server)
      const [before, reached] = [sent(), api.asked.length]
      for (const stream of [false, true]) {
        const error = await ask(stream).catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(OpenAI.RateLimitError)
        expect(error).toMatchObject({ status: 429, code: 'insufficient_quota' })
      }
      expect([sent() - before, api.asked.length - reached]).toEqual([2, 0])
      expect(await callsOf(server, id)).toHaveLength(1)
    })
  }
})

test('a key that is busy is tried again by the SDK, and gets its answer', async () => {
  const { client, sent } = await holder({ concurrency: 1 })
  const stream = await client.chat.completions.create({ ...STREAM, model: STALLING })
  const answer = client.chat.completions.create(CHAT)
  await until(() => sent() === 2)
  await Bun.sleep(100)
  stream.controller.abort()
  expect((await answer).choices).toHaveLength(1)
  expect(sent()).toBe(3)
})

test('a scope on models shows and allows no others', async () => {
  const { client, id, sent } = await holder({ models: ['gpt-4o-mini', 'text-*'] })
  const before = api.asked.length
  for (const ask of [
    () => client.chat.completions.create(CHAT),
    () => client.responses.create({ ...INPUT, stream: true }),
  ]) {
    const error = await ask().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error).toMatchObject({ status: 403, code: 'model_not_allowed' })
  }
  // As the API answers for a model that is not there.
  const unknown = await client.models.retrieve('gpt-4o').catch((thrown: unknown) => thrown)
  expect(unknown).toBeInstanceOf(OpenAI.NotFoundError)
  expect([sent(), api.asked.length - before]).toEqual([3, 0])
  expect(await callsOf(server, id)).toEqual([])

  const models = await all(client.models.list())
  expect(models.map((model) => model.id)).toEqual(['gpt-4o-mini', 'text-embedding-3-small'])
  const mini = { ...CHAT, model: 'gpt-4o-mini' }
  expect(await client.chat.completions.create(mini)).toEqual(
    await direct.chat.completions.create(mini),
  )
})

test('an alias is listed, may be asked for, and reaches the API by its real name', async () => {
  const { client, id } = await holder({ models: ['fast'] }, '/named')
  expect((await all(client.models.list())).map((model) => model.id)).toEqual(['fast'])
  const mini = { ...COUNTED, model: 'gpt-4o-mini' }
  const expected = await all(direct.chat.completions.create(mini))
  expect(await all(client.chat.completions.create({ ...mini, model: 'fast' }))).toEqual(expected)
  expect(api.asked.at(-1)?.json).toEqual(mini)
  expect((await callsOf(server, id))[0]?.model).toBe('gpt-4o-mini-2026-08-06')
  const error = await client.chat.completions.create(mini).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
})

test('a credential that the API refuses is the operator’s trouble: the holder reads nothing of it', async () => {
  const { client, sent } = await holder({}, '/mistaken')
  const error = await client.chat.completions.create(CHAT).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ status: 502, code: 'upstream_credential_rejected' })
  expect(String(error) + JSON.stringify(error)).not.toContain(TELL_TALE)
  expect(sent()).toBe(1)
})

test('a stream that its reader leaves half-way is ended at the API when that falls silent, and charged once, as estimated', async () => {
  for (const leave of ['break', 'abort']) {
    const { client, id } = await holder({ limits: LIMITS })
    const before = api.left.length
    const stalling = { ...STREAM, model: STALLING, max_tokens: 500 }
    const stream = await client.chat.completions.create(stalling)
    let chunks = 0
    for await (const _ of stream) {
      if (++chunks < 3) continue
      if (leave === 'break') break
      stream.controller.abort()
    }
    await until(() => api.left.length > before, 5_000)
    await expectLeftAsEstimated(server, id, 500)
  }
}, 15_000)
