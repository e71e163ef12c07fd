/** What money limits see of the models that holders choose: each is charged by its own price, and none is free by omission. */
import { afterAll, expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
/** The model and the usage that the upstream answers with, and the models that it was asked for. */
let answer: { model: string; usage: object } = { model: '', usage: {} }
const seen: unknown[] = []
const upstream = Bun.serve({
  port: 0,
  async fetch(request) {
    seen.push(((await request.json().catch(() => ({}))) as { model?: unknown }).model)
    return Response.json({ object: 'chat.completion', choices: [], ...answer })
  },
})
afterAll(() => upstream.stop(true))

let made = 0

/** An upstream with these prices, and a key with these limits beside an unlimited quota. */
async function open(fields: object, limits: readonly object[]) {
  const name = `u${++made}`
  const base_url = `http://127.0.0.1:${upstream.port}/v1`
  const body = { name, base_url, credential: { secret: 'sk-operator' }, ...fields }
  expect((await server.admin('POST', '/admin/upstreams', body)).status).toBe(201)
  const issued = await server.admin('POST', '/admin/keys', { name, quota: null, limits })
  const { id, key } = (await issued.json()) as { id: string; key: string }
  const call = (request: object, path = '/chat/completions', init: RequestInit = {}) =>
    fetch(`${server.url}/u/${name}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify(request),
      ...init,
    })
  const used = async () => {
    await settled(server)
    const found = await server.admin('GET', `/admin/keys/${id}`)
    const { limits: all } = (await found.json()) as { limits: { unit: string; used: number }[] }
    return all.find(({ unit }) => unit === 'cost')?.used
  }
  return { name, id, key, call, used }
}

const MONEY = [{ unit: 'cost', amount: 1_000_000_000, window: 'month' }]
const thousand = { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 }
const said = (content = 'hi') => [{ role: 'user', content }]

async function code(response: Response): Promise<string | undefined> {
  return ((await response.json()) as { error?: { code?: string } }).error?.code
}

test('a model without a price is refused before it goes out, for a key with a limit in money', async () => {
  const prices = [{ model: 'gpt-4o*', input: 1_000_000, output: 5_000_000 }]
  const { call, used } = await open({ prices }, MONEY)
  seen.length = 0
  for (let times = 0; times < 3; times++) {
    const refused = await call({ model: 'gpt-5-pro', messages: [] })
    expect([refused.status, await code(refused)]).toEqual([403, 'model_not_priced'])
  }
  expect((await call({ messages: [] })).status).toBe(403)
  expect((await call({ model: 'gpt-4o', models: ['gpt-5-pro'], messages: [] })).status).toBe(403)
  expect([seen.length, await used()]).toEqual([0, 0])
  answer = { model: 'gpt-4o', usage: thousand }
  expect((await call({ model: 'gpt-4o', messages: said() })).status).toBe(200)
  expect(await used()).toBe(6000)
})

test('so is every model of an upstream without prices, and none whose price is 0', async () => {
  const none = await open({}, MONEY)
  expect((await none.call({ model: 'gpt-4o', messages: [] })).status).toBe(403)
  const free = await open({ prices: [{ model: '*', input: 0, output: 0 }] }, MONEY)
  answer = { model: 'gpt-4o', usage: thousand }
  expect((await free.call({ model: 'gpt-4o', messages: said() })).status).toBe(200)
  expect(await free.used()).toBe(0)
})

test('keys without a limit in money, calls that do no work, and other meters need no price', async () => {
  answer = { model: 'gpt-4o', usage: thousand }
  const request = { model: 'gpt-4o', messages: said() }
  const tokens = await open({}, [{ unit: 'tokens', amount: 1_000_000, window: 'day' }])
  expect((await tokens.call(request)).status).toBe(200)
  const unlimited = await open({}, [{ unit: 'cost', amount: null, window: 'month' }])
  expect((await unlimited.call(request)).status).toBe(200)
  const money = await open({}, MONEY)
  expect((await money.call(request, '/messages/count_tokens')).status).toBe(200)
  const nothing = await money.call(request, '/responses/resp_1/cancel', { body: null })
  expect(nothing.status).toBe(200)
  const json = { kind: 'json', path: '$.usage.total_tokens', unit: 'cost', estimate: 1 }
  const points = await open({ meter: json }, MONEY)
  expect((await points.call(request)).status).toBe(200)
  expect(await points.used()).toBe(2000)
  const uncounted = await open({ meter: { kind: 'none' } }, MONEY)
  expect((await uncounted.call(request)).status).toBe(200)
})

test('a limit in money that comes or goes counts from the next call on, and so does a price', async () => {
  answer = { model: 'gpt-4o', usage: thousand }
  const request = { model: 'gpt-4o', messages: said() }
  const { id, name, call } = await open({}, [])
  expect((await call(request)).status).toBe(200)
  await server.admin('PATCH', `/admin/keys/${id}`, { limits: MONEY })
  expect((await call(request)).status).toBe(403)
  const prices = [{ model: 'gpt-4o', input: 1, output: 1 }]
  await server.admin('PATCH', `/admin/upstreams/${name}`, { prices })
  expect((await call(request)).status).toBe(200)
  await server.admin('PATCH', `/admin/upstreams/${name}`, { prices: [] })
  expect((await call(request)).status).toBe(403)
  await server.admin('PATCH', `/admin/keys/${id}`, { limits: [] })
  expect((await call(request)).status).toBe(200)
})

test('an answer is charged by the model that did the work, and reserved by the dearest that may', async () => {
  const prices = [
    { model: 'gpt-4o-mini*', input: 150_000, output: 600_000 },
    { model: 'gpt-5-pro*', input: 15_000_000, output: 120_000_000 },
  ]
  const { call, used } = await open({ prices }, MONEY)
  answer = { model: 'gpt-5-pro', usage: thousand }
  await call({ model: 'gpt-4o-mini', models: ['gpt-5-pro'], messages: said() })
  expect(await used()).toBe(135_000)
  const small = await open({ prices }, [{ unit: 'cost', amount: 100_000, window: 'month' }])
  const request = { model: 'gpt-4o-mini', messages: said(), max_tokens: 1000 }
  answer = { model: 'gpt-4o-mini-2024-07-18', usage: thousand }
  expect((await small.call(request)).status).toBe(200)
  expect(await small.used()).toBe(750)
  expect((await small.call({ ...request, models: ['gpt-5-pro'] })).status).toBe(429)
})

test('a price may stand under the name that clients use', async () => {
  const prices = [
    { model: 'fast', input: 1_000_000, output: 5_000_000 },
    { model: '*', input: 9_000_000, output: 9_000_000 },
  ]
  const { call, used } = await open({ prices, model_aliases: { fast: 'gpt-4o-mini' } }, MONEY)
  answer = { model: 'gpt-4o-mini-2024', usage: thousand }
  await call({ model: 'fast', messages: said() })
  expect([seen.at(-1), await used()]).toEqual(['gpt-4o-mini', 6000])
})
