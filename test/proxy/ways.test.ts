/** The three ways in for a call, and that all of them are one. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { CREDENTIAL, type Fixture, startFixture } from '../support/named-upstream.ts'
import { startUpstream } from '../support/upstream.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await startFixture()
})

type Answer = { method: string; path: string; headers: Record<string, string>; body: string }

/** Each takes the path after the base URL. */
const WAYS: Record<string, (key: string, path: string, init?: RequestInit) => Promise<Response>> = {
  'the envelope': (key, path, init = {}) =>
    fixture.server.call(key, {
      endpoint: `${fixture.upstream.url}/base${path}`,
      method: init.method ?? 'GET',
      ...(init.body != null && { body: String(init.body) }),
    }),
  'the name': (key, path, init) => fixture.pass(key, `/u/api${path}`, init),
  'the mount': (key, path, init) => fixture.pass(key, `/v1${path}`, init),
}

describe.each(Object.keys(WAYS))('by %s', (name) => {
  const go = WAYS[name] as (typeof WAYS)[string]

  test('a call reaches the upstream under its base URL, with the credential and without the key', async () => {
    const { key } = await fixture.issue()
    const answer = (await (await go(key, '/a/b?x=1&y=%20')).json()) as Answer
    expect(answer).toMatchObject({ method: 'GET', path: '/base/a/b?x=1&y=%20' })
    expect(answer.headers['authorization']).toBe(`Bearer ${CREDENTIAL}`)
    expect(JSON.stringify(answer)).not.toContain(key)
    expect(answer.headers['via']).toBe('1.1 quota-proxy')
  })

  test('it is charged once, and its ledger entry bears the name of the upstream', async () => {
    const { key, id } = await fixture.issue({ quota: 5 })
    const response = await go(key, '/charged')
    expect(response.headers.get('x-quota-remaining')).toBe('4')
    await settled(fixture.server)
    const calls = await fixture.server.admin('GET', `/admin/calls?key=${id}`)
    expect(await calls.json()).toMatchObject({
      data: [{ upstream: 'api', outcome: 'answered', requests: { charged: 1 } }],
    })
  })

  test('a key that is used up, disabled, expired or unknown never reaches the upstream', async () => {
    const used = await fixture.issue({ quota: 0 })
    const disabled = await fixture.issue({ enabled: false })
    const expired = await fixture.issue({ expires_at: '2020-01-01T00:00:00Z' })
    const before = fixture.upstream.seen.length
    const codes: string[] = []
    for (const key of [used.key, disabled.key, expired.key, 'trial_nobody']) {
      const { error } = (await (await go(key, '/x')).json()) as { error: { code: string } }
      codes.push(error.code)
    }
    expect(codes).toEqual([
      'insufficient_quota',
      'api_key_disabled',
      'api_key_expired',
      'invalid_api_key',
    ])
    expect(fixture.upstream.seen).toHaveLength(before)
  })

  test('the scope of the key holds', async () => {
    const scoped = await fixture.issue({ methods: ['GET'], paths: ['/ok/**'] })
    const elsewhere = await fixture.issue({ upstreams: ['other'] })
    const before = fixture.upstream.seen.length
    const code = async (response: Promise<Response>) => {
      const { error } = (await (await response).json()) as { error?: { code: string } }
      return error?.code
    }
    expect(await code(go(scoped.key, '/no'))).toBe('path_not_allowed')
    expect(await code(go(scoped.key, '/ok/x', { method: 'POST', body: 'x' }))).toBe(
      'method_not_allowed_for_key',
    )
    expect(await code(go(elsewhere.key, '/ok/x'))).toBe('target_not_allowed')
    expect(fixture.upstream.seen).toHaveLength(before)
    expect((await go(scoped.key, '/ok/x/y')).status).toBe(200)
  })
})

test('what is not under a base URL gets no credential, however it is spelled', async () => {
  const other = startUpstream()
  const near = await startFixture({}, undefined, {
    PROXY_EGRESS_ALLOW: `127.0.0.1,${other.host}`,
  })
  const { key } = await near.issue()
  const { url } = near.upstream
  for (const endpoint of [
    `${url}/bases`,
    `${url}/base/../secret`,
    `${url}/base/%2e%2e/secret`,
    `${url}/base%2f..%2fsecret`,
    `${url}/`,
    `${other.url}/base/x`,
  ]) {
    const response = await near.server.call(key, { endpoint })
    const text = await response.text()
    expect(`${endpoint} ${text.includes(CREDENTIAL)}`).toBe(`${endpoint} false`)
  }
  expect(JSON.stringify(other.seen.map(({ headers }) => [...headers]))).not.toContain(CREDENTIAL)
})

test('a path that hides a step upwards is refused and not sent', async () => {
  const { key } = await fixture.issue()
  const before = fixture.upstream.seen.length
  for (const path of ['/a%2f..%2fb', '/..%2fx', '/a/..;/b', '/%252e%252e/x', '/a%5c..%5cb']) {
    const response = await fixture.pass(key, `/v1${path}`)
    expect(`${path} ${response.status}`).toBe(`${path} 403`)
  }
  expect(fixture.upstream.seen).toHaveLength(before)
})

