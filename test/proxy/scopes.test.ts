/** What a key is restricted to and what a call counts for, end to end: by every way in, with proxies in front, to the unit. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { settled, until, usedOf } from '../support/books.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { openWebSocket, startSocketUpstream } from '../support/sockets.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

let server: TestServer
let upstream: Upstream
let plain: Upstream
beforeAll(async () => {
  upstream = startUpstream((_, { path, body }) => {
    const status = Number(/\/(\d{3})$/.exec(path)?.[1] ?? 200)
    return Response.json({ path, usage: { credits: Number(/\d+/.exec(body)?.[0]) } }, { status })
  })
  plain = startUpstream()
  server = await startServer({
    PROXY_EGRESS_ALLOW: plain.host,
    TRUSTED_PROXIES: '127.0.0.1,198.51.100.0/24',
  })
  const base = { base_url: `${upstream.url}/base`, credential: { secret: CREDENTIAL } }
  await addUpstream(server, { ...base, name: 'api', mount: '/v1' })
  await addUpstream(server, {
    ...{ ...base, name: 'dear', base_url: `${upstream.url}/dear`, mount: '/dear' },
    costs: [
      { method: 'POST', path: '/images', requests: 10 },
      { method: 'GET', path: '/reports/*', requests: 3 },
      { path: '/free/**', requests: 0 },
      { path: '/images/**', requests: 2 },
    ],
  })
})

type Ask = { method?: string; body?: string; type?: string; from?: string }

/** By the mount, by the name, in an envelope: each takes the path after the base URL. */
const WAYS: Record<string, (key: string, path: string, ask?: Ask) => Promise<Response>> = {
  mount: (key, path, ask) => send(key, `/v1${path}`, ask),
  name: (key, path, ask) => send(key, `/u/api${path}`, ask),
  envelope: (key, path, { method = 'GET', body, type = 'application/json', from } = {}) =>
    server.call(
      key,
      {
        ...{ endpoint: `${upstream.url}/base${path}`, method },
        ...(body !== undefined && { body, headers: { 'content-type': type } }),
      },
      {
        headers: {
          ...{ 'x-api-key': key, 'content-type': 'application/json' },
          ...(from !== undefined && { 'x-forwarded-for': from }),
        },
      },
    ),
}

function send(
  key: string,
  path: string,
  { method = 'GET', body, type = 'application/json', from }: Ask = {},
  at = server,
): Promise<Response> {
  const headers = {
    authorization: `Bearer ${key}`,
    ...(body !== undefined && { 'content-type': type }),
    ...(from !== undefined && { 'x-forwarded-for': from }),
  }
  return fetch(at.url + path, { method, headers, ...(body !== undefined && { body }) })
}

/** `ok`, or the code of the refusal. */
async function codeOf(sent: Promise<Response>): Promise<string> {
  const response = await sent
  const text = await response.text()
  if (response.status < 400) return 'ok'
  return (JSON.parse(text) as { error: { code: string } }).error.code
}

