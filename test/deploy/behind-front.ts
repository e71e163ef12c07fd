/** What holds of Caddy, nginx and HAProxy with the files of deploy/, beyond the suites of the proxy. Run by fronts.test.ts. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect } from 'node:tls'
import { until } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { type Front, startFront } from '../support/front.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { type RawUpstream, startRawUpstream } from '../support/wire.ts'

const MIB = 1024 * 1024
const CA = process.env['NODE_EXTRA_CA_CERTS'] ?? ''

/** The upstream's side of the newest call to each path. */
const sides = new Map<string, Socket>()
let upstream: RawUpstream
let echo: Bun.Server<undefined>
let server: TestServer
let front: Front
let key: string

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { target }) => {
    sides.set(target, socket)
    if (target === '/whole') socket.write(WHOLE)
    if (target === '/endless') pour(socket)
  })
  echo = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    maxRequestBodySize: 128 * MIB,
    fetch: async (request) => new Response(await request.arrayBuffer()),
  })
  server = await startServer({ PROXY_BODY_BYTES_MAX: '128MiB' })
  front = await startFront(server.directUrl)
  const plain = { meter: { kind: 'none' } }
  await addUpstream(server, { ...plain, name: 'api', base_url: upstream.url })
  await addUpstream(server, { ...plain, name: 'echo', base_url: `http://127.0.0.1:${echo.port}` })
  key = (await issueKey(server, { quota: null })).key
})
afterAll(() => echo.stop(true))

const WHOLE = [
  'HTTP/1.1 200 OK', 'Content-Type: application/json', 'X-Two: 1', 'X-Two: 2', 'ETag: "strong"', 'X-Latin: \xe4',
  'Date: Mon, 01 Jan 2024 00:00:00 GMT', 'X-Accel-Redirect: /healthz', 'X-Accel-Limit-Rate: 1', 'X_Under: 1',
  `X-Long: ${'l'.repeat(12_000)}`, 'Content-Length: 1000', '', ' '.repeat(1000),
].join('\r\n') // biome-ignore format: a table

/** Bytes that the upstream has written of its endless answer. */
let produced = 0

/** Writes as fast as it is read. */
function pour(socket: Socket): void {
  const block = Buffer.alloc(64 * 1024, 'x')
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n')
  const more = () => {
    do produced += block.byteLength
    while (!socket.destroyed && socket.write(block))
  }
  socket.on('drain', more)
  more()
}

function curl(...args: readonly string[]) {
  return runCommand(['curl', '-sS', '--max-time', '20', ...args])
}

const holder = () => ['-H', `Authorization: Bearer ${key}`]

test('https is served with the certificate, to HTTP/2 and to HTTP/1.1, and http leads there', async () => {
  const url = `${front.url}/u/api/whole`
  for (const version of ['--http2', '--http1.1']) {
    const format = '%{http_code} %{http_version}'
    const { out } = await curl(
      version,
      '--cacert',
      CA,
      '-o',
      '/dev/null',
      '-w',
      format,
      ...holder(),
      url,
    )
    expect(out).toBe(version === '--http2' ? '200 2' : '200 1.1')
  }
  expect((await curl('--tls-max', '1.1', '--cacert', CA, url)).code).toBe(35)
  // Who does not know the authority is not served.
  expect((await curl(url)).code).toBe(60)
  const plain = await curl(
    '-o',
    '/dev/null',
    '-w',
    '%{http_code} %{redirect_url}',
    `${front.plainUrl}/a/b?c=%20d`,
  )
  expect(plain.out).toMatch(/^308 https:\/\/localhost(:\d+)?\/a\/b\?c=%20d$/)
}, 30_000)

