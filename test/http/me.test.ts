/** `/me`: what a holder is told about their own key. */
import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { testDatabase } from '../support/database.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { DAY, HOUR } from '../support/time.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })

type Body = Record<string, unknown>

async function ask(key: string, path: string, from: TestServer = server) {
  const response = await fetch(from.url + path, { headers: { 'x-api-key': key } })
  return { status: response.status, body: (await response.json()) as Body }
}

async function call(key: string): Promise<number> {
  const response = await server.call(key, { endpoint: upstream.url, body: 'abc' })
  await response.text()
  await settled(server)
  return response.status
}

const iso = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z')

test('a holder sees what is left of every limit and what the key may do, and nothing of the operator', async () => {
  const { key, id } = await issueKey(server, {
    name: 'alice', quota: 3, expires_at: '2096-12-31T00:00:00+01:00', concurrency: 4,
    limits: [{ name: 'money', unit: 'cost', amount: 5_000_000, window: 'hour' }, { unit: 'tokens', amount: null, window: 'day' }],
    methods: ['post'], paths: ['/**'], models: ['gpt-4o*'], ip_allow: ['127.0.0.0/8'], upstreams: ['openai'],
    tags: ['operator'], metadata: { note: 'operator' },
  }) // biome-ignore format: one key
  const { status, body } = await ask(key, '/me')
  expect(status).toBe(200)
  const lifetime = { window: 'lifetime', resets_at: null }
  expect(body).toEqual({
    currency: 'USD',
    id,
    hint: `${key.slice(0, 10)}…${key.slice(-4)}`,
    name: 'alice',
    status: 'active',
    expires_at: '2096-12-30T23:00:00Z',
    limits: [
      { name: 'quota', unit: 'requests', ...lifetime, amount: 3, used: 0, remaining: 3 },
      { name: 'money', unit: 'cost', window: 'hour', amount: 5_000_000, used: 0, remaining: 5_000_000, resets_at: expect.any(String) },
      { name: expect.any(String), unit: 'tokens', window: 'day', amount: null, used: 0, remaining: null, resets_at: expect.any(String) },
    ],
    concurrency: 4,
    upstreams: ['openai'],
    methods: ['POST'],
    paths: ['/**'],
    models: ['gpt-4o*'],
    ip_allow: ['127.0.0.0/8'],
    created_at: expect.any(String),
    last_used_at: null,
  }) // biome-ignore format: one limit, one line
})

test('asking costs nothing and is answered when nothing is left', async () => {
  const { key } = await issueKey(server, { quota: 1 })
  expect([await call(key), await call(key)]).toEqual([200, 429])
  const paths = ['/me', '/me/usage', '/me/billing/subscription', '/me/billing/usage']
  for (const path of [...paths, ...paths]) expect((await ask(key, path)).status).toBe(200)
  const { body } = await ask(key, '/me')
  expect(body).toMatchObject({ limits: [{ amount: 1, used: 1, remaining: 0 }] })
  expect(body['last_used_at']).toBeString()
  expect((await ask(key, '/me/usage?group_by=total')).body).toMatchObject({ data: [{ calls: 1 }] })
})

test('the amount is that of the present period, with what was credited or taken', async () => {
  const { key, id } = await issueKey(server, { quota: 1 })
  await server.admin('POST', `/admin/keys/${id}/credit`, { amount: 9 })
  await call(key)
  const limit = { amount: 10, used: 1, remaining: 9 }
  expect((await ask(key, '/me')).body).toMatchObject({ limits: [limit] })
  await server.admin('POST', `/admin/keys/${id}/credit`, { amount: -20 })
  expect((await ask(key, '/me')).body).toMatchObject({ limits: [{ amount: 0, remaining: 0 }] })
})

test('a key that may not be used is told why, in the words of a call', async () => {
  const at = new Date(Date.now() - HOUR).toISOString()
  for (const [fields, code] of [
    [{ enabled: false }, 'api_key_disabled'],
    [{ expires_at: at }, 'api_key_expired'],
  ] as const) {
    const { key } = await issueKey(server, fields)
    const refused = await (await server.call(key, { endpoint: upstream.url })).json()
    for (const path of ['/me', '/me/usage', '/me/billing/usage', '/me/calls/call_1']) {
      const { status, body } = await ask(key, path)
      expect(status).toBe(401)
      expect(body['error']).toEqual({
        ...(refused as { error: object }).error,
        code,
        request_id: expect.any(String),
      })
    }
  }
})

test('a deleted key is told nothing more', async () => {
  const { key, id } = await issueKey(server)
  await server.admin('DELETE', `/admin/keys/${id}`)
  expect(await ask(key, '/me')).toMatchObject({
    status: 401,
    body: { error: { code: 'invalid_api_key' } },
  })
})