describe.each(Object.keys(WAYS))('by the %s, a key that is restricted', (name) => {
  const go = WAYS[name] as (typeof WAYS)[string]
  const tell = (key: string, path: string, ask?: Ask) => codeOf(go(key, path, ask))

  /** Whatever is refused never reaches the upstream and costs nothing. */
  async function expectCost(id: string, seen: number, calls: number): Promise<void> {
    expect(await usedOf(server, id)).toBe(calls)
    expect(upstream.seen.length - seen).toBe(calls)
  }

  test('to upstreams calls these alone', async () => {
    const seen = upstream.seen.length
    const here = await issueKey(server, { upstreams: ['api', 'dear'] })
    const elsewhere = await issueKey(server, { upstreams: ['dear', 'nobody'] })
    expect(await tell(here.key, '/x')).toBe('ok')
    expect(await tell(elsewhere.key, '/x')).toBe('target_not_allowed')
    expect(await usedOf(server, elsewhere.id)).toBe(0)
    await expectCost(here.id, seen, 1)
  })

  test('to methods uses these alone, and HEAD where GET is one', async () => {
    const seen = upstream.seen.length
    const { key, id } = await issueKey(server, { methods: ['GET', 'DELETE'] })
    const told: string[] = []
    for (const method of ['GET', 'HEAD', 'DELETE', 'POST', 'PUT', 'PATCH', 'OPTIONS'])
      told.push(await tell(key, '/x', { method, ...(/^P/.test(method) && { body: '{}' }) }))
    const no = 'method_not_allowed_for_key'
    expect(told).toEqual(['ok', 'ok', 'ok', no, no, no, no])
    await expectCost(id, seen, 3)
  })

  test('to paths calls these alone, however the others are spelled', async () => {
    const seen = upstream.seen.length
    const { key, id } = await issueKey(server, {
      paths: ['/chat/**', '/models', '/files/*/content'],
    })
    for (const path of [
      '/chat/completions',
      '/chat/a/b',
      '/models',
      '/models?x=/chat/',
      '/files/1/content',
      '/ch%61t/x',
    ])
      expect([path, await tell(key, path)]).toEqual([path, 'ok'])
    for (const path of [
      '/chats',
      '/models/x',
      '/files/1/2/content',
      '/files/content',
      '/CHAT/x',
      '/chat%2f..%2ffiles',
      '/x?/chat/',
    ])
      expect([path, await tell(key, path)]).toEqual([path, 'path_not_allowed'])
    await expectCost(id, seen, 6)
  })

  test('to models names one of them, in the body or in the URL', async () => {
    const seen = upstream.seen.length
    const { key, id } = await issueKey(server, { models: ['small-*', 'vendor/*'] })
    const post = (body: string, type?: string) =>
      tell(key, '/chat', { method: 'POST', body, ...(type && { type }) })
    expect(await post('{"model":"small-1"}')).toBe('ok')
    expect(await post('{"model":"vendor/a/b","x":1}')).toBe('ok')
    expect(await tell(key, '/models/small-1')).toBe('ok')
    expect(await tell(key, '/list?model=small-1')).toBe('ok')
    const no = 'model_not_allowed'
    expect(await post('{"model":"large"}')).toBe(no)
    // Nobody can say which of the two an upstream would take.
    expect(await post('{"model":"small-1","model":"large"}')).toBe('invalid_request')
    expect(await post('{"x":"small-1"}')).toBe(no)
    // By what it holds: many servers read JSON under any type.
    expect(await post('{"model":"small-1"}', 'text/plain')).toBe('ok')
    expect(await post('{"model":"large"}', 'text/plain')).toBe(no)
    expect(await post('small-1', 'text/plain')).toBe(no)
    expect(await tell(key, '/models/large')).toBe('not_found')
    expect(await tell(key, '/list?model=small-1&model=large')).toBe(no)
    await expectCost(id, seen, 5)
  })

  test('to networks is used from there alone, whatever a client says of where it is', async () => {
    const seen = upstream.seen.length
    const { key, id } = await issueKey(server, { ip_allow: ['203.0.113.0/24', '2001:db8::/32'] })
    const ok = ['203.0.113.9', '2001:db8::1', '10.0.0.1, 203.0.113.9', '203.0.113.9, 198.51.100.7', '[2001:db8::1]:4711', '::ffff:203.0.113.9', 'nonsense, 203.0.113.9'] // biome-ignore format: a list
    for (const from of ok) expect([from, await tell(key, '/x', { from })]).toEqual([from, 'ok'])
    // Who is not behind a proxy of the operator's writes what it likes at the front, and no further.
    const no = ['192.0.2.1', '203.0.113.9, 192.0.2.1', '203.0.113.9, 192.0.2.1, 198.51.100.7', '203.0.113.9, nonsense', '203.0.113.9,', '2001:db9::1', '203.0.113.999'] // biome-ignore format: a list
    for (const from of no)
      expect([from, await tell(key, '/x', { from })]).toEqual([from, 'ip_not_allowed'])
    // Nobody in front: the address of the connection counts.
    expect(await tell(key, '/x')).toBe('ip_not_allowed')
    await expectCost(id, seen, ok.length)
  })
})