test('encoded slashes that step nowhere pass as they are', async () => {
  const { key } = await fixture.issue()
  const answer = (await (await fixture.pass(key, '/v1/projects/a%2Fb/x')).json()) as Answer
  expect(answer.path).toBe('/base/projects/a%2Fb/x')
})

test('a name that no upstream has is 404, and a disabled upstream has none', async () => {
  const { key } = await fixture.issue()
  const code = async (path: string) => {
    const response = await fixture.pass(key, path)
    const { error } = (await response.json()) as { error: { code: string } }
    return `${response.status} ${error.code}`
  }
  expect(await code('/u/nobody/x')).toBe('404 upstream_not_found')
  const other = await startFixture()
  await other.server.admin('PATCH', '/admin/upstreams/api', { enabled: false })
  const holder = await other.issue()
  expect((await other.pass(holder.key, '/u/api/x')).status).toBe(404)
  expect((await other.pass(holder.key, '/v1/x')).status).toBe(404)
  expect(other.upstream.seen).toHaveLength(0)
})

test('the key is never taken from the URL, and never sent on in it', async () => {
  const { key } = await fixture.issue()
  const before = fixture.upstream.seen.length
  expect((await fetch(`${fixture.server.url}/v1/x?key=${key}`)).status).toBe(401)
  expect((await fixture.pass(key, `/v1/x?key=${key}`)).status).toBe(422)
  expect(fixture.upstream.seen).toHaveLength(before)
})

test('TRACE and CONNECT are not passed on', async () => {
  const { key } = await fixture.issue()
  const before = fixture.upstream.seen.length
  const trace = Bun.spawnSync([
    ...['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-X', 'TRACE'],
    ...['-H', `Authorization: Bearer ${key}`, `${fixture.server.url}/v1/x`],
  ])
  expect(trace.stdout.toString()).toBe('405')
  expect(fixture.upstream.seen).toHaveLength(before)
})

test('the billing routes of a mount that is OpenAI-shaped are answered here, and cost nothing', async () => {
  const { key } = await fixture.issue({ quota: 50 })
  const before = fixture.upstream.seen.length
  await (await fixture.pass(key, '/v1/spent')).text()
  await settled(fixture.server)
  for (const base of ['/v1', '/u/api']) {
    const subscription = await fixture.pass(key, `${base}/dashboard/billing/subscription`)
    expect(await subscription.json()).toMatchObject({
      object: 'billing_subscription',
      hard_limit_usd: 50,
    })
    const usage = await fixture.pass(key, `${base}/dashboard/billing/usage?start_date=2026-01-01`)
    expect(await usage.json()).toMatchObject({ object: 'list', total_usage: 100 })
  }
  expect((await fixture.pass('trial_nobody', '/v1/dashboard/billing/usage')).status).toBe(401)
  expect(fixture.upstream.seen).toHaveLength(before + 1)
  const plain = await startFixture({ meter: { kind: 'none' } })
  const holder = await plain.issue()
  await plain.pass(holder.key, '/v1/dashboard/billing/usage')
  expect(plain.upstream.seen.map(({ path }) => path)).toEqual(['/base/dashboard/billing/usage'])
})

test('a body that could ask for more than it seems to is refused where tokens are metered, and costs nothing', async () => {
  const { key, id } = await fixture.issue()
  const before = fixture.upstream.seen.length
  const headers = { 'content-type': 'application/json' }
  for (const body of [
    '{"model":"m","stream":true,"stream":true}',
    '{"model":"m","Model":"n"}',
    '[{"model":"m"}]',
    '{"model":"m"',
  ]) {
    const response = await fixture.pass(key, '/v1/chat', { method: 'POST', headers, body })
    const { error } = (await response.json()) as { error: { code: string } }
    expect(`${body} ${response.status} ${error.code}`).toBe(`${body} 422 invalid_request`)
  }
  expect(fixture.upstream.seen).toHaveLength(before)
  const shown = await fixture.server.admin('GET', `/admin/keys/${id}`)
  expect(await shown.json()).toMatchObject({ used: 0 })
  const plain = await startFixture({ meter: { kind: 'none' } })
  const holder = await plain.issue()
  const body = '{"model":"m","model":"n"}'
  const passed = await plain.pass(holder.key, '/v1/chat', { method: 'POST', headers, body })
  expect((await passed.json()) as Answer).toMatchObject({ body })
})

test('what a whole answer reports is in its headers already, and an error that reports nothing costs no tokens', async () => {
  const usage = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 }
  const api = await startFixture({}, (_, { body }) =>
    body.includes('wrong') ? new Response('{}', { status: 400 }) : Response.json({ usage }),
  )
  const limits = [{ name: 'tokens', unit: 'tokens', amount: 10_000, window: 'lifetime' }]
  const { key } = await api.issue({ limits })
  const left = async (model: string) => {
    const response = await api.pass(key, '/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, max_tokens: 500 }),
    })
    await response.text()
    await settled(api.server)
    return Number(response.headers.get('x-ratelimit-remaining-tokens'))
  }
  expect(await left('right')).toBe(9_979)
  expect(await left('wrong')).toBe(9_979)
  expect(await left('right')).toBe(9_958)
})
