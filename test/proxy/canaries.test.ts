/**
 * Secrets that lie in wait: every route, every failure, every log line and every file is looked through for the
 * operator's credentials, the holders' keys, the admin token and the secret key, plain or encoded.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import { type Canaries, filesBelow, findCanaries } from '../support/canaries.ts'
import { runCommand } from '../support/command.ts'
import { testDatabase } from '../support/database.ts'
import { onPostgres } from '../support/engine.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { COMMAND, issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { upgradeBytes } from '../support/sockets.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { exchange, type RawRequest, type RawUpstream, startRawUpstream } from '../support/wire.ts'

const SECRET_KEY = randomBytes(32)
const GIVEN = {
  'admin token': 'adm-b81f0c7e5d2a4936-tOkEn-0f9e8d7c6b5a',
  'credential of the environment': 'sk-env-5Jq2Wm8Rz4Tn7Vb1Kd9Xc3',
  'credential in a header': 'sk-hdr-9Pw3Lf6Yh2Gs8Qa5Ze1Uj4',
  // Whatever must be encoded in a URL.
  'credential in a query': 'sk-qry-7+Mn/4 Bv%2=8&Xk#1?Rt"6Ds',
  'credential with cookies': 'sk-cky-2Hf8Kw5Tz9Lx3Nq6Vc7Bm1',
  'credential that is replaced': 'sk-old-6Dj1Sg4Ya8Pk2We9Rm5Ux3',
} as const

let server: TestServer
let canaries: Canaries
let upstream: Upstream
let rude: RawUpstream
let key: string
let id: string
let victim: string
/** Everything that was answered to anyone, with where it came from. */
const said: [string, string][] = []

beforeAll(async () => {
  upstream = startUpstream(echo)
  rude = await startRawUpstream(misbehave)
  server = await startServer({
    LOG_LEVEL: 'debug',
    ADMIN_TOKEN: GIVEN['admin token'],
    SECRET_KEY: SECRET_KEY.toString('base64'),
    UPSTREAM_BASE_URL: `${upstream.url}/env`,
    UPSTREAM_API_KEY: GIVEN['credential of the environment'],
    UPSTREAM_MOUNT: '/v1',
    PROXY_EGRESS_ALLOW: '127.0.0.1',
  })
  const credential = { secret: GIVEN['credential in a header'] }
  const header = { credential, websocket_seconds_max: 60 }
  await add('header', { ...header, cors_origins: ['*'] })
  await add('query', { credential: { query: 'key', secret: GIVEN['credential in a query'] } })
  await add('cookies', { credential: { secret: GIVEN['credential with cookies'] }, cookies: true })
  await add('rude', { ...header, base_url: rude.url, timeouts: { first_byte_ms: 300 } })
  await add('nobody', { ...header, base_url: 'http://127.0.0.1:1' })
  await add('deleted', header)
  await add('replaced', { credential: { secret: GIVEN['credential that is replaced'] } })
  ;({ key, id } = await issueKey(server))
  const other = await issueKey(server)
  victim = other.key
  canaries = { ...GIVEN, 'secret key': SECRET_KEY, key, 'key of another': victim }
})

function add(name: string, fields: Record<string, unknown>): Promise<void> {
  const rest = { base_url: `${upstream.url}/${name}`, mount: `/m/${name}` }
  return addUpstream(server, { name, ...rest, ...fields })
}

/** Says in its headers, though not in its body, all that it was told; a refused credential also in the body. */
function echo(request: Request): Response {
  const { pathname, search } = new URL(request.url)
  const told = `${request.headers.get('authorization')} ${search}`
  const status = Number(/\/status\/(\d+)/.exec(pathname)?.[1] ?? 200)
  const headers = new Headers({
    'x-echo': told,
    'x-echo-decoded': decodeURIComponent(search),
    'x-request-id': told,
    'x-harmless': 'kept',
    location: `https://elsewhere.example/?token=${encodeURIComponent(told)}`,
    via: `1.1 ${told.replaceAll(' ', '')}`,
    'www-authenticate': `Bearer realm="${told}"`,
  })
  headers.append('set-cookie', `session=${encodeURIComponent(told)}`)
  headers.append('set-cookie', 'harmless=1')
  const refused = status === 401 || status === 403
  const body = status === 204 || status === 304 ? null : refused ? `wrong: ${told}` : 'fine'
  return new Response(body, { status, headers })
}

