import { expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })

async function credit(id: string, body: unknown) {
  const response = await server.admin('POST', `/admin/keys/${id}/credit`, body)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Calls until one is refused; how many were granted, and with what the last was refused. */
async function drain(key: string) {
  for (let granted = 0; ; granted++) {
    const response = await server.call(key, { endpoint: upstream.url })
    if (response.status !== 200) {
      const { error } = (await response.json()) as { error: { code: string; limit: number } }
      return { granted, code: error.code, limit: error.limit }
    }
    await response.body?.cancel()
  }
}

test('a credit adds exactly its units to the present period', async () => {
  const { key, id } = await issueKey(server, { quota: 2 })
  expect(await drain(key)).toMatchObject({ granted: 2, code: 'insufficient_quota' })
  expect((await credit(id, { amount: 3, reason: 'goodwill' })).body).toMatchObject({
    quota: 2,
    used: 2,
    remaining: 3,
    limits: [{ name: 'quota', amount: 2, credited: 3, used: 2, remaining: 3 }],
  })
  expect(await drain(key)).toEqual({ granted: 3, code: 'insufficient_quota', limit: 5 })
})

test('units can be taken, and what was used stays as it is', async () => {
  const { key, id } = await issueKey(server, { quota: 5 })
  await server.call(key, { endpoint: upstream.url })
  expect((await credit(id, { amount: -2 })).body).toMatchObject({ used: 1, remaining: 2 })
  expect(await drain(key)).toMatchObject({ granted: 2 })
  expect((await credit(id, { amount: -1000 })).body).toMatchObject({ used: 3, remaining: 0 })
  expect(await drain(key)).toMatchObject({ granted: 0, limit: 0 })
})

test('a reset forgets credits', async () => {
  const { key, id } = await issueKey(server, { quota: 1 })
  await credit(id, { amount: 10 })
  await server.admin('POST', `/admin/keys/${id}/reset`)
  expect(await drain(key)).toMatchObject({ granted: 1 })
})

test('a credit goes to the limit that it names, in a sliding window too', async () => {
  const { key, id } = await issueKey(server, {
    quota: 100,
    limits: [{ unit: 'requests', amount: 1, window: 'hour' }],
  })
  expect(await drain(key)).toMatchObject({ granted: 1, code: 'rate_limit_exceeded' })
  await credit(id, { amount: 2, limit: 'requests-hour' })
  expect(await drain(key)).toMatchObject({ granted: 2, code: 'rate_limit_exceeded' })
})

test.each([
  ['no amount', {}, 'amount'],
  ['nothing', { amount: 0 }, 'amount'],
  ['a fraction', { amount: 1.5 }, 'amount'],
  ['text', { amount: '5' }, 'amount'],
  ['more than can be counted', { amount: Number.MAX_SAFE_INTEGER }, 'amount'],
  ['an unknown limit', { amount: 1, limit: 'tokens-day' }, 'limit'],
  ['a reason with a line break', { amount: 1, reason: 'a\nb' }, 'reason'],
])('%s is refused and changes nothing', async (_, body, path) => {
  const { id } = await issueKey(server, { quota: 7 })
  const answer = await credit(id, body)
  expect(answer).toMatchObject({
    status: 422,
    body: { code: 'validation_failed', errors: [{ path }] },
  })
  const shown = (await (await server.admin('GET', `/admin/keys/${id}`)).json()) as object
  expect(shown).toMatchObject({ remaining: 7, limits: [{ credited: 0 }] })
})

test('an unlimited quota takes no credit, and an unknown key is not found', async () => {
  const { id } = await issueKey(server, { quota: null })
  expect(await credit(id, { amount: 1 })).toMatchObject({ status: 422 })
  expect(await credit('key_00000000000000000000', { amount: 1 })).toMatchObject({ status: 404 })
})
