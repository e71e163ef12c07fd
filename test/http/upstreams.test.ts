/** Upstreams as an operator manages them: what is taken, what is refused by name, and that no secret is ever said again. */
import { afterEach, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

const CANARY = 'zQ7canaryX'
const SECRET = `sk-${CANARY}-operator`
const server = await startServer()
const environment = {
  UPSTREAM_BASE_URL: 'https://api.anthropic.com/',
  UPSTREAM_API_KEY: `${SECRET}-environment`,
  UPSTREAM_MOUNT: '/anthropic',
}
const other = await startServer(environment)

type Shown = Record<string, unknown> & { name: string; credential: object | null }
type Problem = { code: string; detail: string; errors?: { path: string; message: string }[] }

/** Every text that a server has answered or written, looked through after each test. */
const said: string[] = []

afterEach(async () => {
  for (const { name } of await list()) await send('DELETE', `/${name}`)
  said.push(await settledLogs(server), other.logs())
  expect(said.filter((text) => text.includes(CANARY))).toEqual([])
  for (const { events } of [server, other])
    expect(events().filter((event) => event['level'] === 'error')).toEqual([])
})

async function send<T = Shown>(method: string, path: string, body?: unknown, to = server) {
  const answer = await to.admin(method, `/admin/upstreams${path}`, body)
  const text = await answer.text()
  said.push(text, JSON.stringify([...answer.headers]))
  return { status: answer.status, body: JSON.parse(text) as T }
}

const create = (fields: object) => send('POST', '', { base_url: 'https://a.example', ...fields })
const change = (name: string, fields: object) => send('PATCH', `/${name}`, fields)

async function list(): Promise<Shown[]> {
  return (await send<{ data: Shown[] }>('GET', '')).body.data
}

test('a name, a base URL and a secret are enough', async () => {
  const { status, body } = await create({
    name: 'openai',
    base_url: 'https://API.openai.com/v1/',
    credential: { secret: SECRET },
  })
  expect(status).toBe(201)
  expect(body).toEqual({
    name: 'openai',
    base_url: 'https://api.openai.com/v1',
    mount: null,
    enabled: true,
    source: 'database',
    credential: { header: 'authorization', template: 'Bearer {secret}', set: true },
    headers: {},
    methods: null,
    paths: null,
    timeouts: { first_byte_ms: null, idle_ms: null, total_ms: null },
    body_bytes_max: null,
    charge_on: null,
    costs: [],
    meter: { kind: 'tokens', output_tokens_default: 1024 },
    prices: [],
    concurrency: null,
    retry_connect: false,
    cors_origins: [],
    model_aliases: {},
    cookies: false,
    forward_client: false,
    resend_safe: true,
    rewrite_urls: false,
    deferred_work: false,
    pass_locations: false,
    websocket_seconds_max: null,
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    updated_at: body['created_at'],
  })
  expect((await send('GET', '/openai')).body).toEqual(body)
  expect(await list()).toEqual([body])
  expect((await send('DELETE', '/openai')).body).toEqual({ name: 'openai', deleted: true } as never)
  expect(await list()).toEqual([])
})

const EVERYTHING = {
  base_url: 'http://127.0.0.1:11434/api',
  mount: '/v1/local',
  enabled: false,
  credential: { query: 'api_key', template: 'k-{secret}', set: true },
  headers: { 'openai-beta': 'assistants=v2', 'x-empty': '' },
  methods: ['GET', 'POST', 'M-SEARCH'],
  paths: ['/chat/**', '/models'],
  timeouts: { first_byte_ms: 1, idle_ms: 2000, total_ms: 3_600_000 },
  body_bytes_max: 1024,
  charge_on: 'success',
  costs: [{ method: 'POST', path: '/images/*', requests: 10 }, { path: '/**', requests: 0 }],
  meter: { kind: 'json', path: '$.usage.credits', unit: 'cost', estimate: 5 },
  prices: [
    { model: 'gpt-5*', input: 2_500_000, cached_input: 0, output: 10_000_000 },
    { model: '*', input: 1, output: 0 },
  ],
  concurrency: 8,
  retry_connect: true,
  cors_origins: [
    '*', 'https://app.example.com', 'http://localhost:3000', 'app://obsidian.md', 'tauri://localhost', 'capacitor://localhost',
    'chrome-extension://abcdefghijklmnop', 'moz-extension://1e2f-3a', 'safari-web-extension://8C22564E-1A2B', 'app://.',
  ], // biome-ignore format: a list
  model_aliases: { fast: 'gpt-5-mini', 'a/b': 'c:d' },
  cookies: true,
  forward_client: true,
  resend_safe: false,
  rewrite_urls: true,
  deferred_work: true,
  pass_locations: true,
  websocket_seconds_max: 3600,
} // biome-ignore format: one upstream

test('every setting is taken as it is, by a new upstream and by a change', async () => {
  const credential = { secret: SECRET, query: 'api_key', template: 'k-{secret}' }
  const made = await create({ name: 'all', ...EVERYTHING, credential })
  expect(made.status).toBe(201)
  expect(made.body).toMatchObject(EVERYTHING)

  const { status } = await create({ name: 'plain' })
  expect(status).toBe(201)
  const mount = '/v2/local'
  const changed = await change('plain', { ...EVERYTHING, mount, credential })
  expect(changed.status).toBe(200)
  expect(changed.body).toMatchObject({ ...EVERYTHING, mount, name: 'plain' })
})

test('a change changes what is given and leaves the rest, within an object too', async () => {
  const credential = { secret: SECRET, query: 'api_key', template: 'k-{secret}' }
  const { body: before } = await create({ name: 'a', ...EVERYTHING, credential })
  const timeouts = { ...EVERYTHING.timeouts, idle_ms: null }
  const { body: after } = await change('a', { enabled: true, timeouts: { idle_ms: null } })
  expect(after).toEqual({ ...before, enabled: true, timeouts, updated_at: after['updated_at'] })

  const nothing = { mount: null, methods: null, paths: null, concurrency: null, credential: null }
  expect((await change('a', { ...nothing, costs: [], prices: [] })).body).toEqual({
    ...after,
    ...{ ...nothing, costs: [], prices: [] },
    updated_at: expect.any(String),
  })
})

test('where a credential goes can be changed without giving its secret again', async () => {
  const placed = async (credential: object | null) =>
    (await change('a', { credential })).body.credential
  await create({ name: 'a', credential: { secret: SECRET } })
  expect(await placed({ header: 'X-API-Key' })).toEqual({
    header: 'x-api-key', template: '{secret}', set: true,
  }) // biome-ignore format: one credential
  expect(await placed({ template: 'key={secret}' })).toMatchObject({
    header: 'x-api-key',
    template: 'key={secret}',
  })
  expect(await placed({ query: 'k' })).toEqual({ query: 'k', template: '{secret}', set: true })
  expect(await placed({ secret: `${SECRET}-2` })).toEqual({
    query: 'k',
    template: '{secret}',
    set: true,
  })
  expect(await placed({ header: 'Authorization' })).toMatchObject({ template: 'Bearer {secret}' })
  expect(await placed(null)).toBeNull()
  const refused = await send<Problem>('PATCH', '/a', { credential: { header: 'x-api-key' } })
  expect(refused.body.errors).toEqual([
    { path: 'credential.secret', message: 'must be given: there is none yet' },
  ])
  await change('a', { base_url: 'https://api.anthropic.com' })
  expect(await placed({ secret: SECRET })).toMatchObject({
    header: 'x-api-key',
    template: '{secret}',
  })
})

test('upstreams are listed whole and by name, in the shape of every list', async () => {
  for (const name of ['b', 'c', 'a']) await create({ name })
  const { body } = await send<{ data: Shown[] }>('GET', '')
  expect(body).toMatchObject({ object: 'list', has_more: false, next: null })
  expect(body.data.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
})

test('what is not there is not found', async () => {
  for (const name of [
    'nobody',
    'A',
    'constructor',
    '%20',
    encodeURIComponent(`/${'x'.repeat(100)}`),
  ]) {
    expect((await send<Problem>('GET', `/${name}`)).body.code).toBe('upstream_not_found')
    expect((await send<Problem>('PATCH', `/${name}`, { enabled: true })).body.code).toBe(
      'upstream_not_found',
    )
    expect((await send<Problem>('DELETE', `/${name}`)).body.code).toBe('upstream_not_found')
  }
})

test('a name or a mount that is taken is refused, and changes nothing', async () => {
  await create({ name: 'a', mount: '/v1' })
  await create({ name: 'b', mount: '/v1/b' })
  const before = await list()
  for (const [method, path, fields, code] of [
    ['POST', '', { name: 'a', base_url: 'https://x.example' }, 'upstream_already_exists'],
    ['POST', '', { name: 'c', base_url: 'https://x.example', mount: '/v1' }, 'mount_taken'],
    ['PATCH', '/b', { mount: '/v1', enabled: false }, 'mount_taken'],
  ] as const) {
    const { status, body } = await send<Problem>(method, path, fields)
    expect({ status, code: body.code }).toEqual({ status: 409, code })
  }
  expect(await list()).toEqual(before)
})

test('all that is wrong is said at once, and by its place', async () => {
  const wrong = {
    base_url: 'ftp://example.com',
    mount: '/admin',
    credential: { secret: `${SECRET}\n`, header: 'Host', template: 'Bearer' },
    headers: { connection: 'close' },
    cors_origins: ['https://a.example', 'https://b.example/'],
    model_aliases: { a: '' },
  }
  const { status, body } = await send<Problem>('POST', '', { name: 'a', ...wrong })
  expect(status).toBe(422)
  expect(body.errors?.map(({ path }) => path).sort()).toEqual([
    'base_url', 'cors_origins.1', 'credential.header', 'credential.secret', 'credential.template', 'headers',
    'model_aliases', 'mount',
  ]) // biome-ignore format: a list
  const badTypes = { name: 'A', base_url: 1, enabled: 1, concurrency: 0, methods: ['get'] }
  const second = await send<Problem>('POST', '', badTypes)
  expect(second.body.errors?.map(({ path }) => path).sort()).toEqual(
    ['base_url', 'concurrency', 'enabled', 'methods', 'name'], // biome-ignore format: a list
  )
})

const NOT_TEXT = [1, true, [], [CANARY], { a: CANARY }]
const NOT_COUNTS = [0, -1, 0.5, 1e300, '1', CANARY, true, [], {}]
const CONTROL = ['\t', '\n', '\r', '\x1b[31m', '\x7f', '\u2028']
const prices = (fields: object) => [{ model: '*', input: 1, output: 1, ...fields }]
const costs = (fields: object) => [{ path: '/a', requests: 1, ...fields }]

const WRONG: Record<string, readonly unknown[]> = {
  base_url: [
    ...NOT_TEXT, null, '', CANARY, 'api.openai.com', '//a.example', `ftp://${CANARY}`, `https://${CANARY}:x@a.example`,
    `https://${CANARY}@a.example`, 'https://@a.example', `https://a.example/?${CANARY}`, `https://a.example/#${CANARY}`,
    'https://a.example?', 'https://a.example/#', 'https://a.example//v1', 'https://a.example/%2e%2e', 'https:a.example',
    'https:///a.example', `https://a.example\\${CANARY}`, ' https://a.example', 'https://a.example\n', 'https://a .example',
    `https://a.example/${'x'.repeat(9000)}`,
  ],
  mount: [
    ...NOT_TEXT, '', '/', 'v1', '/v1/', '//v1', '/v1//a', '/v1/..', '/./v1', '/v%31', '/v1?', '/v1#', '/v 1', `/${CANARY}\n`,
    '/é', '/*', '/:name', '/admin', '/admin/keys', '/ADMIN', '/proxy', '/u', '/u/openai', '/me/usage', '/healthz',
    '/readyz', '/swagger', '/metrics', `/${CANARY.repeat(30)}`,
  ],
  enabled: [null, 1, 'true', CANARY],
  credential: [
    ...NOT_TEXT, {}, { secret: null }, { secret: '' }, { secret: 1 }, { header: 'x-key' }, { template: '{secret}' },
    ...CONTROL.map((character) => ({ secret: `${CANARY}${character}x` })), { secret: ` ${CANARY}` }, { secret: `${CANARY}é` },
    { secret: CANARY.repeat(801) }, { secret: 's', header: 'h', query: 'q' },
    ...['', 'Host', 'Content-Length', 'connection', 'Transfer-Encoding', 'a b', 'a:', `${CANARY}\n`, 'é', 1]
      .map((header) => ({ secret: 's', header })),
    ...['', 'a=b', 'a&b', `${CANARY} `, 'é', null].map((query) => ({ secret: 's', query })),
    ...['', CANARY, '{secret}{secret}', '{SECRET}', `{secret}\n`, ' {secret}', 'é{secret}', 7]
      .map((template) => ({ secret: 's', template })),
    { secret: 's', [CANARY]: 1 },
  ],
  headers: [
    null, [], CANARY, { [CANARY]: 1 }, { [CANARY]: null }, { [CANARY]: `a\n${CANARY}` }, { [`${CANARY}\n`]: 'a' },
    { [CANARY]: ' a' }, { [CANARY]: 'é' }, { Host: 'a' }, { 'content-length': '1' }, { TE: 'a' }, { A: '1', a: '1' },
    Object.fromEntries(Array.from({ length: 65 }, (_, i) => [CANARY + i, '1'])),
  ],
  methods: [[], ['get'], [''], [CANARY], ['GET '], [1], CANARY, {}, Array(33).fill('GET')],
  paths: [[], [''], ['a'], [CANARY], ['/\n'], [1], '/a', Array(65).fill('/a')],
  timeouts: [
    null, [], 1, CANARY, { [CANARY]: 1 }, ...NOT_COUNTS.map((idle_ms) => ({ idle_ms })), { total_ms: 3_600_001 },
    { first_byte_ms: 0 },
  ],
  body_bytes_max: [...NOT_COUNTS, 1024 ** 3 + 1],
  charge_on: ['never', CANARY, 1, []],
  costs: [
    null, CANARY, {}, [1], [{}], ...[-1, 0.5, 1e7, '1', null].map((requests) => costs({ requests })),
    ...['', 'a', 1, `/${CANARY}\n`].map((path) => costs({ path })), costs({ method: 'get' }), costs({ [CANARY]: 1 }),
    Array(65).fill(costs({})[0]),
  ],
  meter: [
    null, CANARY, [], {}, { kind: CANARY }, { kind: 'none', [CANARY]: 1 }, { kind: 'tokens', output_tokens_default: -1 },
    { kind: 'json' }, ...['usage', '$', '$..a', '$.*', '$.a[*]', `$.${CANARY}[?(@.a)]`, '$.a b'].map((path) =>
      ({ kind: 'json', path, unit: 'cost', estimate: 1 })),
    { kind: 'json', path: '$.a', unit: 'requests', estimate: 1 }, { kind: 'json', path: '$.a', unit: 'cost', estimate: -1 },
  ],
  prices: [
    null, CANARY, {}, [1], [{}], [{ model: '*' }], ...[-1, 0.5, '1', null, 1e13].map((input) => prices({ input })),
    prices({ output: -1 }), prices({ cached_input: -1 }), prices({ cached_input: null }), prices({ model: '' }), prices({ model: '!a' }),
    prices({ model: `${CANARY}\n` }), prices({ [CANARY]: 1 }), Array(501).fill(prices({})[0]),
  ],
  concurrency: [...NOT_COUNTS, 100_001],
  retry_connect: [null, 1, 'true'],
  cors_origins: [
    null, CANARY, {}, [1], ...['', 'a.example', 'https://a.example/', 'https://a.example/a', 'HTTPS://a.example', 'null',
      'https://*.a.example', 'ftp://a.example', 'https://a.example:443', 'app://obsidian.md/', 'app://', 'app:obsidian', 'APP://a',
      'file://a', 'javascript://a', 'data://a', 'ws://a', 'app://a b', 'app://*', 'app://a@b', CANARY].map((origin) => [origin]),
    Array(65).fill('*'),
  ],
  model_aliases: [
    null, [], CANARY, { [CANARY]: 1 }, { [CANARY]: '' }, { '': CANARY }, { [`${CANARY}\n`]: 'a' }, { a: `${CANARY}\n` },
    { [CANARY]: 'x'.repeat(201) }, Object.fromEntries(Array.from({ length: 257 }, (_, i) => [CANARY + i, 'a'])),
  ],
  cookies: [null, 0, 'false'],
  forward_client: [null, 0, CANARY],
  resend_safe: [null, 0, CANARY],
  rewrite_urls: [null, 1, CANARY],
  deferred_work: [null, 1, CANARY],
  pass_locations: [null, 1, CANARY],
  websocket_seconds_max: [...NOT_COUNTS, 86_401],
} // biome-ignore format: tables

test('every setting has its wrong values here', () => {
  expect(Object.keys(WRONG).sort()).toEqual(Object.keys(EVERYTHING).sort())
})

for (const [field, values] of Object.entries(WRONG)) {
  test(`a wrong ${field} is refused by name, on a new upstream and as a change`, async () => {
    await create({ name: 'kept' })
    const before = await list()
    for (const value of values) {
      const fields = { name: 'x', base_url: 'https://a.example', [field]: value }
      for (const { status, body } of [
        await send<Problem>('POST', '', fields),
        await send<Problem>('PATCH', '/kept', { [field]: value }),
      ]) {
        expect({ value, status, code: body.code }).toEqual({
          value,
          status: 422,
          code: 'validation_failed',
        })
        const strangers = (body.errors ?? []).filter(({ path }) => path.split('.')[0] !== field)
        expect({ value, strangers }).toEqual({ value, strangers: [] })
        for (const { message } of body.errors ?? [])
          expect(message).toMatch(/^(must|has an unknown field|cannot)/)
      }
    }
    expect(await list()).toEqual(before)
  })
}

test('a name is checked, and cannot be changed', async () => {
  for (const name of [
    ...NOT_TEXT,
    null,
    '',
    'A',
    '1a',
    '-a',
    'a_b',
    'a.b',
    'a/b',
    'a\n',
    'é',
    'a'.repeat(64),
  ]) {
    const { status, body } = await send<Problem>('POST', '', {
      name,
      base_url: 'https://a.example',
    })
    expect({ name, status, path: body.errors?.[0]?.path }).toEqual({
      name,
      status: 422,
      path: 'name',
    })
  }
  await create({ name: 'a' })
  for (const fields of [
    { name: 'b' },
    { created_at: 'now' },
    { source: 'environment' },
    {},
    { [CANARY]: 1 },
  ])
    expect((await change('a', fields)).status).toBe(422)
})

test('no JSON at all makes the server fail, or changes anything that it does not answer for', async () => {
  const value = (field: string) =>
    fc.oneof(
      fc.constantFrom(...(WRONG[field] ?? [])),
      fc.constant(EVERYTHING[field as keyof typeof EVERYTHING]),
      fc.jsonValue({ stringUnit: 'binary' }),
    )
  const fields = fc.record(
    Object.fromEntries(Object.keys(EVERYTHING).map((field) => [field, value(field)])),
    { requiredKeys: [] },
  )
  await create({ name: 'changing' })
  await fc.assert(
    fc.asyncProperty(fields, async (sent) => {
      const created = await create({ name: 'x', ...sent })
      expect(created.status).toBeOneOf([201, 400, 422])
      if (created.status === 201) await send('DELETE', '/x')
      const old = (await send('GET', '/changing')).body
      const changed = await change('changing', sent)
      expect(changed.status).toBeOneOf([200, 400, 422])
      const now = (await send('GET', '/changing')).body
      expect(now).toEqual(changed.status === 200 ? changed.body : old)
      expect((await list()).map(({ name }) => name)).toEqual(['changing'])
    }),
    { numRuns: 60 },
  )
}, 60_000)

test('the upstream of the environment is shown and cannot be changed', async () => {
  const { body } = await send('GET', '/default', undefined, other)
  expect(body).toMatchObject({
    name: 'default',
    base_url: 'https://api.anthropic.com',
    mount: '/anthropic',
    source: 'environment',
    credential: { header: 'x-api-key', template: '{secret}', set: true },
    meter: { kind: 'tokens', output_tokens_default: 1024 },
    created_at: null,
    updated_at: null,
  })
  expect((await send<{ data: Shown[] }>('GET', '', undefined, other)).body.data).toEqual([body])
  for (const method of ['PATCH', 'DELETE']) {
    const fields = method === 'PATCH' ? { enabled: false } : undefined
    const refused = await send<Problem>(method, '/default', fields, other)
    expect({ status: refused.status, code: refused.body.code }).toEqual({
      status: 409,
      code: 'upstream_read_only',
    })
    expect(refused.body.detail).toContain('UPSTREAM_BASE_URL')
  }
  for (const [fields, code] of [
    [{ name: 'default' }, 'upstream_already_exists'],
    [{ name: 'a', mount: '/anthropic' }, 'mount_taken'],
  ] as const) {
    const refused = await send<Problem>(
      'POST',
      '',
      { base_url: 'https://a.example', ...fields },
      other,
    )
    expect(refused).toMatchObject({ status: 409, body: { code } })
  }
  expect((await send('GET', '/default', undefined, other)).body).toEqual(body)
})

test('an upstream is the same after a restart, and no file of the data directory holds its secret', async () => {
  const first = await startServer()
  const fields = { name: 'a', base_url: 'https://a.example', credential: { secret: SECRET } }
  const made = await send('POST', '', fields, first)
  await send('PATCH', '/a', { credential: { secret: `${SECRET}-2` } }, first)
  const holding = () =>
    readdirSync(first.dataDir, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .filter((name) => readFileSync(join(first.dataDir, name)).includes(CANARY))
  expect(holding()).toEqual([])
  await first.stop('SIGKILL')
  const second = await startServer({}, first.dataDir)
  expect((await send('GET', '/a', undefined, second)).body).toMatchObject({
    ...made.body,
    updated_at: expect.any(String),
  })
  await second.stop()
  expect(holding()).toEqual([])
  said.push(first.logs(), second.logs())
})