test('over HTTP/2 each event arrives before the next one exists', async () => {
  const child = Bun.spawn(
    ['curl', '-sSN', '--http2', '--cacert', CA, ...holder(), `${front.url}/u/api/events`],
    { stdout: 'pipe', stderr: 'ignore' },
  )
  await until(() => sides.has('/events'))
  const side = sides.get('/events')
  side?.write(
    'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  const reader = child.stdout.getReader()
  for (const event of ['data: one\n\n', 'data: two\n\n']) {
    side?.write(`${event.length.toString(16)}\r\n${event}\r\n`)
    const { value } = await reader.read()
    expect(new TextDecoder().decode(value)).toBe(event)
  }
  side?.write('0\r\n\r\n')
  expect(await child.exited).toBe(0)
}, 30_000)

test('status, body and headers are those of quota-proxy, whatever the upstream says to servers in between', async () => {
  const get = async (url: string) => {
    const { out } = await curl(
      '--http1.1',
      '--cacert',
      CA,
      '-D',
      '-',
      '-H',
      'Accept-Encoding: gzip',
      ...holder(),
      `${url}/u/api/whole`,
    )
    const [head = '', body] = out.split('\r\n\r\n')
    const lines = head.split('\r\n').slice(1)
    const fields = lines.map(
      (line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line] as const,
    )
    const shown = fields.map(([name, line]) => name + line.slice(name.length)).sort()
    return { body, shown: shown.filter((line) => !OF_ONE_ANSWER.test(line)) }
  }
  const OF_ONE_ANSWER =
    /^(x-request-id|x-quota-charge-id|server|connection|keep-alive|via|x-accel-[a-z-]*):/
  const direct = await get(server.directUrl)
  const through = await get(front.url)
  expect(through).toEqual(direct)
  expect(through.body).toBe(' '.repeat(1000))
  expect(through.shown.length).toBeGreaterThan(8)
}, 30_000)

test('what a client does not read is not read from the upstream, and when it leaves the call ends', async () => {
  const slow = ['--limit-rate', '10k', '--max-time', '3', '-o', '/dev/null']
  const { code } = await curl('--cacert', CA, ...slow, ...holder(), `${front.url}/u/api/endless`)
  expect(code).toBe(28)
  // What six sockets and the programs between them hold.
  expect(produced).toBeGreaterThan(0)
  expect(produced).toBeLessThan(64 * MIB)
  await until(() => sides.get('/endless')?.destroyed === true)
}, 30_000)

test('64 MiB pass in both directions, byte for byte', async () => {
  const body = new Uint8Array(64 * MIB)
  for (let at = 0; at < body.length; at += 65_536)
    crypto.getRandomValues(body.subarray(at, at + 65_536))
  const response = await fetch(`${front.url}/u/echo/x`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body,
  })
  expect(response.status).toBe(200)
  const digest = createHash('sha256')
  for await (const part of response.body ?? []) digest.update(part)
  expect(digest.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'))
}, 60_000)

test('the client is who has connected, whatever it says of itself', async () => {
  const addresses: unknown[] = []
  for (const from of ['127.0.0.1', '127.0.0.2']) {
    const spoofed = ['X-Forwarded-For', 'X-Real-IP'].flatMap((name) => [
      '-H',
      `${name}: 203.0.113.9`,
    ])
    const { out } = await curl(
      ...['--interface', from, '--cacert', CA, '-o', '/dev/null', '-D', '-', ...spoofed],
      ...['-H', 'Forwarded: for=203.0.113.9', ...holder(), `${front.url}/u/api/whole`],
    )
    const id = /^x-request-id: (\S+)/im.exec(out)?.[1]
    const logged = () => server.events().find((event) => event['request_id'] === id)
    await until(() => logged() !== undefined)
    addresses.push(logged()?.['ip'])
  }
  expect(addresses).toEqual(['127.0.0.1', '127.0.0.2'])
}, 30_000)

/** As it stands in the request line: no client library would send most of these. */
async function statusOf(target: string, token: string): Promise<number> {
  const { port } = new URL(front.url)
  const socket = connect({
    host: '127.0.0.1',
    port: Number(port),
    servername: 'localhost',
    rejectUnauthorized: false,
  })
  const lines = [
    `GET ${target} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Connection: close',
  ]
  socket.on('secureConnect', () => socket.write(`${lines.join('\r\n')}\r\n\r\n`))
  let text = ''
  socket.on('data', (data) => {
    text += data.toString('latin1')
  })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  return Number(text.split(' ')[1] ?? 0)
}

test('the operator’s routes are closed in every spelling, even to the admin token', async () => {
  const spellings = [
    ...['/admin/keys', '/admin', '/admin/', '/admin/keys/', '/Admin/keys', '/ADMIN/keys', '//admin/keys', '///admin/keys'],
    ...['/%61dmin/keys', '/%61%64min/keys', '/./admin/keys', '/u/../admin/keys', '/u/api/../../admin/keys', '/.//admin/keys'],
    ...['/u/%2e%2e/admin/keys', '/u/.%2E/admin/keys', '/u/..%2fadmin/keys', '/admin%2fkeys', '/admin//keys', '/admin/./keys'],
    ...['/u\\..\\admin/keys', '/u/..\\admin/keys', '/admin\\keys', '/\\admin/keys', '/u/..%5cadmin/keys', '/admin%5ckeys'],
    ...['http://localhost/admin/keys', 'https://localhost/u/../admin/keys', '/admin?x', '/admin/keys#x', '/admin/keys?x=/u/api'],
    ...['/metrics', '/Metrics', '/metrics/', '/%6detrics', '/u/../metrics', '/swagger', '/swagger/', '/swagger/json', '/u/../swagger'],
  ] // biome-ignore format: a table
  await settledLogs(server)
  const before = server.events().length
  for (const target of spellings) {
    const status = await statusOf(target, server.adminToken)
    // Refused by the server in front, or not found by ours, which does not take that for one of its own routes.
    expect([target, status >= 400 && status < 500]).toEqual([target, true])
  }
  await settledLogs(server)
  const served = server
    .events()
    .slice(before)
    .filter(({ msg, status }) => msg === 'request' && status !== 404)
  expect(served).toEqual([])
  for (const target of ['/admin/keys', '/metrics', '/swagger']) {
    expect([target, await statusOf(target, server.adminToken)]).toEqual([target, 403])
    // They are open to whoever reaches the server itself.
    const open = await fetch(server.directUrl + target, {
      headers: { authorization: `Bearer ${server.adminToken}` },
    })
    expect(open.status).toBe(200)
  }
}, 30_000)

test('a call whose connection breaks off without an answer is not sent again, whatever its method', async () => {
  const seen: string[] = []
  const fickle = await startRawUpstream((socket, { method, target }) => {
    seen.push(`${method} ${target}`)
    if (target === '/first') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    else socket.destroy()
  })
  const other = await startFront(fickle.url)
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
    // A connection that has answered before is one that a server in front takes to be good.
    const first = await fetch(`${other.url}/first`)
    expect(await first.text()).toBe('ok')
    const second = await fetch(`${other.url}/${method}`, {
      method,
      headers: { 'idempotency-key': '1' },
    })
    expect(second.status).toBe(502)
    expect(seen.filter((line) => line === `${method} /${method}`)).toHaveLength(1)
  }
}, 30_000)

test('a call during which the server is killed and started again reaches the upstream once', async () => {
  const mine = await startServer()
  const gate = await startFront(mine.directUrl)
  await addUpstream(mine, { name: 'api', base_url: upstream.url, meter: { kind: 'none' } })
  const own = await issueKey(mine)
  const headers = { authorization: `Bearer ${own.key}` }
  expect((await fetch(`${gate.url}/u/api/whole`, { headers })).status).toBe(200)
  const calls = ['GET', 'POST'].map((method) =>
    fetch(`${gate.url}/u/api/${method}`, { method, headers }),
  )
  await until(() => sides.has('/GET') && sides.has('/POST'))
  await mine.stop('SIGKILL')
  const again = await startServer({ PORT: new URL(mine.directUrl).port }, mine.dataDir)
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([502, 502])
  expect(
    upstream.seen.filter(({ target }) => target === '/GET' || target === '/POST'),
  ).toHaveLength(2)
  const shown = await again.admin('GET', `/admin/keys/${own.id}`)
  expect(await shown.json()).toMatchObject({ used: 3 })
  expect((await fetch(`${gate.url}/u/api/whole`, { headers })).status).toBe(200)
}, 60_000)