test('without proxies that are trusted, X-Forwarded-For is only words', async () => {
  const bare = await startServer()
  await addUpstream(bare, { name: 'api', base_url: `${upstream.url}/base` })
  const far = await issueKey(bare, { ip_allow: ['203.0.113.0/24'] })
  const near = await issueKey(bare, { ip_allow: ['127.0.0.0/8'] })
  const tell = (key: string, from: string) => codeOf(send(key, '/u/api/x', { from }, bare))
  expect(await tell(far.key, '203.0.113.9')).toBe('ip_not_allowed')
  expect(await tell(near.key, '203.0.113.9')).toBe('ok')
  await until(() => bare.logs().includes(near.id))
  expect(bare.logs()).not.toContain('203.0.113.9')
})

test('a key that is restricted to upstreams calls no endpoint of its own choice', async () => {
  const free = await issueKey(server)
  const bound = await issueKey(server, { upstreams: ['api'] })
  const call = ({ key }: { key: string }) =>
    codeOf(server.call(key, { endpoint: `${plain.url}/x` }))
  expect(await call(free)).toBe('ok')
  expect(await call(bound)).toBe('target_not_allowed')
  expect(plain.seen).toHaveLength(1)
})

test('what is not allowed from elsewhere is not told to them', async () => {
  const { key } = await issueKey(server, {
    ip_allow: ['203.0.113.0/24'],
    paths: ['/ok'],
    methods: ['GET'],
  })
  const told = await codeOf(send(key, '/v1/no', { method: 'POST', body: 'x' }))
  expect(told).toBe('ip_not_allowed')
})

describe('a rule about costs', () => {
  test('charges what it says: POST /images is ten requests', async () => {
    const { key, id } = await issueKey(server, { quota: 25 })
    const go = (path: string, method = 'GET') =>
      send(key, `/dear${path}`, { method, ...(method === 'POST' && { body: '{}' }) })
    const first = await go('/images', 'POST')
    expect([
      first.status,
      first.headers.get('x-quota-cost'),
      first.headers.get('x-quota-remaining'),
    ]).toEqual([200, '10', '15'])
    expect(await usedOf(server, id)).toBe(10)
    for (const [path, method, used] of [
      ['/images', 'GET', 11],
      ['/images/1/variations', 'POST', 13],
      ['/reports/1', 'HEAD', 16],
      ['/reports/1/2', 'GET', 17],
      ['/free/a/b', 'POST', 17],
      ['/im%61ges/1', 'GET', 19],
    ] as const) {
      await (await go(path, method)).text()
      expect([path, method, await usedOf(server, id)]).toEqual([path, method, used])
    }
    const entry = await server.admin('GET', `/admin/calls?key=${id}`)
    const { data } = (await entry.json()) as { data: { requests: { charged: number } }[] }
    expect(data.map(({ requests }) => requests.charged).toReversed()).toEqual([
      10, 1, 2, 3, 1, 0, 2,
    ])
  })

  test('refuses a call that is worth more than what is left, sends nothing and charges nothing', async () => {
    const { key, id } = await issueKey(server, { quota: 9 })
    const seen = upstream.seen.length
    const refused = await send(key, '/dear/images', { method: 'POST', body: '{}' })
    const { error } = (await refused.json()) as { error: { code: string } }
    expect([refused.status, error.code]).toEqual([429, 'cost_exceeds_quota'])
    expect(upstream.seen).toHaveLength(seen)
    expect(await usedOf(server, id)).toBe(0)
    expect((await send(key, '/dear/x')).headers.get('x-quota-remaining')).toBe('8')
  })

  test('gives all of it back when the upstream fails', async () => {
    const { key, id } = await issueKey(server, { quota: 10 })
    const failed = await send(key, '/dear/images/500', { method: 'POST', body: '{}' })
    expect([failed.status, failed.headers.get('x-quota-remaining')]).toEqual([500, '10'])
    expect(await usedOf(server, id)).toBe(0)
  })

  test('of zero lets a key call that has nothing left, and only that', async () => {
    const { key, id } = await issueKey(server, { quota: 0 })
    const seen = upstream.seen.length
    const free = await send(key, '/dear/free/x')
    expect([
      free.status,
      free.headers.get('x-quota-cost'),
      free.headers.get('x-quota-remaining'),
    ]).toEqual([200, '0', '0'])
    const envelope = await server.call(key, { endpoint: `${upstream.url}/dear/free/y` })
    expect(envelope.status).toBe(200)
    expect(await codeOf(send(key, '/dear/x'))).toBe('insufficient_quota')
    expect(await codeOf(send(key, '/v1/free/x'))).toBe('insufficient_quota')
    expect(upstream.seen.length - seen).toBe(2)
    expect(await usedOf(server, id)).toBe(0)
    const disabled = await issueKey(server, { enabled: false })
    expect(await codeOf(send(disabled.key, '/dear/free/x'))).toBe('api_key_disabled')
  })

  test('holds for a WebSocket too, once', async () => {
    const sockets = startSocketUpstream()
    await addUpstream(server, {
      ...{ name: 'live', base_url: sockets.url, websocket_seconds_max: 60 },
      costs: [{ path: '/live', requests: 7 }],
    })
    const { key, id } = await issueKey(server, { quota: 10 })
    const client = await openWebSocket(`${server.url}/u/live/live`, {
      authorization: `Bearer ${key}`,
    })
    for (let n = 0; n < 3; n++) client.socket.send('x')
    for (let n = 0; n < 3; n++) await client.next()
    client.socket.close()
    await client.closed
    expect(await usedOf(server, id)).toBe(7)
  })
})

