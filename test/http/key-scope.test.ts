/** What a key is restricted to, as an operator writes it and reads it back. */
import { expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'

const server = await startServer()
const FIELDS = ['upstreams', 'methods', 'paths', 'models', 'ip_allow'] as const
const NOTHING = { upstreams: null, methods: null, paths: null, models: null, ip_allow: null }
const CANARY = 'zQ7canaryX'

type Body = Record<string, unknown>

async function ask(method: string, path: string, body?: unknown) {
  const response = await server.admin(method, path, body)
  return { status: response.status, body: (await response.json()) as Body }
}

/** Only what this file is about. */
function scopeOf(body: Body): Body {
  return Object.fromEntries(FIELDS.map((field) => [field, body[field]]))
}

async function stored(id: string): Promise<Body> {
  return scopeOf((await ask('GET', `/admin/keys/${id}`)).body)
}

/** The fields that a refusal names, each with what it must be. */
async function refused(body: Body): Promise<Record<string, string>> {
  const answer = await ask('POST', '/admin/keys', { name: 'x', quota: 1, ...body })
  expect({ body, status: answer.status }).toEqual({ body, status: 422 })
  expect(JSON.stringify(answer.body)).not.toContain(CANARY)
  const errors = answer.body['errors'] as { path: string; message: string }[]
  return Object.fromEntries(errors.map(({ path, message }) => [path, message]))
}

test('a key is unrestricted unless it is said', async () => {
  const { id } = await issueKey(server)
  expect(await stored(id)).toEqual(NOTHING)
  const explicit = await issueKey(server, NOTHING)
  expect(await stored(explicit.id)).toEqual(NOTHING)
})

test('a restriction is shown as it is kept, by every route that shows keys', async () => {
  const scope = {
    upstreams: ['open-ai', 'not-made-yet'],
    methods: ['get', 'Post', 'M-SEARCH', 'GET'],
    paths: ['/chat/**', '/{models,files}', '/名前/*'],
    models: ['gpt-4o*', 'openai/*', '*'],
    ip_allow: ['10.1.2.3/8', '2001:DB8:0::1', '::ffff:192.0.2.1', '::ffff:172.16.0.0/108'],
  }
  const kept = {
    ...scope,
    methods: ['GET', 'POST', 'M-SEARCH'],
    ip_allow: ['10.0.0.0/8', '2001:db8::1', '192.0.2.1', '172.16.0.0/12'],
  }
  const created = await ask('POST', '/admin/keys', { name: 'scoped', quota: 1, ...scope })
  expect(created.status).toBe(201)
  expect(scopeOf(created.body)).toEqual(kept)
  const id = String(created.body['id'])
  expect(await stored(id)).toEqual(kept)
  const list = (await ask('GET', '/admin/keys?limit=1')).body['data'] as Body[]
  expect(list.map(scopeOf)).toEqual([kept])
  expect(scopeOf((await ask('POST', `/admin/keys/${id}/reset`)).body)).toEqual(kept)
})

test('an empty list is kept, and is not the same as none', async () => {
  for (const field of FIELDS) {
    const { id } = await issueKey(server, { [field]: [] })
    expect(await stored(id)).toEqual({ ...NOTHING, [field]: [] })
  }
})

test('a change replaces the lists that it names, lifts those that it names as null, and leaves the rest', async () => {
  const { id } = await issueKey(server, { methods: ['GET'], paths: ['/a'] })
  const change = async (body: Body) => {
    const { status, body: key } = await ask('PATCH', `/admin/keys/${id}`, body)
    expect(status).toBe(200)
    expect(await stored(id)).toEqual(scopeOf(key))
    return scopeOf(key)
  }
  const before = { ...NOTHING, methods: ['GET'], paths: ['/a'] }
  expect(await change({ name: 'renamed', quota: 5 })).toEqual(before)
  expect(await change({ methods: ['PUT'] })).toEqual({ ...before, methods: ['PUT'] })
  expect(await change({ models: [], paths: null })).toEqual({
    ...NOTHING,
    methods: ['PUT'],
    models: [],
  })
  expect(await change({ ip_allow: ['::1'], methods: null })).toEqual({
    ...NOTHING,
    models: [],
    ip_allow: ['::1'],
  })
  expect(await change({ models: null, ip_allow: null })).toEqual(NOTHING)
  expect(await change({ upstreams: ['b'] })).toEqual({ ...NOTHING, upstreams: ['b'] })
})

test('every wrong entry is named at once, beside what else is wrong, and nothing is kept', async () => {
  const wrong = {
    upstreams: ['good', 'Bad', `${CANARY} `],
    methods: ['GET', `${CANARY} GET`],
    paths: [CANARY, '/good'],
    models: ['', 'good', `!${CANARY}`],
    ip_allow: [`${CANARY}.example`, '::1', '10.0.0.0/33'],
    timezone: CANARY,
  }
  const named = [
    'timezone', 'upstreams.1', 'upstreams.2', 'methods.1', 'paths.0', 'models.0', 'models.2', 'ip_allow.0', 'ip_allow.2',
  ] // biome-ignore format: a list
  const errors = await refused(wrong)
  expect(Object.keys(errors)).toEqual(named)
  for (const message of Object.values(errors)) expect(message).toStartWith('must be ')

  const { id } = await issueKey(server, { methods: ['GET'] })
  const changed = await ask('PATCH', `/admin/keys/${id}`, { ...wrong, methods: ['PUT'] })
  expect(changed.status).toBe(422)
  expect(await stored(id)).toEqual({ ...NOTHING, methods: ['GET'] })
})

test('every list of the wrong shape is named at once', async () => {
  const text = 'must be a list of at most 100 texts, or null'
  const wrong = {
    upstreams: CANARY,
    methods: { [CANARY]: 1 },
    paths: [1],
    models: [null],
    ip_allow: Array(101).fill('::1'),
  }
  expect(await refused(wrong)).toEqual(Object.fromEntries(FIELDS.map((field) => [field, text])))
})

const OUTERMOST: Record<(typeof FIELDS)[number], { right: string[]; wrong: string[] }> = {
  upstreams: {
    right: ['a', `a${'b'.repeat(62)}`, 'a-1-'],
    wrong: ['', 'A', '1a', '-a', 'a_b', 'a.b', 'a*', `a${'b'.repeat(63)}`, 'a\n'],
  },
  methods: {
    right: ["!#$%&'*+-.^_`|~0AZ", 'A'.repeat(32)],
    wrong: ['', 'GET ', 'GET,POST', 'a/b', 'GÉT', 'A'.repeat(33), 'GET\n'],
  },
  paths: {
    right: ['/', '/**', `/${'a'.repeat(255)}`, '/a b/%20/日本'],
    wrong: ['', 'a', '*', '**', '!/a', `/${'a'.repeat(256)}`, '/a\n', '/\u2028', '/\x7f'],
  },
  models: {
    right: ['*', 'a'.repeat(256), 'a!b', '/', 'Ünicode 模型'],
    wrong: ['', '!a', 'a'.repeat(257), 'a\u0001b', 'a\n'],
  },
  ip_allow: {
    right: ['0.0.0.0/0', '::/0', '255.255.255.255', 'fe80::1'],
    wrong: ['', 'localhost', '1.2.3.4:80', '1.2.3.4/33', '1.2.3', '01.2.3.4', '::1%lo', '[::1]', '::1/129', '1.2.3.4/08'],
  },
} // biome-ignore format: one entry beside another

for (const field of FIELDS) {
  const { right, wrong } = OUTERMOST[field]

  test(`the outermost right entries of ${field} are taken as they are`, async () => {
    for (const entry of right) {
      const { id } = await issueKey(server, { [field]: [entry] })
      expect(await stored(id)).toEqual({ ...NOTHING, [field]: [entry] })
    }
    const many = await issueKey(server, { [field]: Array(100).fill(right[0]) })
    expect(await stored(many.id)).toEqual({ ...NOTHING, [field]: [right[0]] })
  })

  test(`a wrong entry of ${field} is refused by its place`, async () => {
    for (const entry of wrong) {
      const errors = await refused({ [field]: [right[0], entry] })
      expect({ entry, places: Object.keys(errors) }).toEqual({ entry, places: [`${field}.1`] })
    }
  })
}
