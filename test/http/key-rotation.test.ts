/** `POST /admin/keys/{key}/rotate`, and what becomes of the two secrets. */
import { expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })

async function rotate(id: string, body: object = {}) {
  const answer = await server.admin('POST', `/admin/keys/${id}/rotate`, body)
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

/** The code of the refusal, or the status of the upstream's answer. */
async function call(key: string): Promise<unknown> {
  const answer = await server.call(key, { endpoint: upstream.url })
  const body = (await answer.json()) as { error?: { code: string } }
  return body.error?.code ?? answer.status
}

test('the new secret works and the old one is refused from the answer on', async () => {
  const { key, id } = await issueKey(server, { quota: 5, name: 'rotated' })
  expect(await call(key)).toBe(200)
  const { status, body } = await rotate(id)
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { id, name: 'rotated', used: 1, remaining: 4, previous_until: null },
  })
  const fresh = String(body['key'])
  expect(fresh).toMatch(/^trial_[0-9A-Za-z]{36}$/)
  expect(body['hint']).toBe(`${fresh.slice(0, 10)}…${fresh.slice(-4)}`)
  expect([await call(key), await call(fresh)]).toEqual(['invalid_api_key', 200])
  expect((await server.admin('GET', `/admin/keys/${key}`)).status).toBe(404)
  const shown = await (await server.admin('GET', `/admin/keys/${fresh}`)).json()
  expect(shown).toMatchObject({ id, used: 2 })
})

test('in its grace the old secret works beside the new one, counts to the same quota, and then ends', async () => {
  const { key, id } = await issueKey(server, { quota: 3 })
  const before = Date.now()
  const { body } = await rotate(id, { grace_seconds: 2 })
  const fresh = String(body['key'])
  const until = Date.parse(String(body['previous_until']))
  expect(until).toBeGreaterThanOrEqual(before + 2000)
  expect([await call(key), await call(fresh)]).toEqual([200, 200])
  await Bun.sleep(until - Date.now() + 10)
  expect(await call(key)).toBe('api_key_expired')
  expect(await call(fresh)).toBe(200)
  expect(await call(fresh)).toBe('insufficient_quota')
  const shown = await (await server.admin('GET', `/admin/keys/${id}`)).json()
  expect(shown).toMatchObject({ used: 3, previous_until: null })
})

test('a grace ends at once with the next rotation, and with the key', async () => {
  const { key, id } = await issueKey(server)
  const second = String((await rotate(id, { grace_seconds: 3600 })).body['key'])
  const third = String((await rotate(id, { grace_seconds: 3600 })).body['key'])
  expect([await call(key), await call(second), await call(third)]).toEqual([
    'invalid_api_key',
    200,
    200,
  ])
  await server.admin('DELETE', `/admin/keys/${id}`)
  expect([await call(second), await call(third)]).toEqual(['invalid_api_key', 'invalid_api_key'])
})

test('a key keeps its prefix, and one that was brought along gets that of the server', async () => {
  const prefixed = await issueKey(server, { prefix: 'team_' })
  expect(String((await rotate(prefixed.id)).body['key'])).toStartWith('team_')
  const brought = await issueKey(server, { key: 'legacy-key-0123456789' })
  expect(String((await rotate(brought.id)).body['key'])).toStartWith('trial_')
  expect(await call(brought.key)).toBe('invalid_api_key')
})

test('what cannot be a grace, and a key that is not there, are refused and change nothing', async () => {
  const { key, id } = await issueKey(server)
  for (const grace of [-1, 1.5, '60', null, 90 * 86_400 + 1]) {
    expect(await rotate(id, { grace_seconds: grace })).toMatchObject({
      status: 422,
      body: { code: 'validation_failed', errors: [{ path: 'grace_seconds' }] },
    })
  }
  expect(await rotate(id, { grace: 60 })).toMatchObject({ status: 422 })
  expect(await rotate('key_0')).toMatchObject({ status: 404, body: { code: 'key_not_found' } })
  expect(await call(key)).toBe(200)
})

test('neither secret is in a log or in any other answer', async () => {
  const { key, id } = await issueKey(server)
  const fresh = String((await rotate(id, { grace_seconds: 60 })).body['key'])
  await call(fresh)
  const answers = [
    await server.admin('GET', `/admin/keys/${id}`),
    await server.admin('GET', '/admin/keys?limit=100'),
    await server.admin('PATCH', `/admin/keys/${fresh}`, { name: 'x' }),
    await server.admin('POST', `/admin/keys/${key}/reset`, {}),
  ]
  const texts = await Promise.all(answers.map((answer) => answer.text()))
  texts.push(await settledLogs(server))
  for (const text of texts) for (const secret of [key, fresh]) expect(text).not.toContain(secret)
})
