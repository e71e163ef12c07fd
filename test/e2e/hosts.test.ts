/** No spelling of Host or path opens a route at a listener that does not serve it, or without its token. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { entries, settled, usedOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { exchange, openClient } from '../support/wire.ts'

const NO_HOSTS = [
  '@', '<x>', 'a^b', 'a|b', '\xe9', 'a b', 'a/b', 'a?b', 'a#b', 'a@b', 'a\\b', 'a,b', '%41', 'a:b', 'a:65536', '[::g]', '*',
] // biome-ignore format: a list

let server: TestServer
let upstream: Upstream
let doors: { readonly name: string; readonly url: string }[]
let key: string
let id: string

beforeAll(async () => {
  upstream = startUpstream()
  server = await startServer({ ADMIN_LISTEN: '127.0.0.1:0', METRICS_LISTEN: '127.0.0.1:0' })
  const at = (name: string) => String(server.events().find((one) => name in one)?.[name] ?? '')
  const admin = at('admin').replace(/\/$/, '')
  doors = [
    { name: 'main', url: server.directUrl },
    { name: 'admin', url: admin },
    { name: 'metrics', url: at('metrics').replace(/\/$/, '') },
  ]
  server = {
    ...server,
    admin: (method, path, body) =>
      fetch(admin + path, {
        method,
        headers: {
          authorization: `Bearer ${server.adminToken}`,
          'content-type': 'application/json',
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
  }
  await addUpstream(server, {
    name: 'api',
    base_url: upstream.url,
    mount: '/v1',
    meter: { kind: 'tokens' },
    forward_client: true,
  })
  const issued = await issueKey(server)
  key = issued.key
  id = issued.id
})

afterAll(() => server.stop())

/** A body that would issue a key. */
const NEW_KEY = '{"name":"stolen","quota":1}'

function bytes(method: string, target: string, version: string, lines: readonly string[]): string {
  const body = method === 'POST' ? NEW_KEY : ''
  const all = [
    `${method} ${target} HTTP/${version}`,
    ...lines,
    `Authorization: Bearer ${server.adminToken}`,
    `X-API-Key: ${key}`,
    ...(body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`]),
  ]
  return `${all.join('\r\n')}\r\n\r\n${body}`
}

const statusOf = async (url: string, text: string) =>
  (await exchange(url, Buffer.from(text, 'latin1'))).status

const keysIssued = async () => {
  const { data } = (await (await server.admin('GET', '/admin/keys?limit=100')).json()) as {
    data: { name: string }[]
  }
  return data.filter(({ name }) => name === 'stolen').length
}

const TARGETS = [
  '/zz/healthz/admin/keys', '/zz/healthz/metrics', '/zz/healthz/swagger/json', '/x/me/aaaaa/admin/keys',
  '/x/metrics/admin/keys', '/x/v1/dashboard/billing/usage', '/admin/keys', '/metrics', '/healthz', '/v1/x',
] // biome-ignore format: a list

test('a Host that is none, two of them, and a Content-Length twice are 400 at every listener, for every path', async () => {
  const before = [(await entries(server)).length, upstream.seen.length]
  const hosts = [
    ...NO_HOSTS.map((host) => [`Host: ${host}`]),
    ['Host: a', 'Host: b'],
    ['Host: a', 'Host: a'],
  ]
  for (const { name, url } of doors) {
    for (const host of hosts) {
      for (const method of ['GET', 'POST']) {
        const statuses = await Promise.all(
          TARGETS.map((target) => statusOf(url, bytes(method, target, '1.1', host))),
        )
        expect([name, method, host, ...new Set(statuses)]).toEqual([name, method, host, 400])
      }
    }
    const twice =
      'POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab'
    expect(await statusOf(url, twice)).toBe(400)
    // RFC 9112 section 3.2: only HTTP/1.0 may leave it out.
    expect(await statusOf(url, bytes('GET', '/healthz', '1.1', []))).toBe(400)
  }
  await settled(server)
  expect([(await entries(server)).length, upstream.seen.length]).toEqual(before)
  expect(await keysIssued()).toBe(0)
})

test('an empty Host, and HTTP/1.0 without one, are served as any other, each listener its own routes', async () => {
  const table: [target: string, ...statuses: number[]][] = [
    // At main, admin, metrics.
    ['/healthz', 200, 200, 200],
    ['/x/../healthz', 200, 200, 200],
    ['/admin/keys', 404, 200, 404],
    ['/metrics', 404, 200, 200],
    ['/swagger/json', 404, 200, 404],
    ['/me', 200, 404, 404],
    ['/zz/healthz/admin/keys', 404, 404, 404],
    ['/zz/healthz/metrics', 404, 404, 404],
    ['/x/metrics/admin/keys', 404, 404, 404],
    ['/healthz/../admin/keys', 404, 200, 404],
    ['//healthz/admin/keys', 404, 404, 404],
    ['http://a/healthz/admin/keys', 404, 404, 404],
  ]
  for (const [version, lines] of [
    ['1.0', []],
    ['1.0', ['Host: a']],
    ['1.0', ['Host: ']],
    ['1.1', ['Host: ']],
    ['1.1', ['Host: a.example:8787']],
  ] as const) {
    for (const [target, ...expected] of table) {
      const found: number[] = []
      for (const { url } of doors)
        found.push(await statusOf(url, bytes('GET', target, version, lines)))
      expect([version, lines, target, ...found]).toEqual([version, lines, target, ...expected])
    }
    for (const target of ['/x/me/aaaaa/admin/keys', '/x/metrics/admin/keys', '/healthz/admin/keys'])
      for (const { url } of doors)
        expect(await statusOf(url, bytes('POST', target, version, lines))).toBe(404)
  }
  expect(await keysIssued()).toBe(0)
})

test('calls by HTTP/1.0 and with an empty Host reach the upstream with the path that was checked', async () => {
  const used = await usedOf(server, id)
  for (const [version, lines] of [
    ['1.0', []],
    ['1.1', ['Host: ']],
  ] as const) {
    const before = upstream.seen.length
    expect(await statusOf(server.directUrl, bytes('GET', '/v1/y/../x?a=b', version, lines))).toBe(
      200,
    )
    expect(upstream.seen.slice(before).map(({ path }) => path)).toEqual(['/x?a=b'])
    expect(upstream.seen.at(-1)?.headers.get('x-forwarded-proto')).toBe('http')
    expect(
      await statusOf(server.directUrl, bytes('GET', '/v1/dashboard/billing/usage', version, lines)),
    ).toBe(200)
  }
  expect((await usedOf(server, id)) - used).toBe(2)
})

test('nothing of this is a fault of ours', async () => {
  const client = await openClient(server.directUrl)
  client.write('GET / HTTP/1.1\r\nHost: a b\r\n\r\n')
  const { body } = await client.answer()
  client.socket.destroy()
  expect(JSON.parse(body.toString()).error).toMatchObject({ code: 'malformed_request' })
  expect(server.events().filter(({ level }) => level === 'error')).toEqual([])
})
