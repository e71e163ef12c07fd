/**
 * Who may call what. Every route of the API document stands in the table below; one that is missing there, or that lets
 * a stranger in, fails here.
 */
import { expect, test } from 'bun:test'
import { request } from 'node:http'
import { onPostgres } from '../support/engine.ts'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

const WHO: Readonly<Record<string, 'anyone' | 'holder' | 'operator'>> = {
  'GET /healthz': 'anyone',
  'GET /readyz': 'anyone',
  'POST /proxy': 'holder',
  'GET /u/{upstream}/{path}': 'holder',
  'POST /u/{upstream}/{path}': 'holder',
  'POST /admin/keys': 'operator',
  'GET /admin/keys': 'operator',
  'GET /admin/keys/{key}': 'operator',
  'PATCH /admin/keys/{key}': 'operator',
  'DELETE /admin/keys/{key}': 'operator',
  'POST /admin/keys/{key}/reset': 'operator',
  'POST /admin/keys/{key}/credit': 'operator',
  'POST /admin/keys/{key}/rotate': 'operator',
  'GET /admin/keys/{key}/adjustments': 'operator',
  'POST /admin/upstreams': 'operator',
  'GET /admin/upstreams': 'operator',
  'GET /admin/upstreams/{name}': 'operator',
  'PATCH /admin/upstreams/{name}': 'operator',
  'DELETE /admin/upstreams/{name}': 'operator',
  'GET /admin/usage': 'operator',
  'GET /admin/calls': 'operator',
  'GET /admin/calls/{id}': 'operator',
  'GET /admin/doctor': 'operator',
  'GET /admin/replicas': 'operator',
  'GET /admin/backups': 'operator',
  'POST /admin/backups': 'operator',
  'GET /me': 'holder',
  'GET /me/usage': 'holder',
  'GET /me/billing/subscription': 'holder',
  'GET /me/billing/usage': 'holder',
  'GET /me/calls/{id}': 'holder',
}

const server = await startServer()
const { adminToken } = server
const holder = await issueKey(server)
const documented = await routesOf(`${server.url}/swagger/json`)

type Sent = {
  readonly method: string
  readonly path: string
  readonly headers?: object
  readonly body?: string | undefined
}
type Answer = { status: number; headers: Record<string, unknown>; code: unknown }

async function routesOf(url: string): Promise<string[]> {
  const { paths } = (await (await fetch(url)).json()) as { paths: Record<string, object> }
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
}

/** Wrong tokens are counted by address, so each test comes from its own. */
function send(from: string, { method, path, headers = {}, body }: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url)
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const options = { hostname, port, localAddress: from, method, path }
    const sending = request({ ...options, headers: { ...headers, ...length } }, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        const parsed = text === '' ? {} : JSON.parse(text)
        const { statusCode: status = 0, headers: answered } = response
        resolve({ status, headers: answered, code: parsed.code ?? parsed.error?.code ?? null })
      })
    })
    sending.on('error', reject)
    sending.end(body)
  })
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const operatorRoutes = documented.filter((route) => WHO[route] === 'operator')

test('every route has a row that says who may call it', () => {
  expect([...documented].sort()).toEqual(Object.keys(WHO).sort())
  expect(documented.filter((route) => / \/admin/.test(route))).toEqual(operatorRoutes)
})

const STRANGERS: Record<string, { headers: object; code: string }> = {
  'no token': { headers: {}, code: 'missing_admin_token' },
  'an empty token': { headers: { authorization: 'Bearer ' }, code: 'missing_admin_token' },
  'a wrong token': { headers: bearer('f'.repeat(20)), code: 'invalid_admin_token' },
  'a part of the token': { headers: bearer(adminToken.slice(0, -1)), code: 'invalid_admin_token' },
  'the token and more': { headers: bearer(`${adminToken}0`), code: 'invalid_admin_token' },
  'a key instead': { headers: bearer(holder.key), code: 'invalid_admin_token' },
  'the token under Basic': {
    headers: { authorization: `Basic ${btoa(`admin:${adminToken}`)}` },
    code: 'missing_admin_token',
  },
  'the token without a scheme': {
    headers: { authorization: adminToken },
    code: 'missing_admin_token',
  },
  'the token where keys go': {
    headers: { 'x-api-key': adminToken },
    code: 'missing_admin_token',
  },
}

const BODIES = [undefined, '{"name":', '{"quota":-1}', '[]', '\u{fffd}'.repeat(100_000)]

operatorRoutes.forEach((route, i) => {
  const [method = '', template = ''] = route.split(' ')
  const path = template.replace(/\{\w+\}/, holder.id)
  for (const [j, [who, { headers, code }]] of Object.entries(STRANGERS).entries()) {
    test(`${route} answers ${who} with ${code}, whatever else is wrong`, async () => {
      const bodies = method === 'GET' ? [undefined] : BODIES
      for (const [k, body] of bodies.entries()) {
        // Three wrong tokens from one address are not throttled yet.
        const from = `127.${i + 1}.${j + 1}.${k + 1}`
        const type = body === undefined ? {} : { 'content-type': 'application/json' }
        for (const query of ['', '?nonsense=1&limit=x', `?token=${adminToken}`]) {
          const sent = { method, path: path + query, headers: { ...headers, ...type }, body }
          expect(await send(from, sent)).toMatchObject({
            status: 401,
            code,
            headers: { 'www-authenticate': 'Bearer realm="quota-proxy admin"' },
          })
        }
      }
    })
  }

  test(`${route} lets the operator in`, async () => {
    const { key } = await issueKey(server)
    const target = template.replace(/\{\w+\}/, key)
    const { status } = await send('127.0.1.1', {
      method,
      path: target,
      headers: bearer(adminToken),
    })
    // To back up PostgreSQL takes programs that not every machine has.
    const isBackup = onPostgres && route === 'POST /admin/backups'
    expect([200, 201, 404, 422, ...(isBackup ? [500] : [])]).toContain(status)
  })
})

