/** Who may call: one key, in a header, known, enabled, not expired, and not in use too often. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { entries, holds, settled, until, usedOf } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import {
  callBytes,
  exchange,
  openClient,
  type RawAnswer,
  type RawUpstream,
  startRawUpstream,
} from '../support/wire.ts'

let upstream: RawUpstream
let server: TestServer

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { target }) => {
    if (target !== '/mute') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
})

function call(headers: Record<string, string>, extra: readonly string[] = []): Promise<RawAnswer> {
  return exchange(server.url, callBytes(headers, { endpoint: upstream.url }, extra))
}

const codeOf = (answer: RawAnswer) => JSON.parse(answer.body.toString()).error.code as string

/** What one refusal looks like, without the name of its request. */
function shapeOf(answer: RawAnswer): unknown {
  const body = answer.body.toString().replace(/req_[\w-]+/, '')
  const headers = answer.headers.filter(([name]) => name !== 'x-request-id' && name !== 'date')
  return { status: answer.status, headers, body }
}

describe('a key', () => {
  test('is taken from each of the four headers that clients use', async () => {
    const { key } = await issueKey(server)
    const ways = [
      { 'X-API-Key': key },
      { Authorization: `Bearer ${key}` },
      { Authorization: `bEARER   ${key} ` },
      { 'api-key': key },
      { 'x-goog-api-key': key },
      { 'X-Api-Key': key, Authorization: `Bearer ${key}`, 'api-key': key, 'x-goog-api-key': key },
    ]
    for (const headers of ways) expect((await call(headers)).status).toBe(200)
    expect((await call({ 'X-API-Key': key }, [`X-API-Key: ${key}`])).status).toBe(200)
  })

  test('of somebody else’s making works as well as one that was generated', async () => {
    const { key } = await issueKey(server, { key: 'sk-imported-0123456789' })
    expect((await call({ Authorization: `Bearer ${key}` })).status).toBe(200)
  })

  test('that is missing is a 401 that says how to authenticate', async () => {
    const ways: Record<string, string>[] = [
      {},
      { 'X-API-Key': '' },
      { Authorization: 'Basic dXNlcjpwYXNz' },
      { Authorization: 'Bearer' },
      { Authorization: 'Bearer two words' },
    ]
    for (const headers of ways) {
      const answer = await call(headers)
      expect([answer.status, codeOf(answer)]).toEqual([401, 'missing_api_key'])
      expect(answer.all('www-authenticate')).toEqual(['Bearer realm="quota-proxy"'])
      expect(answer.header('x-should-retry')).toBe('false')
      expect(answer.header('cache-control')).toBe('no-store')
    }
  })

  test('in the URL or in a cookie is not looked at', async () => {
    const { key } = await issueKey(server)
    const bytes = callBytes({ Cookie: `x-api-key=${key}` }, { endpoint: upstream.url }).toString()
    for (const query of [`?key=${key}`, `?api-key=${key}&x-api-key=${key}`]) {
      const answer = await exchange(server.url, bytes.replace('/proxy', `/proxy${query}`))
      expect([answer.status, codeOf(answer)]).toEqual([401, 'missing_api_key'])
    }
    expect(await settledLogs(server)).not.toContain(key)
  })

  test('beside another one is a 400, in whatever headers they stand, and neither is charged', async () => {
    const one = await issueKey(server)
    const two = await issueKey(server)
    const disabled = await issueKey(server)
    await server.admin('PATCH', `/admin/keys/${disabled.id}`, { enabled: false })
    const foreign = (_: unknown, i: number) => `somebody-elses-token-${i}`
    const ways: [Record<string, string>, string[]][] = [
      [{ 'X-API-Key': one.key, Authorization: `Bearer ${two.key}` }, []],
      [{ 'X-API-Key': one.key }, [`X-API-Key: ${two.key}`]],
      [{ Authorization: `Bearer ${one.key}` }, [`Authorization: Bearer ${two.key}`]],
      [{ 'X-API-Key': `${one.key}, ${two.key}` }, []],
      // A disabled key is a key all the same.
      [{ 'X-API-Key': one.key, 'x-goog-api-key': disabled.key }, []],
      // Nobody may make one request look up as many as they like.
      [{ 'X-API-Key': one.key, 'api-key': Array.from({ length: 8 }, foreign).join(', ') }, []],
    ]
    for (const [headers, extra] of ways) {
      const answer = await call(headers, extra)
      expect([answer.status, codeOf(answer)]).toEqual([400, 'ambiguous_api_key'])
    }
    expect([await usedOf(server, one.id), await usedOf(server, two.id)]).toEqual([0, 0])
  })

  test('is found beside credentials of somebody else’s, in whatever headers they stand', async () => {
    const { key, id } = await issueKey(server)
    const imported = await issueKey(server, { key: 'sk-imported-beside-0123456789' })
    const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.x'
    const ways: Record<string, string>[] = [
      { 'X-API-Key': key, Authorization: 'Basic dXNlcjpwYXNz' },
      { 'X-API-Key': key, Authorization: `Bearer ${jwt}` },
      { 'X-API-Key': key, Authorization: 'Digest username="u", realm="r, s", response="0"' },
      { 'X-API-Key': `ghp_${'0'.repeat(36)}`, Authorization: `Bearer ${key}` },
      { 'X-API-Key': 'x', 'api-key': 'sk-somebody-elses-0123', 'x-goog-api-key': key },
      { 'X-API-Key': imported.key, Authorization: `Bearer ${jwt}` },
    ]
    for (const headers of ways) expect((await call(headers)).status).toBe(200)
    expect([await usedOf(server, id), await usedOf(server, imported.id)]).toEqual([5, 1])
  })

  test('that nobody knows gets that one answer beside another one, too', async () => {
    const one = shapeOf(await call({ 'X-API-Key': 'sk-unknown-0123456789' }))
    const two = {
      'X-API-Key': 'sk-unknown-0123456789',
      Authorization: 'Bearer sk-unknown-9876543210',
    }
    expect(shapeOf(await call(two))).toEqual(one)
  })

  test('that is malformed, unknown, mistyped or deleted gets one and the same answer', async () => {
    const deleted = await issueKey(server)
    await server.admin('DELETE', `/admin/keys/${deleted.id}`)
    const { key } = await issueKey(server)
    const mistyped = key.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'))
    const wrong = [
      deleted.key, mistyped, key.toUpperCase(), `${key}x`, key.slice(0, -1), 'x', 'x'.repeat(300), 'sk-unknown-0123456789',
      "' OR 1=1 --------", '\xff'.repeat(20), server.adminToken, deleted.id,
    ] // biome-ignore format: one list
    const shapes = await Promise.all(
      wrong.map(async (raw) => shapeOf(await call({ 'X-API-Key': raw }))),
    )
    expect(new Set(shapes.map((shape) => Bun.inspect(shape))).size).toBe(1)
    expect(shapes[0]).toMatchObject({ status: 401 })
    expect(Bun.inspect(shapes[0])).toContain('invalid_api_key')
    for (const raw of wrong.filter(({ length }) => length > 1)) {
      expect(Bun.inspect(shapes[0])).not.toContain(raw)
    }
  })

  test('that is deleted or disabled is refused on its next request', async () => {
    const gone = await issueKey(server)
    expect((await call({ 'X-API-Key': gone.key })).status).toBe(200)
    await server.admin('DELETE', `/admin/keys/${gone.key}`)
    expect(codeOf(await call({ 'X-API-Key': gone.key }))).toBe('invalid_api_key')

    const { key, id } = await issueKey(server)
    expect((await call({ 'X-API-Key': key })).status).toBe(200)
    await server.admin('PATCH', `/admin/keys/${id}`, { enabled: false })
    const answer = await call({ 'X-API-Key': key })
    expect([answer.status, codeOf(answer)]).toEqual([401, 'api_key_disabled'])
    expect(answer.header('x-should-retry')).toBe('false')
    await server.admin('PATCH', `/admin/keys/${id}`, { enabled: true })
    expect((await call({ 'X-API-Key': key })).status).toBe(200)
    expect(await usedOf(server, id)).toBe(2)
  })

  test('is refused from the instant of its expiry on, and not before', async () => {
    const expiresAt = Date.now() + 700
    const { key, id } = await issueKey(server, { expires_at: new Date(expiresAt).toISOString() })
    expect((await call({ 'X-API-Key': key })).status).toBe(200)
    let refused = 0
    while (refused === 0 || Date.now() < expiresAt + 50) {
      const before = Date.now()
      const answer = await call({ 'X-API-Key': key })
      if (answer.status === 401) {
        refused++
        expect(codeOf(answer)).toBe('api_key_expired')
        expect(Date.now()).toBeGreaterThanOrEqual(expiresAt)
      } else {
        expect(before).toBeLessThan(expiresAt)
      }
      await Bun.sleep(10)
    }
    expect(refused).toBeGreaterThan(0)
    await server.admin('PATCH', `/admin/keys/${id}`, { expires_at: null })
    expect((await call({ 'X-API-Key': key })).status).toBe(200)
  })

  test('in a method or at a path that does not exist is not charged', async () => {
    const { key, id } = await issueKey(server)
    const bytes = callBytes({ 'X-API-Key': key }, { endpoint: upstream.url }).toString()
    const methods = [
      'GET',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'CONNECT',
      'post',
      'MADE-UP',
    ]
    for (const line of [
      ...methods.map((method) => `${method} /proxy`),
      'POST /PROXY',
      'POST //proxy',
    ]) {
      const { status } = await exchange(server.url, bytes.replace('POST /proxy', line))
      // A method that nobody knows costs the connection.
      expect(`${line} ${status}`).toMatch(/ (40[045]|0)$/)
    }
    expect(await usedOf(server, id)).toBe(0)
  })
})

