/** What an operator does with one key: issue, import, look at, change, reset and delete it. */
import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const NEVER = 'key_00000000000000000000'

type Body = Record<string, unknown>

async function ask(method: string, path: string, body?: unknown) {
  const response = await server.admin(method, path, body)
  return { status: response.status, body: (await response.json()) as Body }
}

async function call(key: string): Promise<{ status: number; code: unknown }> {
  const response = await server.call(key, { endpoint: upstream.url, body: 'x' })
  const { error } = (await response.json()) as { error?: { code: string } }
  return { status: response.status, code: error?.code ?? null }
}

test('a key takes all of its fields, and shows them again by id and by the whole key', async () => {
  const fields = {
    name: 'everything',
    quota: 10,
    expires_at: '2096-03-01T12:30:00+02:00',
    window: 'week',
    timezone: 'Europe/Berlin',
    week_start: 'sunday',
    limits: [
      { unit: 'tokens', amount: 5000, window: 'day', timezone: 'Asia/Tokyo' },
      { name: 'burst', unit: 'requests', amount: 3, window: 'minute' },
      { unit: 'cost', amount: null, window: 'lifetime', week_start: 'saturday' },
    ],
    concurrency: 4,
    reserve_max: { tokens: 8000 },
    prefix: 'team_a_',
    enabled: false,
    tags: ['red', 'blau'],
    metadata: { owner: { id: 7 }, note: null, list: [1, 'two'] },
  }
  const created = await ask('POST', '/admin/keys', fields)
  expect(created.status).toBe(201)
  const { key, ...shown } = created.body
  expect(key).toMatch(/^team_a_[0-9A-Za-z]{36}$/)
  const nothing = { credited: 0, used: 0 }
  const berlin = { timezone: 'Europe/Berlin', week_start: 'sunday' }
  const plain = { timezone: 'UTC', week_start: 'monday' }
  expect(shown).toMatchObject({
    name: 'everything',
    quota: 10,
    used: 0,
    remaining: 10,
    window: 'week',
    expires_at: '2096-03-01T10:30:00Z',
    enabled: false,
    status: 'disabled',
    concurrency: 4,
    reserve_max: { tokens: 8000 },
    tags: ['red', 'blau'],
    metadata: fields.metadata,
    last_used_at: null,
    limits: [
      { name: 'quota', unit: 'requests', amount: 10, window: 'week', ...berlin, ...nothing },
      { name: 'tokens-day', unit: 'tokens', amount: 5000, remaining: 5000, ...nothing },
      { name: 'burst', unit: 'requests', amount: 3, window: 'minute', ...plain, ...nothing },
      { name: 'cost-lifetime', amount: null, remaining: null, resets_at: null, ...nothing },
    ],
  })
  expect(await ask('GET', `/admin/keys/${shown['id']}`)).toEqual({ status: 200, body: shown })
  expect(await ask('GET', `/admin/keys/${key}`)).toEqual({ status: 200, body: shown })
})

test('a key that has expired or is disabled is refused, and works again when that is changed', async () => {
  const expired = await issueKey(server, { expires_at: '2020-01-01T00:00:00Z' })
  expect(await call(expired.key)).toEqual({ status: 401, code: 'api_key_expired' })
  expect(await ask('PATCH', `/admin/keys/${expired.id}`, { expires_at: null })).toMatchObject({
    body: { status: 'active', expires_at: null },
  })
  expect(await call(expired.key)).toEqual({ status: 200, code: null })

  const { key, id } = await issueKey(server)
  await ask('PATCH', `/admin/keys/${id}`, { enabled: false })
  expect(await call(key)).toEqual({ status: 401, code: 'api_key_disabled' })
  await ask('PATCH', `/admin/keys/${id}`, { enabled: true })
  expect(await call(key)).toEqual({ status: 200, code: null })
})