/** Breaks off or breaks the rules, with the credential in what it has said before. */
function misbehave(socket: import('node:net').Socket, { target, headers }: RawRequest): void {
  const told = headers.find(([name]) => name === 'authorization')?.[1] ?? ''
  const ok = `HTTP/1.1 200 OK\r\nX-Echo: ${told}\r\n`
  const answers: Record<string, string> = {
    '/reason': `HTTP/1.1 200 ${told}\r\nContent-Length: 2\r\n\r\nhi`,
    '/status': `HTTP/1.1 999 ${told}\r\nContent-Length: 0\r\n\r\n`,
    '/nul': `HTTP/1.1 200 OK\r\nX-Echo: a\0${told}\r\nContent-Length: 0\r\n\r\n`,
    '/nonsense': `${told}\r\n\r\n`,
    '/half': `${ok}X-Half`,
    '/length': `${ok}Content-Length: ${told}\r\n\r\nhi`,
    '/short': `${ok}Content-Length: 100\r\n\r\nhi`,
    '/chunk': `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n${told}\r\n`,
    '/trailer': `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Trailer: ${told}\r\n\r\n`,
    '/interim': `HTTP/1.1 103 Early\r\nLink: <${told}>\r\n\r\n${ok}Content-Length: 2\r\n\r\nhi`,
  }
  const answer = answers[target]
  if (answer !== undefined) socket.end(answer)
  else if (target === '/reset') socket.resetAndDestroy()
}

/** Remembers an answer whole. */
async function record(where: string, sent: Response | Promise<Response>): Promise<Response> {
  const response = await sent
  const { status, statusText } = response
  const body = await response.clone().text().catch(String)
  said.push([where, `${status} ${statusText} ${JSON.stringify([...response.headers])}\n${body}`])
  return response
}

function pass(path: string, init: RequestInit & { as?: string } = {}): Promise<Response> {
  const { as = key, ...rest } = init
  const headers = new Headers(rest.headers)
  headers.set('authorization', `Bearer ${as}`)
  return record(
    `${rest.method ?? 'GET'} ${path}`,
    fetch(server.url + path, { ...rest, headers, redirect: 'manual' }),
  )
}

/** What no answer, line or file may hold. */
function leaks(): string[] {
  return said
    .splice(0)
    .flatMap(([where, text]) => findCanaries(text, canaries).map((found) => `${found} in ${where}`))
}

test('what looks for secrets finds them, however they are written', () => {
  const secret = 'sk-0123456789-abcdefghij-KLMNOPQRST'
  const one = { secret }
  const found = (text: string | Buffer) => findCanaries(text, one).length > 0
  for (const before of ['', 'a', 'ab', 'abc']) {
    expect(found(Buffer.from(`${before}${secret}`).toString('base64'))).toBe(true)
    expect(found(Buffer.from(`${before}${secret}:x`).toString('base64url'))).toBe(true)
  }
  expect(found(`x${secret.toUpperCase()}`)).toBe(true)
  expect(found(secret.slice(4, -4))).toBe(true)
  expect(found(Buffer.from(secret).toString('hex'))).toBe(true)
  expect(found(secret.replace(/./g, (char) => `%${char.charCodeAt(0).toString(16)}`))).toBe(true)
  expect(findCanaries(SECRET_KEY, { key: SECRET_KEY })).toEqual(['key plain'])
  expect(findCanaries(`x ${SECRET_KEY.toString('base64')}`, { key: SECRET_KEY })).toEqual([
    'key base64',
  ])
  expect(found(secret.slice(0, 6) + secret.slice(-6))).toBe(false)
})