describe('a limit on calls in flight', () => {
  const start = async (key: string, path = '/mute') => {
    const client = await openClient(server.url)
    client.write(callBytes({ 'X-API-Key': key }, { endpoint: upstream.url + path }))
    return client
  }

  test('refuses the next call for free, and lets it in when one has ended, however it ended', async () => {
    const { key, id } = await issueKey(server, { concurrency: 1 })
    for (let round = 1; round <= 3; round++) {
      await settled(server)
      const before = upstream.seen.length
      const first = await start(key)
      await until(() => upstream.seen.length > before)
      const answer = await call({ 'X-API-Key': key })
      expect([answer.status, codeOf(answer)]).toEqual([429, 'concurrency_limit_exceeded'])
      expect(answer.header('retry-after')).toBe('1')
      expect(answer.header('x-should-retry')).toBe('true')
      if (round === 1) first.socket.destroy()
      else if (round === 2) for (const side of upstream.sockets) side.resetAndDestroy()
      else
        for (const side of upstream.sockets)
          side.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      await settled(server)
      expect((await call({ 'X-API-Key': key })).status).toBe(200)
      first.socket.destroy()
    }
    // Charged: the call that was abandoned, the one that was answered, and the three that were let in after.
    expect(await usedOf(server, id)).toBe(5)
  })

  test('lets in exactly as many as it says of many that come at once', async () => {
    await settled(server)
    const { key } = await issueKey(server, { concurrency: 3 })
    const clients = await Promise.all(Array.from({ length: 20 }, () => start(key)))
    const statuses = await Promise.all(
      clients.map(async (client) => (await client.answer(500)).status),
    )
    expect(await holds(server)).toBe(3)
    expect(statuses.filter((status) => status === 429).length).toBe(17)
    for (const client of clients) client.socket.destroy()
    await settled(server)
    expect((await call({ 'X-API-Key': key })).status).toBe(200)
  })

  test('of one key does not touch another', async () => {
    const one = await issueKey(server, { concurrency: 1 })
    const two = await issueKey(server, { concurrency: 1 })
    const busy = await start(one.key)
    await until(async () => (await holds(server)) === 1)
    expect((await call({ 'X-API-Key': two.key })).status).toBe(200)
    busy.socket.destroy()
    await settled(server)
  })
})

test('refusals leave no trace in the ledger', async () => {
  await settled(server)
  const count = (await entries(server)).length
  await call({})
  await call({ 'X-API-Key': 'unknown-key-0123456789' })
  const { key } = await issueKey(server, { quota: 0 })
  const answer = await call({ 'X-API-Key': key })
  expect([answer.status, codeOf(answer)]).toEqual([429, 'insufficient_quota'])
  expect(answer.header('x-should-retry')).toBe('false')
  expect(answer.header('retry-after')).toBeNull()
  await settled(server)
  expect((await entries(server)).length).toBe(count)
})