test('no answer may be stored by a cache', async () => {
  const { key } = await issueKey(server)
  const routes = ['', '/usage', '/billing/subscription', '/billing/usage', '/calls/call_1']
  for (const path of routes.map((route) => `/me${route}`)) {
    for (const headers of [{ 'x-api-key': key }, {}] as Record<string, string>[]) {
      const response = await fetch(server.url + path, { headers })
      expect(response.headers.get('cache-control')).toBe('no-store')
    }
  }
})

test('whatever is refused is refused in the shape that clients of the data path parse', async () => {
  const { key } = await issueKey(server)
  const invalid = { status: 422, code: 'invalid_request' }
  for (const [method, path, { status, code }] of [
    ['GET', '/me?nonsense=canary', invalid],
    ['GET', '/me/usage?from=canary', invalid],
    ['GET', '/me/calls/call_1?x=canary', invalid],
    ['GET', '/me/canary', { status: 404, code: 'not_found' }],
    ['DELETE', '/me', { status: 405, code: 'method_not_allowed' }],
  ] as const) {
    const response = await fetch(server.url + path, { method, headers: { 'x-api-key': key } })
    const text = await response.text()
    expect(text).not.toContain('canary')
    expect({ path, status: response.status }).toEqual({ path, status })
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(JSON.parse(text)).toEqual({
      error: expect.objectContaining({ code, type: 'invalid_request_error', param: null }),
    })
  }
})

test('a database that fails is told in that shape too', async () => {
  const failing = await startServer()
  const { key } = await issueKey(failing)
  const client = testDatabase({ path: failing.database })
  await client.run('ALTER TABLE usage_hourly RENAME TO gone')
  expect(await ask(key, '/me/usage', failing)).toMatchObject({
    status: 503,
    body: { error: { code: 'storage_unavailable', type: 'api_error' } },
  })
})

const WRONG = [
  ['from', 'from=yesterday'],
  ['to', 'to=2026-01-01'],
  ['group_by', 'group_by=week'],
  ['from', 'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z'],
  ['from', 'from=2096-01-01T00:00:00Z'],
  ['', 'key=key_of_somebody'],
  ['', 'group_by=day&group_by=day'],
] as const
for (const [path, query] of WRONG) {
  test(`usage?${query} is refused by name`, async () => {
    const { key } = await issueKey(server)
    expect(await ask(key, `/me/usage?${query}`)).toMatchObject({
      status: 422,
      body: { error: { code: 'invalid_request', errors: [{ path }] } },
    })
  })
}

test('usage is bounded: a range of more than 1,000 hours or days is refused and says so', async () => {
  const { key } = await issueKey(server)
  const end = Date.UTC(2026, 0, 1)
  for (const [by, ms] of [
    ['hour', HOUR],
    ['day', DAY],
  ] as const) {
    // biome-ignore format: a pair
    const within = async (from: number, to: number) =>
      ask(key, `/me/usage?group_by=${by}&from=${iso(from)}&to=${iso(to)}`)
    expect((await within(end - 1000 * ms, end)).status).toBe(200)
    for (const refused of [await within(end - 1000 * ms - 1, end), await within(end - 1000 * ms, end + 1)]) {
      expect(refused.status).toBe(422)
      expect(JSON.stringify(refused.body)).toContain(`at most 1000 ${by}s`)
    } // biome-ignore format: one line
  }
  const ever = await ask(key, '/me/usage?group_by=total&from=1970-01-01T00:00:00Z')
  expect(ever.status).toBe(200)
})

/** A server with hours of usage that were rolled up long ago: `[key, hour, upstream, requests]`. */
async function withHistory(rows: readonly [key: 'own' | 'other', number, string, number][]) {
  const before = await startServer()
  const own = await issueKey(before)
  const other = await issueKey(before)
  await before.stop()
  const client = testDatabase({ path: before.database })
  for (const [whose, hour, name, n] of rows) {
    const id = whose === 'own' ? own.id : other.id
    await client.run(
      `INSERT INTO usage_hourly (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms)
       SELECT ${hour}, seq, '${name}', ${n + 1}, 1, ${n}, 10, 100, 7, 8, 9 FROM keys WHERE id = '${id}'`,
    )
  }
  const after = await startServer({}, before.dataDir)
  return async (query: string) => (await ask(own.key, `/me/usage?${query}`, after)).body
}

const sums = (rows: number, requests: number) => ({
  calls: requests + rows,
  failed: rows,
  estimated: 0,
  requests,
  tokens: 10 * rows,
  cost: 100 * rows,
  bytes_in: 7 * rows,
  bytes_out: 8 * rows,
})