test('a change touches what it names and leaves the rest', async () => {
  const { key, id } = await issueKey(server, { limits: [dayLimit(9)], metadata: { a: 1 } })
  await call(key)
  await settled(server)
  const before = (await ask('GET', `/admin/keys/${id}`)).body
  const changes: Body[] = [
    { name: 'new name' },
    { tags: ['x'] },
    { metadata: { b: 2 } },
    { concurrency: 2 },
    { concurrency: null },
    { reserve_max: { cost: 5, tokens: 6 } },
    { reserve_max: null },
    { expires_at: '2096-01-01T00:00:00Z' },
    { enabled: false },
  ]
  let expected = before
  for (const change of changes) {
    const changed = await ask('PATCH', `/admin/keys/${key}`, change)
    const status = change['enabled'] === false ? 'disabled' : 'active'
    expected = { ...expected, ...change, status, updated_at: expect.any(String) }
    expect(changed).toEqual({ status: 200, body: expected })
    expect(await ask('GET', `/admin/keys/${id}`)).toEqual({ status: 200, body: expected })
  }
})

test('a new quota counts at once and keeps what was used: less, more, none and 0', async () => {
  const { key, id } = await issueKey(server, { quota: 3 })
  await call(key)
  await call(key)
  const set = async (quota: number | null) =>
    (await ask('PATCH', `/admin/keys/${id}`, { quota })).body
  expect(await set(1)).toMatchObject({ quota: 1, used: 2, remaining: 0 })
  expect(await call(key)).toEqual({ status: 429, code: 'insufficient_quota' })
  expect(await set(null)).toMatchObject({ quota: null, used: 2, remaining: null })
  expect(await call(key)).toEqual({ status: 200, code: null })
  expect(await set(4)).toMatchObject({ quota: 4, used: 3, remaining: 1 })
  expect(await call(key)).toEqual({ status: 200, code: null })
  expect(await set(0)).toMatchObject({ quota: 0, used: 4, remaining: 0 })
  expect(await call(key)).toMatchObject({ status: 429 })
})

test('another window starts afresh, and the same window again does not', async () => {
  const { key, id } = await issueKey(server, { quota: 3 })
  await call(key)
  const set = async (change: Body) => (await ask('PATCH', `/admin/keys/${id}`, change)).body
  expect(await set({ window: 'lifetime' })).toMatchObject({ used: 1, resets_at: null })
  expect(await set({ window: 'month' })).toMatchObject({
    used: 0,
    window: 'month',
    resets_at: expect.stringMatching(/-01T00:00:00Z$/),
  })
  await call(key)
  expect(await set({ window: 'month', quota: 2 })).toMatchObject({ used: 1, remaining: 1 })
  expect(await set({ timezone: 'Asia/Tokyo' })).toMatchObject({
    used: 0,
    resets_at: expect.stringMatching(/T15:00:00Z$/),
  })
})

test('limits are replaced as a whole, each keeping what it used if it stays what it was', async () => {
  const { key, id } = await issueKey(server, { limits: [dayLimit(9), burst(5)] })
  await call(key)
  const set = async (limits: unknown[]) =>
    (await ask('PATCH', `/admin/keys/${id}`, { limits })).body['limits']
  const main = { name: 'quota', used: 1 }
  expect(await set([dayLimit(20)])).toMatchObject([main, { name: 'daily', amount: 20, used: 1 }])
  expect(await set([dayLimit(20), burst(5)])).toMatchObject([
    main,
    { name: 'daily', used: 1 },
    { name: 'burst', used: 0 },
  ])
  expect(await set([{ ...dayLimit(20), window: 'week' }])).toMatchObject([
    main,
    { name: 'daily', window: 'week', used: 0 },
  ])
  expect(await set([dayLimit(0)])).toMatchObject([main, { name: 'daily', amount: 0 }])
  expect(await call(key)).toMatchObject({ status: 429 })
  expect(await set([])).toMatchObject([main])
  expect(await call(key)).toEqual({ status: 200, code: null })
})

test('two limits of one name are refused, and so is one called quota', async () => {
  for (const limits of [[burst(1), burst(2)], [{ ...burst(1), name: 'quota' }]]) {
    const refused = await ask('POST', '/admin/keys', { name: 'x', quota: 1, limits })
    const path = `limits.${limits.length - 1}.name`
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ path }] } })
  }
})