for (const route of documented.filter((one) => WHO[one] === 'holder')) {
  const [method = '', template = ''] = route.split(' ')
  const path = template.replace(/\{\w+\}/, 'call_1')
  const unknown = 'an-unknown-key-of-nobody'
  for (const [who, headers, code] of [
    ['no key', {}, 'missing_api_key'],
    ['an unknown key', { 'x-api-key': unknown }, 'invalid_api_key'],
    ['the admin token', bearer(adminToken), 'invalid_api_key'],
  ] as const) {
    test(`${route} answers ${who} with ${code}`, async () => {
      const body = method === 'GET' ? undefined : '{}'
      const refused = await send('127.0.1.1', { method, path, headers, body })
      expect(refused).toMatchObject({ status: 401, code })
    })
  }
}

test('the scheme may be written in any letter case, with more than one space', async () => {
  for (const authorization of [`bearer ${adminToken}`, `BEARER   ${adminToken}`]) {
    const sent = { method: 'GET', path: '/admin/keys', headers: { authorization } }
    expect(await send('127.0.1.2', sent)).toMatchObject({ status: 200 })
  }
})

test('HEAD is guarded like GET', async () => {
  expect(await send('127.0.1.3', { method: 'HEAD', path: '/admin/keys' })).toMatchObject({
    status: 401,
  })
  const headers = bearer(adminToken)
  expect(await send('127.0.1.3', { method: 'HEAD', path: '/admin/keys', headers })).toMatchObject({
    status: 200,
  })
})

test('more than ten wrong tokens a minute from one address are throttled, and only there', async () => {
  const path = '/admin/keys'
  const guess = (from: string, token: string) =>
    send(from, { method: 'GET', path, headers: bearer(token) })
  // Forgetting the token is no guess.
  for (let i = 0; i < 20; i++) await send('127.0.1.5', { method: 'GET', path })
  for (let i = 0; i < 10; i++)
    expect(await guess('127.0.1.5', `guess-${i}`)).toMatchObject({
      status: 401,
      code: 'invalid_admin_token',
    })
  for (let i = 0; i < 3; i++) {
    const refused = await guess('127.0.1.5', `guess-1${i}`)
    expect(refused).toMatchObject({ status: 429, code: 'too_many_attempts' })
    const wait = Number(refused.headers['retry-after'])
    expect(wait).toBeWithin(1, 61)
    // The right token is never locked out.
    expect(await guess('127.0.1.5', adminToken)).toMatchObject({ status: 200 })
  }
  expect(await guess('127.0.1.6', 'guess')).toMatchObject({
    status: 401,
    code: 'invalid_admin_token',
  })
})

test('wrong tokens are counted by what one subscriber has: an IPv4 address in any spelling, and an IPv6 /64', async () => {
  const behind = await startServer({ TRUSTED_PROXIES: '127.0.0.1' })
  const guess = async (from: string) => {
    const headers = { ...bearer('a-wrong-one'), 'x-forwarded-for': from }
    return (await fetch(`${behind.directUrl}/admin/keys`, { headers })).status
  }
  const of = (address: (i: number) => string) =>
    Array.from({ length: 12 }, (_, i) => guess(address(i)))
  const throttled = [...Array.from({ length: 10 }, () => 401), 429, 429]
  // The host numbers differ in their first bits and in their last.
  const slash64 = (i: number) => `2001:db8:7:1:${(i << 12).toString(16)}::${i + 1}`
  expect((await Promise.all(of(slash64))).sort()).toEqual(throttled)
  // Neighbours are others.
  expect(await guess('2001:db8:7:2::1')).toBe(401)
  const mixed = (i: number) => (i % 2 === 0 ? '192.0.2.7' : '::ffff:192.0.2.7')
  expect((await Promise.all(of(mixed))).sort()).toEqual(throttled)
  expect(await Promise.all(of((i) => `::ffff:198.51.100.${i + 1}`))).toEqual(Array(12).fill(401))
  expect(await behind.stop()).toBe(0)
})

test('what a stranger was refused has changed nothing', async () => {
  const { body } = await fetch(`${server.url}/admin/keys`, { headers: bearer(adminToken) }).then(
    async (response) => ({ body: await response.text() }),
  )
  expect(body).toContain(holder.id)
  const shown = await server.admin('GET', `/admin/keys/${holder.id}`)
  expect(await shown.json()).toMatchObject({ name: 'test', quota: 1000, used: 0 })
  const logs = await settledLogs(server)
  expect([adminToken, holder.key].filter((secret) => logs.includes(secret))).toEqual([])
})
