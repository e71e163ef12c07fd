/**
 * What Caddy, nginx and HAProxy let through with the files of deploy/. In front of a server that only writes down what
 * reaches it, they alone keep the operator's routes closed, however a request is spelled; quota-proxy's own refusals are
 * not needed for that. Needs what fronts.test.ts needs.
 */
import { beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2'
import { join } from 'node:path'
import fc from 'fast-check'
import { createAuthority } from '../support/certificate.ts'
import { type Certificate, FRONTS, type FrontKind, startFront } from '../support/front.ts'
import { addUpstream } from '../support/named-upstream.ts'
import {
  BEHIND_HOST,
  CLOSED_TARGETS,
  get,
  HOSTS,
  LONG,
  NO_HOSTS,
  NO_TARGETS,
  NOTHINGS,
  OPEN,
  SMUGGLED,
  STEPS,
} from '../support/odd-requests.ts'
import { CLOSED, firstSegments, spellings } from '../support/path-readings.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { openClient, type RawRequest, type RawUpstream, startRawUpstream } from '../support/wire.ts'

const PATH = `${process.env['PATH']}:/usr/sbin`
const missing = FRONTS.filter((kind) => !Bun.which(kind, { PATH }))
const isRun = missing.length === 0 || process.env['CI'] !== undefined

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const SPELLINGS = 400
const HOOK_MS = 60_000

let ca: Buffer
let certificate: Certificate
let server: TestServer
/** Answers any call. */
let upstream: RawUpstream
let key: string

beforeAll(async () => {
  if (!isRun) return
  const directory = temporaryDirectory()
  certificate = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }
  const authority = await createAuthority()
  const pair = await authority.issue('DNS:localhost')
  ca = readFileSync(authority.env.NODE_EXTRA_CA_CERTS)
  await Bun.write(certificate.certFile, pair.cert)
  await Bun.write(certificate.keyFile, pair.key)
  upstream = await startRawUpstream((socket) => socket.write(OK))
  server = await startServer({ TRUSTED_PROXIES: '127.0.0.1' })
  await addUpstream(server, { name: 'api', base_url: upstream.url, meter: { kind: 'none' } })
  key = (await issueKey(server, { quota: null })).key
}, HOOK_MS)

/** The statuses of `requests`, each a whole one; 0 stands for a connection that was closed without an answer. */
async function statuses(url: string, requests: readonly string[]): Promise<number[]> {
  const found: number[] = []
  let client = await openClient(url, [ca])
  for (const request of requests) {
    if (client.socket.destroyed) client = await openClient(url, [ca])
    client.write(Buffer.from(request, 'latin1'))
    const answer = await client.answer()
    found.push(answer.status)
    const isKept = answer.status !== 0 && answer.header('connection') !== 'close'
    if (!isKept || answer.status === 400) client.socket.destroy()
  }
  client.socket.destroy()
  return found
}

/** `headers` over HTTP/2; the status, or 0 if the stream was reset. */
function statusHttp2(url: string, headers: OutgoingHttpHeaders): Promise<number> {
  const session = connectHttp2(url, { ca })
  const status = new Promise<number>((resolve) => {
    session.on('error', () => resolve(0))
    const stream = session.request({ ':method': 'GET', ...headers })
    stream.on('response', (fields) => resolve(Number(fields[':status'])))
    stream.on('error', () => resolve(0))
    stream.on('close', () => resolve(0))
    stream.end()
  })
  return status.finally(() => session.destroy())
}