test('what is wrong with a limit is named where it was given, also beside the limits of the key', async () => {
  const limit = { unit: 'tokens', amount: 1, window: 'day' }
  const limits = [limit, { ...limit, name: 'other' }]
  const { id } = await issueKey(server, { name: 'named', quota: null, limits })
  const mars = { ...limit, timezone: 'Mars' }
  for (const [body, paths] of [
    [{ timezone: 'Mars' }, ['timezone']],
    [{ limits: [limit, { ...mars, name: 'b' }] }, ['limits.1.timezone']],
    [{ set_limits: [{ ...mars, name: 'b' }] }, ['set_limits.0.timezone']],
    [{ set_limits: [limit, limit] }, ['set_limits.1.name']],
    [{ set_limits: [{ ...limit, name: 'quota' }] }, ['set_limits.0.name']],
    [{ set_limits: [limit], remove_limits: ['quota'] }, ['remove_limits.0']],
    [{ set_limits: [limit], limits: [limit] }, ['limits']],
    [
      { set_limits: Array.from({ length: 15 }, (_, i) => ({ ...limit, name: `n${i}` })) },
      ['set_limits'],
    ],
  ] as const) {
    const response = await server.admin('PATCH', `/admin/keys/${id}`, body)
    const { errors = [] } = (await response.json()) as { errors?: { path: string }[] }
    expect([body, response.status, errors.map(({ path }) => path)]).toEqual([
      body,
      422,
      paths,
    ] as never)
  }
  const { limits: kept } = (await (await server.admin('GET', `/admin/keys/${id}`)).json()) as {
    limits: { name: string }[]
  }
  expect(kept.map(({ name }) => name)).toEqual(['quota', 'tokens-day', 'other'])
})

test('a reset starts every limit afresh, with a new quota, without one, and without a body', async () => {
  const { key, id } = await issueKey(server, { quota: 1, limits: [dayLimit(9)] })
  for (const [body, quota] of [
    [{ quota: 2 }, 2],
    [{}, 2],
    [undefined, 2],
    [{ quota: null }, null],
    [{ quota: 0 }, 0],
  ] as const) {
    await call(key)
    const reset = await ask('POST', `/admin/keys/${id}/reset`, body)
    expect(reset).toMatchObject({
      status: 200,
      body: { quota, used: 0, remaining: quota, limits: [{ used: 0 }, { used: 0, remaining: 9 }] },
    })
  }
  expect(await call(key)).toMatchObject({ status: 429 })
  await ask('POST', `/admin/keys/${key}/reset`, { quota: 1 })
  expect(await call(key)).toEqual({ status: 200, code: null })
})

test('a deleted key is gone for every route and refused on its next call', async () => {
  const { key, id } = await issueKey(server)
  expect(await call(key)).toEqual({ status: 200, code: null })
  expect(await ask('DELETE', `/admin/keys/${key}`)).toEqual({
    status: 200,
    body: { id, deleted: true },
  })
  expect(await call(key)).toEqual({ status: 401, code: 'invalid_api_key' })
  await expectGone(server, key)
  await expectGone(server, id)
})

test('a key that never was is a 404 for every route', async () => {
  await expectGone(server, NEVER)
  await expectGone(server, 'never-issued-key-1')
})

async function expectGone(of: TestServer, idOrKey: string): Promise<void> {
  const path = `/admin/keys/${idOrKey}`
  const answers = await Promise.all([
    of.admin('GET', path),
    of.admin('PATCH', path, { name: 'x' }),
    of.admin('DELETE', path),
    of.admin('POST', `${path}/reset`),
  ])
  for (const answer of answers) {
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ code: 'key_not_found' })
  }
}

function dayLimit(amount: number) {
  return { name: 'daily', unit: 'requests', amount, window: 'day' }
}

function burst(amount: number) {
  return { name: 'burst', unit: 'requests', amount, window: 'hour' }
}