describe('no secret is in', () => {
  test('the answers of upstreams that say back in their headers what they were told', async () => {
    const ways = ['/v1', '/u/default', '/u/header', '/m/query', '/u/cookies']
    for (const way of ways) {
      for (const status of [200, 204, 302, 304, 400, 401, 403, 404, 429, 500, 503]) {
        const answer = await pass(`${way}/status/${status}`)
        const rejected = status === 401
        expect(answer.status).toBe(rejected ? 502 : status)
        expect(answer.headers.get('x-harmless')).toBe(rejected ? null : 'kept')
      }
      await record(
        `envelope to ${way}`,
        server.call(key, { endpoint: `${upstream.url}${way.replace(/.*\//, '/')}/x` }),
      )
    }
    const cookies = (await pass('/u/cookies/x')).headers.getSetCookie()
    expect(cookies).toEqual(['harmless=1'])
    expect(leaks()).toEqual([])
    // They were told indeed.
    const told = upstream.seen.map(({ path, headers }) => `${path} ${headers.get('authorization')}`)
    for (const name of [
      'credential of the environment',
      'credential in a header',
      'credential with cookies',
      'credential in a query',
    ] as const)
      expect(findCanaries(told.join('\n'), { [name]: GIVEN[name] })).not.toEqual([])
  })

  test('the answers for upstreams that fail, whatever they have said before', async () => {
    // In an order that never leaves ten failures in a row, at which nothing would be sent any more.
    const paths = ['reason', 'status', 'nul', 'interim', 'nonsense', 'half', 'trailer', 'length', 'short', 'chunk', 'reset', 'mute'] // biome-ignore format: a list
    for (const path of paths) {
      await pass(`/u/rude/${path}`).catch(() => {})
      await record(`envelope ${path}`, server.call(key, { endpoint: `${rude.url}/${path}` })).catch(
        () => {},
      )
    }
    await pass('/u/nobody/x')
    for (const path of [
      '/u/header/status/401',
      '/u/header/status/500',
      '/u/rude/nonsense',
      '/u/nobody/x',
    ]) {
      const fields = { authorization: `Bearer ${key}` }
      const answer = await exchange(server.url, upgradeBytes(path, fields))
      expect(answer.status).toBe(502)
      said.push([`WebSocket ${path}`, `${JSON.stringify(answer.headers)}${answer.body}`])
    }
    expect(rude.seen.length).toBeGreaterThanOrEqual(2 * paths.length)
    expect(leaks()).toEqual([])
  })

  test('the answers to calls that are wrong in every way, with secrets in the wrong places', async () => {
    for (const secret of [key, GIVEN['admin token'], GIVEN['credential in a header']]) {
      const inUrl = encodeURIComponent(secret)
      for (const path of [`/u/${inUrl}/x`, `/${inUrl}`, `/v1/..%2f${inUrl}`, `/proxy/${inUrl}`])
        await pass(path, { method: 'POST', body: '{}' })
      const envelopes: unknown[] = [
        { endpoint: `file:///${secret}` },
        { endpoint: `http://${secret}@127.0.0.1/` },
        { endpoint: `http://10.0.0.1/${secret}` },
        { endpoint: `${upstream.url}/x`, headers: { [`${secret}:`]: `${secret}\n` } },
        { endpoint: `${upstream.url}/x`, headers: { 'x-key': `k=${key}` } },
        { endpoint: `${upstream.url}/x`, method: secret },
        { endpoint: secret, [secret]: secret },
        secret,
      ]
      for (const envelope of envelopes) await record('a wrong envelope', server.call(key, envelope))
      for (const body of [secret, `{"endpoint":"${secret}`, `{"${secret}"`]) {
        const headers = { 'x-api-key': key, 'content-type': 'application/json' }
        await record('no JSON', fetch(`${server.url}/proxy`, { method: 'POST', headers, body }))
      }
      await record('a wrong key', server.call(`${secret}x`, {}))
      const two = { authorization: `Bearer ${secret}`, 'x-api-key': `${secret}y` }
      await record('two keys', fetch(`${server.url}/v1/x`, { headers: two }))
    }
    await pass(`/v1/x?key=${key}`)
    for (const bytes of [
      `GET /${key} HTTP/1.1\r\nHost: ${key}\r\n\r\n`,
      `GET /v1/${key} HTTP/9.9\r\nHost: x\r\n\r\n`,
      `${key} / HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET / HTTP/1.1\r\n${key}\r\n\r\n`,
    ]) {
      const answer = await exchange(server.url, bytes)
      said.push(['a broken request', `${JSON.stringify(answer.headers)}${answer.body}`])
    }
    expect(leaks()).toEqual([])
  })

  test('any answer of any route, to whoever asks and whatever is in the request', async () => {
    const document = (await (await fetch(`${server.url}/swagger/json`)).json()) as {
      paths: Record<string, Record<string, unknown>>
    }
    // What a holder says to an upstream is the holder's own.
    const own = Object.entries(document.paths).filter(([path]) => !path.startsWith('/u/'))
    const routes = own.flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    )
    expect(routes.length).toBeGreaterThan(15)
    const pages = [
      '/',
      '/swagger',
      '/swagger/json',
      '/swagger/start.js',
      '/readyz?verbose',
      '/nope',
    ]
    for (const path of pages) await record(path, fetch(server.url + path))
    const secrets = [key, GIVEN['admin token'], GIVEN['credential in a header']]
    const callers = [GIVEN['admin token'], key, `${GIVEN['admin token']}x`]
    for (const [method, path] of routes) {
      // Only what deletes needs a thing to delete: all others are asked about what is there.
      const names = method === 'DELETE' ? secrets.slice(1) : [id, 'header', 'default', ...secrets]
      const paths = path.includes('{')
        ? names.map((name) => path.replaceAll(/\{\w+\}/g, encodeURIComponent(name)))
        : [path]
      const queries = ['', `?${secrets.map((one) => `${encodeURIComponent(one)}=1`).join('&')}`, `?q=${key}&status=${key}&key=${key}&from=${key}`] // biome-ignore format: a list
      const bodies = method === 'POST' || method === 'PATCH' ? BODIES(secrets) : [undefined]
      for (const one of paths)
        for (const query of queries)
          for (const body of bodies)
            for (const as of callers) {
              const headers = { 'content-type': 'application/json' }
              await pass(one + query, { method, as, ...(body !== undefined && { body, headers }) })
            }
    }
    expect(said.filter(([, text]) => text.startsWith('200 ')).length).toBeGreaterThan(30)
    expect(leaks()).toEqual([])
  }, 30_000)

  test('what the operator is told of upstreams and of keys, old and new', async () => {
    const as = GIVEN['admin token']
    const headers = { 'content-type': 'application/json' }
    const change = (method: string, path: string, fields: unknown) =>
      pass(path, { method, as, headers, body: JSON.stringify(fields) })
    const secret = GIVEN['credential in a header']
    const replaced = await change('PATCH', '/admin/upstreams/replaced', { credential: { secret } })
    expect(replaced.status).toBe(200)
    const wrong = [
      { base_url: `https://u:${secret}@127.0.0.1/` },
      { mount: `/${secret}?` },
      { credential: { secret: `${secret}\n` } },
      { credential: { secret, template: secret } },
      { methods: [secret] },
      { meter: { kind: secret } },
      { cors_origins: [secret] },
      { websocket_seconds_max: secret },
    ]
    for (const fields of wrong) {
      expect((await change('PATCH', '/admin/upstreams/replaced', fields)).status).toBe(422)
      expect((await change('POST', '/admin/upstreams', { name: secret, ...fields })).status).toBe(
        422,
      )
    }
    const twin = await change('POST', '/admin/keys', { name: 'twin', quota: 1, key: victim })
    expect(twin.status).toBeGreaterThanOrEqual(400)
    expect((await pass(`/admin/keys/${victim}`, { as })).status).toBe(200)
    expect((await pass(`/admin/keys/${victim}`, { as, method: 'DELETE' })).status).toBe(200)
    for (const name of ['replaced', 'deleted'])
      expect((await pass(`/admin/upstreams/${name}`, { as, method: 'DELETE' })).status).toBe(200)
    expect(leaks()).toEqual([])
  })

  test('what the commands print', async () => {
    const env = {
      DATA_DIR: server.dataDir,
      ADMIN_TOKEN: GIVEN['admin token'],
      SECRET_KEY: SECRET_KEY.toString('base64'),
      UPSTREAM_BASE_URL: upstream.url,
      UPSTREAM_API_KEY: GIVEN['credential of the environment'],
    }
    for (const args of [
      ['config', '--json'],
      ['config'],
      ['doctor', '--json'],
      ['doctor'],
      ['--help'],
    ]) {
      const { out, err, code } = await runCommand([...COMMAND, ...args], env)
      said.push([args.join(' '), out + err])
      expect([args, code, out.length > 50]).toEqual([args, 0, true])
    }
    const bad = {
      ...env,
      UPSTREAM_BASE_URL: `https://x:${key}@y`,
      ADMIN_TOKEN: 'changeme',
      SECRET_KEY: key,
    }
    const refused = await runCommand([...COMMAND, 'config', '--json'], bad)
    expect(refused.code).toBe(2)
    said.push(['a wrong configuration', refused.out + refused.err])
    expect(leaks()).toEqual([])
  })
})

