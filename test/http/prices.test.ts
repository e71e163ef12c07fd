/** Prices as the admin API takes and shows them. */
import { expect, test } from 'bun:test'
import { testDatabase } from '../support/database.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
const WHOLE = {
  model: 'claude-*', input: 1, cached_input: 2, cache_write_5m: 3, cache_write_1h: 4, output: 5, reasoning: 6, audio_input: 7,
  audio_output: 8, image_input: 9, image_output: 10,
  long_context: { above: 200_000, input: 11, output: 12, cached_input: 13, cache_write_5m: 14, cache_write_1h: 15, reasoning: 16 },
  per_call: 17, per_image: 18, per_second: 19,
} // biome-ignore format: one price

type Upstream = { prices: object[] }
type Problem = { code: string; errors: { path: string; message: string }[] }

async function send<T>(method: string, path: string, body?: unknown) {
  const answer = await server.admin(method, `/admin/upstreams${path}`, body)
  return { status: answer.status, body: (await answer.json()) as T }
}

const create = <T = Upstream>(name: string, prices: unknown) =>
  send<T>('POST', '', { name, base_url: 'https://a.example', prices })

test('every member is shown as it was given, and none that was not', async () => {
  const plain = { model: '*', input: 0, output: 0 }
  expect((await create('whole', [WHOLE, plain])).body.prices).toEqual([WHOLE, plain])
  expect((await send<Upstream>('GET', '/whole')).body.prices).toEqual([WHOLE, plain])
  const changed = await send<Upstream>('PATCH', '/whole', { prices: [plain] })
  expect(changed.body.prices).toEqual([plain])
})

test('what is no price is refused, and its place is named', async () => {
  const base = { model: 'm', input: 1, output: 1 }
  for (const [price, path] of [
    [{ ...base, cache_write_5m: -1 }, 'prices.0.cache_write_5m'],
    [{ ...base, per_image: 1.5 }, 'prices.0.per_image'],
    [{ ...base, reasoning: null }, 'prices.0.reasoning'],
    [{ ...base, audio_input: 1e12 + 1 }, 'prices.0.audio_input'],
    [{ ...base, cachedInput: 1 }, 'prices.0'],
    [{ ...base, long_context: { input: 1, output: 1 } }, 'prices.0.long_context'],
    [{ ...base, long_context: { above: 0, input: 1, output: 1 } }, 'prices.0.long_context.above'],
    [{ ...base, long_context: { above: 1, input: 1, output: 1, per_call: 1 } }, 'prices.0.long_context'],
    [{ model: '!m', input: 1, output: 1 }, 'prices.0.model'],
  ] as const) {
    const { status, body } = await create<Problem>('bad', [price])
    expect([status, body.code]).toEqual([422, 'validation_failed'])
    expect(body.errors.map((error) => error.path).join()).toStartWith(path)
  } // biome-ignore format: a table
})

test('a list that an older version stored is in force as it was', async () => {
  await create('old', [])
  const stored = [
    { model: 'gpt-4o*', input: 2_500_000, cachedInput: 1_250_000, output: 10_000_000 },
    { model: '*', input: 1, output: 1 },
  ]
  await testDatabase({ path: server.database }).run(
    `INSERT INTO price_lists (upstream, at, prices) VALUES ('old', 1, '${JSON.stringify(stored)}')`,
  )
  // Any change makes the server read the upstreams anew.
  const { body } = await send<Upstream>('PATCH', '/old', { retry_connect: true })
  expect(body.prices).toEqual([
    { model: 'gpt-4o*', input: 2_500_000, cached_input: 1_250_000, output: 10_000_000 },
    { model: '*', input: 1, output: 1 },
  ])
})
