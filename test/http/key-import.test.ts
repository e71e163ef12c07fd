/** Keys that an operator brings along, and the prefixes of new ones. */
import { expect, test } from 'bun:test'
import { startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })

type Body = Record<string, unknown>

async function ask(method: string, path: string, body?: unknown) {
  const response = await server.admin(method, path, body)
  return { status: response.status, body: (await response.json()) as Body }
}

test('an imported key works, is found by itself however it has to be encoded, and only once', async () => {
  const key = 'legacy/key?100%#&+;=~'
  const created = await ask('POST', '/admin/keys', { name: 'import', quota: 5, key })
  expect(created).toMatchObject({ status: 201, body: { key, hint: 'lega…+;=~' } })
  expect((await server.call(key, { endpoint: upstream.url })).status).toBe(200)
  const path = `/admin/keys/${encodeURIComponent(key)}`
  expect(await ask('GET', path)).toMatchObject({ status: 200, body: { used: 1 } })
  expect(await ask('POST', '/admin/keys', { name: 'b', quota: 5, key })).toMatchObject({
    status: 409,
    body: { code: 'key_already_exists' },
  })

  expect(await ask('DELETE', path)).toMatchObject({ status: 200 })
  const again = await ask('POST', '/admin/keys', { name: 'again', quota: 5, key })
  expect(again).toMatchObject({ status: 201, body: { used: 0 } })
  expect(again.body['id']).not.toBe(created.body['id'])
})

const UNIMPORTABLE: Record<string, string> = {
  'is too short': 'short_key_12345',
  'is too long': 'x'.repeat(256),
  'has a space': 'a key with a space',
  'is not ASCII': 'schlüssel_1234567890',
  'could be an id': 'key_00000000000000000000',
  'has a typo': `trial_${'A'.repeat(36)}`,
}
for (const [what, key] of Object.entries(UNIMPORTABLE)) {
  test(`a key that ${what} is not imported`, async () => {
    const { status, body } = await ask('POST', '/admin/keys', { name: 'x', quota: 1, key })
    expect({ status, code: body['code'] }).toEqual({ status: 422, code: 'validation_failed' })
    expect(body['errors']).toMatchObject([{ path: 'key' }])
    expect(JSON.stringify(body)).not.toContain(key)
  })
}

test('a prefix and a key to import exclude each other, and a wrong prefix is named', async () => {
  const both = { name: 'x', quota: 1, key: 'imported-key-000001', prefix: 'ab_' }
  expect(await ask('POST', '/admin/keys', both)).toMatchObject({
    status: 422,
    body: { errors: [{ path: 'prefix', message: 'cannot be given together with key' }] },
  })
  for (const prefix of ['', 'A_', 'noend', '1a_', '_', 'waytoolongprefix_', 'key_', 'qpa_']) {
    const refused = await ask('POST', '/admin/keys', { name: 'x', quota: 1, prefix })
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ path: 'prefix' }] } })
  }
})