test('what is made without being given lies in its own file, and in no other', async () => {
  const made = await startServer()
  const secret = GIVEN['credential in a header']
  await addUpstream(made, { name: 'api', base_url: upstream.url, credential: { secret } })
  const holder = await issueKey(made)
  await fetch(`${made.url}/u/api/x`, { headers: { authorization: `Bearer ${holder.key}` } })
  await settled(made)
  const own = Object.fromEntries(
    ['admin-token', 'secret-key'].map((name) => [
      name,
      readFileSync(join(made.dataDir, name), 'utf8').trim(),
    ]),
  )
  const all = { ...own, secret, holder: holder.key }
  await made.stop()
  const found = filesBelow(made.dataDir).map(([path, bytes]) => [
    path.slice(made.dataDir.length + 1),
    findCanaries(bytes, all),
  ])
  expect(found.filter(([, names]) => names?.length).toSorted()).toEqual([
    ['admin-token', ['admin-token plain']],
    ['secret-key', ['secret-key plain']],
  ])
  if (!onPostgres) expect(found.length).toBeGreaterThan(2)
  expect(findCanaries(await testDatabase({ path: made.database }).written(), all)).toEqual([])
  expect(findCanaries(made.logs(), all)).toEqual([])
})

afterAll(async () => {
  await settled(server)
  const running = filesBelow(server.dataDir)
  const database = testDatabase({ path: server.database })
  const kept = await database.written()
  const logs = await settledLogs(server)
  await server.stop()
  const stopped = filesBelow(server.dataDir)
  for (const [path, bytes] of [...running, ...stopped, ['the database', kept] as const])
    expect([path, findCanaries(bytes, canaries)]).toEqual([path, []])
  expect(findCanaries(logs + server.logs(), canaries)).toEqual([])
  // The right things were looked at: the key stands there by its id.
  expect(kept.includes(id)).toBe(true)
  if (!database.isPostgres) {
    expect(running.map(([path]) => path)).toContain(join(server.dataDir, 'quota.db-wal'))
    expect(stopped.some(([, bytes]) => bytes.includes(id))).toBe(true)
  }
  expect(logs).toContain(id)
  expect(logs).toContain('"level":"debug"')
  // Nobody was told of the key either.
  const told = [
    ...upstream.seen.map((one) => JSON.stringify([one.path, [...one.headers]])),
    ...rude.seen.map((one) => JSON.stringify(one)),
  ]
  const { key: own, 'key of another': other, 'admin token': token, 'secret key': seal } = canaries
  const theirs = { own, other, token, seal } as Canaries
  expect(findCanaries(told.join('\n'), theirs)).toEqual([])
})

const BODIES = (secrets: readonly string[]) => [
  '{',
  secrets[0] ?? '',
  JSON.stringify(Object.fromEntries(secrets.map((one) => [one, one]))),
  JSON.stringify({
    name: secrets,
    quota: secrets[0],
    secret: secrets[1],
    credential: secrets[2],
    endpoint: secrets[2],
  }),
]