describe.skipIf(!isRun).each([...FRONTS])('%s', (kind: FrontKind) => {
  let url: string
  let realUrl: string
  let seen: RawRequest[]

  beforeAll(async () => {
    const recorder = await startRawUpstream((socket) => socket.write(OK))
    const behind = [recorder.url, server.directUrl].map((target) =>
      startFront(target, kind, certificate),
    )
    const [first, second] = await Promise.all(behind)
    url = first?.url ?? ''
    realUrl = second?.url ?? ''
    seen = recorder.seen
  }, HOOK_MS)

  /** What arrives of `requests`, and how they are answered. */
  async function send(requests: readonly string[]) {
    const before = seen.length
    const answers = await statuses(url, requests)
    return { answers, arrived: seen.slice(before) }
  }

  test('a Host that is no host is refused, over HTTP/1.1, HTTP/1.0 and HTTP/2', async () => {
    const requests = NO_HOSTS.flatMap((host, at) => {
      const request = get(BEHIND_HOST[at % BEHIND_HOST.length] ?? '', host)
      return at % 5 === 0 ? [request, request.replace('HTTP/1.1', 'HTTP/1.0')] : [request]
    })
    const { answers, arrived } = await send(requests)
    expect(requests.filter((_, at) => answers[at] !== 400)).toEqual([])
    expect(arrived).toEqual([])
    const before = seen.length
    for (const authority of ['@', '<x>', 'a b', 'a/b', 'a%2fb', 'é'])
      expect(await statusHttp2(url, { ':path': '/x', ':authority': authority })).toBe(400)
    expect(seen.length).toBe(before)
  })

  test('no Host is refused, and two are', async () => {
    const two = [
      'Host: localhost\r\nHost: b',
      'Host: localhost\r\nHost: @',
      'Host: @\r\nHost: localhost',
    ]
    const heads = ['X: y', ...two, 'Host : localhost', 'Host: localhost\r\n @']
    const requests = ['1.1', '1.0'].flatMap((version) =>
      heads.map((head) => `GET ${BEHIND_HOST[0]} HTTP/${version}\r\n${head}\r\n\r\n`),
    )
    const { answers, arrived } = await send(requests)
    expect(requests.filter((_, at) => answers[at] !== 400)).toEqual([])
    expect(arrived).toEqual([])
    // HAProxy takes two equal ones for one.
    const equal = await send([get('/x', 'localhost', ['Host: localhost'])])
    expect(equal.answers).toEqual([kind === 'haproxy' ? 200 : 400])
    for (const { headers } of equal.arrived)
      expect(headers.filter(([name]) => name === 'host')).toHaveLength(1)
  })

  test('a host arrives as it was sent', async () => {
    const { answers, arrived } = await send(HOSTS.map((host) => get('/x', host)))
    expect(answers).toEqual(HOSTS.map(() => 200))
    const hosts = arrived.map(({ headers }) => headers.find(([name]) => name === 'host')?.[1])
    expect(hosts).toEqual(HOSTS)
  })

  test('no spelling of a closed path arrives', async () => {
    const targets = [...CLOSED_TARGETS, ...LONG]
    const { answers, arrived } = await send(targets.map((target) => get(target)))
    expect(arrived.map(({ target }) => target)).toEqual([])
    expect(targets.filter((_, at) => answers[at] !== 403 && answers[at] !== 400)).toEqual([])
    for (const word of CLOSED) expect(await statuses(url, [get(`/${word}`)])).toEqual([403])
    const before = seen.length
    for (const path of [
      '/admin/keys',
      '/v1/../admin',
      '/v1\\..\\admin',
      'admin',
      'http://localhost/admin',
      '*',
    ])
      await statusHttp2(url, { ':path': path, ':authority': 'localhost' })
    expect(seen.slice(before)).toEqual([])
    expect(await statusHttp2(url, { ':path': '/u/api/admin', ':authority': 'localhost' })).toBe(200)
  })

  test('a target that is no path is refused, and one with a host in it arrives as its path', async () => {
    const { answers, arrived } = await send(NO_TARGETS.map((target) => get(target)))
    expect(arrived).toEqual([])
    expect(answers).toEqual(NO_TARGETS.map(() => 400))
    const whole = await send([get('https://localhost/u/api/%2f?x=//y')])
    expect(whole.arrived.map(({ target }) => target)).toEqual(['/u/api/%2f?x=//y'])
  })

  test('nothing arrives that anybody could read as a closed path', async () => {
    const targets = fc.sample(spellings, SPELLINGS)
    const { arrived } = await send(targets.map((target) => get(target)))
    const closed = arrived.filter(({ target }) =>
      CLOSED.some((word) => firstSegments(target).has(word)),
    )
    expect(closed.map(({ target }) => target)).toEqual([])
    expect(arrived.length).toBeGreaterThan(SPELLINGS / 10)
  })

  test('every other path arrives as it was sent', async () => {
    const { answers, arrived } = await send(OPEN.map((target) => get(target)))
    expect(arrived.map(({ target }) => target)).toEqual(OPEN)
    expect(answers).toEqual(OPEN.map(() => 200))
  })

  test('what stands behind a body never passes as a request that nobody has looked at', async () => {
    const { arrived } = await send(SMUGGLED)
    expect(arrived.filter(({ target }) => target !== '/x')).toEqual([])
  })

  test('quota-proxy is told of none of these, and serves its holders', async () => {
    const token = `Authorization: Bearer ${server.adminToken}`
    await settledLogs(server)
    const before = server.events().length
    const hosts = NO_HOSTS.slice(0, 8).flatMap((host) =>
      BEHIND_HOST.map((target) => get(target, host, [token])),
    )
    const paths = [...STEPS, ...NOTHINGS].map((start) =>
      get(`${start}/admin/keys`, 'localhost', [token]),
    )
    for (const status of await statuses(realUrl, [...hosts, ...paths]))
      expect([400, 403]).toContain(status)
    expect(await statuses(realUrl, [get('/me', 'localhost', [`X-API-Key: ${key}`])])).toEqual([200])
    await settledLogs(server)
    const requests = server
      .events()
      .slice(before)
      .filter(({ msg }) => msg === 'request')
    // `/me`, and the one that has asked for the log.
    expect(requests.map(({ status }) => status)).toEqual([200, 404])

    const target = '/u/api/admin/%61%2Fb?x=/../admin'
    expect(await statuses(realUrl, [get(target, 'localhost', [`X-API-Key: ${key}`])])).toEqual([
      200,
    ])
    expect(upstream.seen.at(-1)?.target).toBe(target.replace('/u/api', ''))
  })

  test('the line for the operator opens the closed routes to its addresses', async () => {
    const opened = await startFront(server.directUrl, kind, certificate, (shipped) =>
      shipped.replace(/# (.*)192\.0\.2\.0\/24/, (_, start: string) => `${start}127.0.0.1`),
    )
    const fields = [`Authorization: Bearer ${server.adminToken}`]
    expect(await statuses(opened.url, [get('/admin/keys', 'localhost', fields)])).toEqual([200])
    expect(await statuses(opened.url, [get('/admin/keys', '@', fields)])).toEqual([400])
  })
})