describe('a meter that reads one number of a JSON answer', () => {
  beforeAll(() =>
    addUpstream(server, {
      ...{ name: 'credits', base_url: `${upstream.url}/credits`, mount: '/credits' },
      meter: { kind: 'json', path: '$.usage.credits', unit: 'cost', estimate: 100 },
    }),
  )
  const limits = [{ name: 'money', unit: 'cost', amount: 250, window: 'month' }]

  async function usedCost(id: string): Promise<number | undefined> {
    await settled(server)
    const shown = await server.admin('GET', `/admin/keys/${id}`)
    const key = (await shown.json()) as { limits: { name: string; used: number }[] }
    return key.limits.find(({ name }) => name === 'money')?.used
  }

  const spend = (key: string, credits: string, path = '/x') =>
    send(key, `/credits${path}`, { method: 'POST', body: `{"n":${credits}}` })

  test('charges what the answer says, and not the estimate', async () => {
    const { key, id } = await issueKey(server, { limits })
    const answer = await spend(key, '42')
    expect(await answer.json()).toMatchObject({ usage: { credits: 42 } })
    expect(await usedCost(id)).toBe(42)
    await (await spend(key, '8')).text()
    expect(await usedCost(id)).toBe(50)
    expect(await usedOf(server, id)).toBe(2)
  })

  test('charges the estimate where the answer has no such number, and nothing where the upstream fails', async () => {
    const { key, id } = await issueKey(server, { limits })
    await (await spend(key, 'null')).text()
    expect(await usedCost(id)).toBe(100)
    await (await spend(key, '42', '/500')).text()
    expect(await usedCost(id)).toBe(100)
  })

  test('lets nobody in whose rest is less than the estimate', async () => {
    const { key, id } = await issueKey(server, { limits })
    await (await spend(key, '200')).text()
    const seen = upstream.seen.length
    const refused = await spend(key, '1')
    expect(refused.status).toBe(429)
    await refused.text()
    expect(upstream.seen).toHaveLength(seen)
    expect(await usedCost(id)).toBe(200)
    expect(await usedOf(server, id)).toBe(1)
  })
})
