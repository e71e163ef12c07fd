/**
 * The API document against the service that it describes: every route is in it, and whatever a route really answers has
 * the documented form. Schemas are checked by the linter's own validator: real answers stand in as examples.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { type AppOptions, createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import {
  type Called,
  codeOf,
  codesOf,
  type Document,
  insert,
  operationsOf,
  type Refusal,
} from '../support/api-document.ts'
import { onPostgres } from '../support/engine.ts'
import { lint } from '../support/redocly.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

/** Pages for people, ways to say no, and what Prometheus reads. */
const HIDDEN = [
  'ALL /proxy',
  'GET /',
  'GET /metrics',
  'GET /favicon.ico',
  'GET /swagger',
  'GET /swagger/json',
  'GET /swagger/page.css',
  'GET /swagger/start.js',
  'GET /swagger/swagger-ui-bundle.js',
  'GET /swagger/swagger-ui.css',
]

/** The linter starts anew each time, which takes seconds on a busy machine. */
setDefaultTimeout(60_000)

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const document = await readDocument()
const operations = operationsOf(document)

test('the document has no error and no warning under the recommended rules', async () => {
  expect(await lint(document, 'recommended')).toEqual([])
})

test('every example in the document is of its schema', async () => {
  expect(await lint(document)).toEqual([])
})

test('every route of the service is in the document, and nothing else is', async () => {
  const routes = await registeredRoutes()
  const documented = operations.map(({ method, path }) => `${method} ${path}`)
  expect(routes.filter((route) => !HIDDEN.includes(route)).sort()).toEqual(documented.sort())
  expect(HIDDEN.filter((route) => !routes.includes(route))).toEqual([])
})

for (const operation of operations) {
  const { operationId, path } = operation
  test(`${operationId} tells what it takes, what it answers, what it refuses and who may call it`, () => {
    expect(operation.summary).toBeTruthy()
    expect(operation.description).toBeTruthy()
    expect(operation.tags).toHaveLength(1)

    const scheme = path.startsWith('/admin/') ? 'adminToken' : 'apiKey'
    const open = path === '/healthz' || path === '/readyz'
    expect(operation.security).toEqual(open ? [] : [{ [scheme]: [] }])

    const statuses = Object.keys(operation.responses)
    expect(statuses.some((status) => status.startsWith('2'))).toBeTrue()
    if (!open) for (const status of ['401', '500', '503']) expect(statuses).toContain(status)

    const bodies = [operation.requestBody, ...Object.values(operation.responses)]
    for (const media of bodies.flatMap((body) => Object.values(body?.content ?? {}))) {
      expect(media).toHaveProperty('schema')
      expect(media.example ?? Object.keys(media.examples ?? {})).not.toEqual([])
    }
  })
}

test('what every route really answers has the documented form', async () => {
  const { key, id } = await issueKey(server)
  const real = structuredClone(document)
  // Deleting comes last: the others need the key.
  const order = operations.toSorted(
    (one, other) => Number(one.method === 'DELETE') - Number(other.method === 'DELETE'),
  )
  await server.admin('POST', '/admin/upstreams', { name: 'local', base_url: upstream.url })
  const call = await server.call(key, { endpoint: `${upstream.url}/` })
  const callId = call.headers.get('x-quota-charge-id') ?? ''
  for (const operation of order) {
    // To back up PostgreSQL takes programs that not every machine has.
    if (onPostgres && operation.operationId === 'createBackup') continue
    const params = { key: id, id: callId, upstream: 'local', path: 'models' }
    const response = await request(operation, params, key)
    // Together with the status, for a message that says what went wrong.
    const body = await response.text()
    expect({ id: operation.operationId, ok: response.ok, body }).toMatchObject({ ok: true })
    insert(real, operation, response, JSON.parse(body))
  }
  expect(await lint(real)).toEqual([])
})

test('an answer of another form, or with a member that is not documented, would be found', async () => {
  const { key, id } = await issueKey(server)
  const getKey = operations.find(({ operationId }) => operationId === 'getKey')
  if (!getKey) throw new Error('There is no getKey.')
  const response = await request(getKey, { key: id })
  const answer = (await response.json()) as object
  for (const wrong of [
    { ...answer, secret: key },
    { ...answer, used: '1' },
    { ...answer, created_at: 'yesterday' },
    { ...answer, status: 'lost' },
    { ...answer, name: undefined },
  ]) {
    const real = structuredClone(document)
    insert(real, getKey, response, wrong)
    expect(await lint(real)).toHaveLength(1)
  }
})

test('a stranger is refused by every route as documented, and by no probe', async () => {
  const real = structuredClone(document)
  for (const operation of operations) {
    const response = await request({ ...operation, security: [] })
    const open = operation.security.length === 0
    expect({ id: operation.operationId, status: response.status }).toMatchObject({
      status: open ? 200 : 401,
    })
    if (open) continue
    const body = (await response.json()) as Refusal
    expect(codesOf(operation, 401)).toContain(codeOf(body))
    insert(real, operation, response, body)
  }
  expect(await lint(real)).toEqual([])
})