test('usage is summed by hours, by days of UTC and in total, of this key alone', async () => {
  const today = Math.floor(Date.now() / DAY) * DAY
  const first = today - 40 * DAY
  const usage = await withHistory([
    ['own', first - HOUR, '', 1],
    ['own', first, '', 2],
    ['own', first, 'openai', 4],
    ['own', first + 23 * HOUR, 'openai', 8],
    ['own', first + DAY, '', 16],
    ['other', first, '', 512],
  ])
  const list = (...data: object[]) => ({ object: 'list', data, has_more: false, next: null })
  const hour = (at: number) => ({ from: iso(at), to: iso(at + HOUR) })
  const day = (at: number) => ({ from: iso(at), to: iso(at + DAY) })
  const range = `from=${iso(first)}&to=${iso(first + DAY)}`
  expect(await usage(`${range}&group_by=hour`)).toEqual(
    list({ ...hour(first), ...sums(2, 6) }, { ...hour(first + 23 * HOUR), ...sums(1, 8) }),
  )
  expect(await usage(range)).toEqual(list({ ...day(first), ...sums(3, 14) }))
  expect(await usage(`from=${iso(first - DAY)}`)).toEqual(
    list(
      { ...day(first - DAY), ...sums(1, 1) },
      { ...day(first), ...sums(3, 14) },
      { ...day(first + DAY), ...sums(1, 16) },
    ),
  )
  const by_upstream = [
    { upstream: '', ...sums(1, 2) },
    { upstream: 'openai', ...sums(2, 12) },
  ]
  expect(await usage(`${range}&group_by=total`)).toEqual(
    list({ ...day(first), ...sums(3, 14), by_upstream }),
  )
  const nothing = { ...sums(0, 0), by_upstream: [] }
  expect(await usage('group_by=total')).toMatchObject({ data: [nothing] })
})

test('without a range usage is that of thirty days of UTC, the present one among them', async () => {
  const today = Math.floor(Date.now() / DAY) * DAY
  const first = today - 29 * DAY
  const usage = await withHistory([
    ['own', first - HOUR, '', 1],
    ['own', first + HOUR, '', 2],
    ['own', today, '', 4],
  ])
  // The day may turn while the test runs, and the first of the thirty with it.
  if (Math.floor(Date.now() / DAY) * DAY !== today) return
  const shown = (await usage(''))['data'] as Body[]
  expect(shown.map(({ from, requests }) => [from, requests])).toEqual([
    [iso(first), 2],
    [iso(today), 4],
  ])
  expect(await usage(`to=${iso(today)}`)).toMatchObject({
    data: [{ requests: 1 }, { requests: 2 }],
  })
  expect(await usage('group_by=hour')).toMatchObject({ data: [{ requests: 2 }, { requests: 4 }] })
  expect(await usage('group_by=total')).toMatchObject({ data: [{ requests: 6, from: iso(first) }] })
})

const money = (amount: number | null, window: string, name = `per-${window}`) => ({ name, unit: 'cost', amount, window }) // biome-ignore format: one limit
const BALANCES: Record<string, { fields: Body; usd: number }> = {
  'money, if a limit counts it': { fields: { quota: 7, limits: [money(1_234_567, 'day')] }, usd: 1.234567 },
  'the money of the longest window': { fields: { limits: [money(9, 'day'), money(2_000_000, 'lifetime'), money(9, 'month')] }, usd: 2 },
  'of windows alike, the one with less left': { fields: { limits: [money(3_000_000, 'day', 'a'), money(2_000_000, 'day', 'b')] }, usd: 2 },
  'a dollar for each request, without money': { fields: { quota: 7, limits: [money(null, 'day')] }, usd: 7 },
  'a dollar for each token, without either': { fields: { quota: null, limits: [{ unit: 'tokens', amount: 5000, window: 'day' }] }, usd: 5000 },
  'a hundred million for no limit': { fields: { quota: null }, usd: 100_000_000 },
  'nothing for a key that denies': { fields: { quota: 0 }, usd: 0 },
} // biome-ignore format: one balance, one line
for (const [what, { fields, usd }] of Object.entries(BALANCES)) {
  test(`the subscription of clients made for OpenAI shows ${what}`, async () => {
    const { key } = await issueKey(server, fields)
    expect((await ask(key, '/me/billing/subscription?whatever=1&whatever=2')).body).toEqual({
      object: 'billing_subscription',
      has_payment_method: true,
      soft_limit_usd: usd,
      hard_limit_usd: usd,
      system_hard_limit_usd: usd,
      access_until: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000,
    })
    expect((await ask(key, '/me/billing/usage')).body).toEqual({ object: 'list', total_usage: 0 })
  })
}

test('what such a client shows as left is what is left, whatever range it asks for', async () => {
  const { key, id } = await issueKey(server, { quota: 5, expires_at: '2096-01-01T00:00:00.900Z' })
  await server.admin('POST', `/admin/keys/${id}/credit`, { amount: 5 })
  for (let i = 0; i < 3; i++) await call(key)
  const subscription = await ask(key, '/me/billing/subscription')
  expect(subscription.body).toMatchObject({
    hard_limit_usd: 10,
    access_until: Date.UTC(2096, 0, 1) / 1000,
  })
  for (const query of [
    '',
    '?start_date=2026-01-01&end_date=2026-01-02',
    '?start_date=&start_date=x&_=1&_=2',
  ])
    expect((await ask(key, `/me/billing/usage${query}`)).body).toEqual({
      object: 'list',
      total_usage: 300,
    })
})
