/**
 * The data path remembers what a key is. Memory never decides: whatever changes about a key, and whoever changes it, holds
 * from the next call on.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { callsOf, settled, usedOf } from '../support/books.ts'
import { testDatabase } from '../support/database.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startRawUpstream } from '../support/wire.ts'

let server: TestServer
let reached = 0

beforeAll(async () => {
  const upstream = await startRawUpstream((socket) => {
    reached++
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  server = await startServer()
  await addUpstream(server, { name: 'api', base_url: upstream.url, meter: { kind: 'none' } })
})
afterAll(() => server.stop())

async function call(key: string, path = '/x'): Promise<string> {
  const headers = { 'x-api-key': key }
  const answer = await fetch(`${server.url}/u/api${path}`, { method: 'POST', body: 'x', headers })
  const body = await answer.text()
  return answer.ok ? body : `${answer.status} ${JSON.parse(body).error.code}`
}

/** What an operator's shell does to the database of a running server. */
async function elsewhere(change: string, id: string): Promise<void> {
  const database = testDatabase({ path: server.database })
  const changed = await database.all(`UPDATE keys SET ${change} WHERE id = '${id}' RETURNING id`)
  expect(changed).toHaveLength(1)
}

const change = (id: string, fields: object) => server.admin('PATCH', `/admin/keys/${id}`, fields)

test('another process disables a key: its next call is refused and reaches nobody', async () => {
  for (const fields of [{ quota: 5 }, { quota: null }]) {
    const { key, id } = await issueKey(server, fields)
    expect(await call(key)).toBe('ok')
    await elsewhere('enabled = false', id)
    const before = reached
    expect(await call(key)).toBe('401 api_key_disabled')
    await elsewhere('enabled = true, expires_at = 1', id)
    expect(await call(key)).toBe('401 api_key_expired')
    expect(reached).toBe(before)
    await settled(server)
    expect(await callsOf(server, id)).toHaveLength(1)
  }
})

test('another process restricts a key: its next call goes by the new rules', async () => {
  const { key, id } = await issueKey(server, { quota: 5 })
  expect(await call(key)).toBe('ok')
  const scope = JSON.stringify({ paths: ['/y'] })
  await elsewhere(`scope = '${scope}', revision = revision + 1`, id)
  const before = reached
  expect(await call(key)).toBe('403 path_not_allowed')
  expect(reached).toBe(before)
  expect(await call(key, '/y')).toBe('ok')
  await settled(server)
  expect(await usedOf(server, id)).toBe(2)
})

test('a key that was refused for a rule is let in once the rule is gone', async () => {
  const { key, id } = await issueKey(server, { quota: 5, paths: ['/y'] })
  expect([await call(key, '/y'), await call(key)]).toEqual(['ok', '403 path_not_allowed'])
  await change(id, { paths: null })
  expect(await call(key)).toBe('ok')
  await change(id, { enabled: false })
  expect(await call(key)).toBe('401 api_key_disabled')
  await change(id, { enabled: true })
  expect(await call(key)).toBe('ok')
})

test('a secret that was replaced is unknown at once, also when its key is disabled later', async () => {
  const { key, id } = await issueKey(server, { quota: 5 })
  expect(await call(key)).toBe('ok')
  const rotated = await server.admin('POST', `/admin/keys/${id}/rotate`, {})
  const { key: next } = (await rotated.json()) as { key: string }
  expect([await call(key), await call(next)]).toEqual(['401 invalid_api_key', 'ok'])
  await change(id, { enabled: false })
  expect([await call(key), await call(next)]).toEqual([
    '401 invalid_api_key',
    '401 api_key_disabled',
  ])
  await settled(server)
  expect(await usedOf(server, id)).toBe(2)
})