test('every refusal that can be provoked is documented by status and code', async () => {
  const { key } = await issueKey(server)
  const { key: used } = await issueKey(server, { quota: 0 })
  const { key: disabled } = await issueKey(server, { enabled: false })
  const target = { endpoint: `${upstream.url}/` }
  const json = { 'content-type': 'application/json' }
  const refusals: [operationId: string, code: string, Response][] = [
    ['createKey', 'validation_failed', await server.admin('POST', '/admin/keys', { quota: -1 })],
    ['createKey', 'validation_failed', await server.admin('POST', '/admin/keys', { name: 'a', quota: '1' })],
    ['createKey', 'key_already_exists', await server.admin('POST', '/admin/keys', { name: 'a', quota: 1, key })],
    ['createKey', 'invalid_json', await admin('POST', '/admin/keys', '{', json)],
    ['createKey', 'unsupported_media_type', await admin('POST', '/admin/keys', '{}', { 'content-type': 'text/plain' })],
    ['createKey', 'request_too_large', await admin('POST', '/admin/keys', ' '.repeat(300_000), json)],
    ['listKeys', 'validation_failed', await server.admin('GET', '/admin/keys?limit=0')],
    ['getKey', 'key_not_found', await server.admin('GET', '/admin/keys/key_00000000000000000000')],
    ['proxyCall', 'invalid_api_key', await server.call('nonsense', target)],
    ['proxyCall', 'api_key_disabled', await server.call(disabled, target)],
    ['proxyCall', 'insufficient_quota', await server.call(used, target)],
    ['proxyCall', 'invalid_request', await server.call(key, { nonsense: true })],
    ['proxyCall', 'target_not_allowed', await server.call(key, { endpoint: 'http://127.0.0.1:1/' })],
  ] // biome-ignore format: one refusal, one line
  const real = structuredClone(document)
  for (const [id, code, response] of refusals) {
    const operation = operations.find(({ operationId }) => operationId === id)
    if (!operation) throw new Error(`There is no ${id}.`)
    const body = (await response.json()) as Refusal
    expect(codeOf(body)).toBe(code)
    expect(codesOf(operation, response.status)).toContain(code)
    insert(real, operation, response, body)
  }
  expect(await lint(real)).toEqual([])
})

test('every header that tells a key holder of the quota is documented', async () => {
  const { key } = await issueKey(server, { window: 'day' })
  const response = await server.call(key, { endpoint: `${upstream.url}/` })
  const documented = Object.keys(
    document.paths['/proxy']?.['post']?.responses['200']?.headers ?? {},
  )
  const sent = [...response.headers.keys()].filter((name) =>
    /^(ratelimit|x-quota|x-request)/.test(name),
  )
  expect(sent.sort()).toEqual(documented.map((name) => name.toLowerCase()).sort())
})

test('the envelope has exactly the documented fields', async () => {
  const { key } = await issueKey(server)
  const refusal = await (await server.call(key, { nonsense: true })).text()
  const known = /the known ones are ([a-z_, ]+)/.exec(refusal)?.[1]?.split(', ')
  expect(known).toEqual(Object.keys(document.components.schemas['Envelope']?.properties ?? {}))
})

test('whoever reads an amount of money is told that it is in micro-units', () => {
  for (const name of ['Me', 'OwnLimit', 'OwnUsage'])
    expect([name, JSON.stringify(document.components.schemas[name])]).toEqual([
      name,
      expect.stringContaining('micro-units'),
    ])
})

async function readDocument(): Promise<Document> {
  const response = await fetch(`${server.url}/swagger/json`)
  // A route that does not say what it refuses with is named in the log.
  if (!response.ok) throw new Error(server.logs())
  return (await response.json()) as Document
}

/** Of an app that is wired and never asked: its store has nothing but what wiring asks of it. */
async function registeredRoutes(): Promise<string[]> {
  const loaded = loadConfig({ DATA_DIR: temporaryDirectory() })
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  const { api } = await createApp({
    settings: () => loaded.config,
    store: {
      upstreams: { list: async () => [] as object[] },
      capabilities: { sharedFile: null, backups: { ok: false, reason: '' } },
      ledger: { watch() {} },
      replicas: {},
      reads: () => ({}),
      watchUpstreams() {},
    } as unknown as AppOptions['store'],
    adminToken: () => 'unused',
    log: createLog('error', 'json'),
    clock: systemClock,
    readiness: () => 'ready',
    tracer: null,
    certificateExpiresAt: () => null,
    callsMax: 0,
  })
  return api.routes.map(({ method, path }) => `${method} ${path.replace(/:([^/]+)/g, '{$1}')}`)
}

/** Sends what the document gives as examples, with `known` in place of the ids among them. */
function request(
  { method, path, security, parameters = [], requestBody }: Called,
  known: Record<string, string> = {},
  key = '',
): Promise<Response> {
  const url = parameters
    .filter((parameter) => parameter.in === 'path')
    .reduce(
      (text, { name, example }) => text.replace(`{${name}}`, known[name] ?? String(example)),
      server.url + path,
    )
  const example = Object.values(requestBody?.content ?? {})[0]?.example
  const body = path === '/proxy' ? { endpoint: `${upstream.url}/` } : example
  const scheme = Object.keys(security[0] ?? {})[0]
  return fetch(url, {
    method,
    headers: {
      ...(scheme === 'adminToken' && { authorization: `Bearer ${server.adminToken}` }),
      ...(scheme === 'apiKey' && { 'x-api-key': key }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

function admin(method: string, path: string, body: string, headers: Record<string, string>) {
  const authorization = `Bearer ${server.adminToken}`
  return fetch(server.url + path, { method, body, headers: { ...headers, authorization } })
}
