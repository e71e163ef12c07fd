/** Upstreams that fail: what the client is told, what it costs, and that a request is never sent twice. */
import { beforeAll, describe, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import { CHARGE_ON, type ChargeOn } from '../../src/domain/upstream.ts'
import { entries, holds, settled, usedOf } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { freePort, type RawUpstream, startRawUpstream } from '../support/wire.ts'

/** Writes without end, as fast as it is taken. */
function flood(socket: Socket, head: string, part: string): void {
  socket.write(head)
  const more = () => {
    while (!socket.destroyed) {
      if (!socket.write(part)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

const OK = 'HTTP/1.1 200 OK\r\n'

/** What the upstream does at each path instead of answering. */
const faults: Record<string, (socket: Socket) => void> = {
  '/reset': (socket) => socket.resetAndDestroy(),
  '/close': (socket) => socket.end(),
  '/garbage': (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  '/garbage-with-an-end': (socket) => socket.end('hello\r\n\r\nthere'),
  '/half-a-header': (socket) => socket.end(`${OK}X-Half: `),
  '/endless-header': (socket) => flood(socket, `${OK}X-Long: `, 'a'.repeat(65_536)),
  '/endless-headers': (socket) => flood(socket, OK, 'X-More: 1\r\n'.repeat(1_000)),
  '/endless-interims': (socket) => {
    const timer = setInterval(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)), 5)
    socket.on('close', () => clearInterval(timer))
  },
  '/length-too-long': (socket) => socket.end(`${OK}Content-Length: 9\r\n\r\nfive.`),
  '/length-negative': (socket) => socket.end(`${OK}Content-Length: -5\r\n\r\nfive.`),
  '/length-no-number': (socket) => socket.end(`${OK}Content-Length: five\r\n\r\nfive.`),
  '/two-lengths': (socket) =>
    socket.end(`${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nfive.`),
  '/header-with-nul': (socket) => socket.end(`${OK}X-A: a\0b\r\nContent-Length: 0\r\n\r\n`),
  '/folded-header': (socket) => socket.end(`${OK}X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n`),
  '/status-0': (socket) => socket.end('HTTP/1.1 000 None\r\nContent-Length: 0\r\n\r\n'),
  '/status-600': (socket) => socket.end('HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n'),
}

type Case = { readonly endpoint: string; readonly status: number; readonly code: string | null }

let upstream: RawUpstream
let cases: ReadonlyMap<string, Case>
let servers: Readonly<Record<ChargeOn, TestServer>>

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { target }) => {
    const status = /^\/answer\/(\d+)/.exec(target)?.[1]
    if (status) socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 2\r\n\r\nhi`)
    else faults[target]?.(socket)
  })
  const plain = startUpstream()
  const broken = (endpoint: string) => ({ endpoint, status: 502, code: 'upstream_error' })
  const timed = (path: string) => ({
    endpoint: upstream.url + path,
    status: 504,
    code: 'upstream_timeout',
  })
  const answer = (status: number) => ({
    endpoint: `${upstream.url}/answer/${status}`,
    status,
    code: null,
  })
  cases = new Map<string, Case>([
    ...Object.keys(faults).map((path) => [path.slice(1), broken(upstream.url + path)] as const),
    ['nobody listens', broken(`http://127.0.0.1:${await freePort()}/`)],
    ['TLS to a plain port', broken(plain.url.replace('http:', 'https:'))],
    ['endless-interims', timed('/endless-interims')],
    ['no answer', timed('/mute')],
    ['answer 200', answer(200)],
    ['answer 302', answer(302)],
    ['answer 404', answer(404)],
    ['answer 429', answer(429)],
    ['answer 500', answer(500)],
    ['answer 503', answer(503)],
  ])
  const start = (chargeOn: ChargeOn) =>
    startServer({
      PROXY_EGRESS_ALLOW: '127.0.0.1',
      PROXY_IDLE_TIMEOUT_MS: '1500',
      CHARGE_ON: chargeOn,
    })
  const [attempt, ofAnswer, success] = await Promise.all(CHARGE_ON.map(start))
  if (!attempt || !ofAnswer || !success) throw new Error('unreachable')
  servers = { attempt, answer: ofAnswer, success }
})

/** The policy in words of its own, so that it is not checked against itself. */
function costOf(chargeOn: ChargeOn, { status, code }: Case): number {
  if (chargeOn === 'attempt') return 1
  if (code !== null || status >= 500) return 0
  return chargeOn === 'answer' || status < 400 ? 1 : 0
}

for (const chargeOn of CHARGE_ON) {
  test(`with CHARGE_ON=${chargeOn}, each failure has its status, its code and its price`, async () => {
    const server = servers[chargeOn]
    await settled(server)
    const count = (await entries(server)).length
    await Promise.all(
      [...cases].map(async ([name, one]) => {
        const { key, id } = await issueKey(server, { quota: 10 })
        const response = await server.call(key, { endpoint: one.endpoint })
        const text = await response.text()
        const cost = costOf(chargeOn, one)
        const shown = (header: string) => response.headers.get(header)
        const said = one.code === null ? text : JSON.parse(text).error.code
        expect({ name, status: response.status, said, cost: shown('x-quota-cost') }).toEqual({
          name,
          status: one.status,
          said: one.code ?? 'hi',
          cost: String(cost),
        })
        expect(shown('x-quota-remaining')).toBe(String(10 - cost))
        expect(shown('ratelimit')).toBe(`"quota";r=${10 - cost}`)
        expect(shown('x-should-retry')).toBe(one.code === null ? null : 'true')
        expect(await usedOf(server, id)).toBe(cost)
      }),
    )
    expect(await holds(server)).toBe(0)
    expect((await entries(server)).length - count).toBe(cases.size)
  }, 20_000)
}

describe('a target that cannot be', () => {
  test('looked up is refused before anything is charged, like a name of a private address', async () => {
    const server = servers.attempt
    const { key, id } = await issueKey(server, { quota: 10 })
    // A label of 64 characters: the resolver refuses it without asking anybody.
    const unknown = await server.call(key, { endpoint: `http://${'a'.repeat(64)}.invalid/` })
    const mine = await server.call(key, { endpoint: 'http://localhost/' })
    expect([unknown.status, mine.status]).toEqual([403, 403])
    const texts = await Promise.all([unknown.text(), mine.text()])
    const [first, second] = texts.map((text) => text.replace(/req_[\w-]+/, ''))
    expect(first).toContain('"code":"target_not_allowed"')
    expect(second).toBe(first)
    expect(await usedOf(server, id)).toBe(0)
  })

  test('reached says nothing of addresses, ports or causes', async () => {
    const { key } = await issueKey(servers.answer)
    for (const [name, { endpoint, code }] of cases) {
      if (code === null) continue
      const text = await (await servers.answer.call(key, { endpoint })).text()
      const { message } = JSON.parse(text).error
      expect({ name, message }).toEqual({
        name,
        message: expect.stringMatching(/^The upstream [a-z ]+\.$/),
      })
      expect(text).not.toMatch(/127\.0|:\d{4}|ECONN/)
    }
  }, 20_000)
})

test('the last unit of a quota comes back when its call fails, and can be spent again', async () => {
  const server = servers.answer
  const { key, id } = await issueKey(server, { quota: 1 })
  for (const path of ['/reset', '/answer/500', '/close', '/status-600', '/answer/200']) {
    expect((await server.call(key, { endpoint: upstream.url + path })).status).not.toBe(429)
    await settled(server)
  }
  expect((await server.call(key, { endpoint: `${upstream.url}/answer/200` })).status).toBe(429)
  expect(await usedOf(server, id)).toBe(1)
})

test('one charge is at most one upstream request, however the upstream treats its connections', async () => {
  let random = 1
  // A small generator of its own (Park and Miller), so that every run is the same.
  const next = (n: number) => {
    random = (random * 48_271) % 2_147_483_647
    return random % n
  }
  const hits = new Map<string, number>()
  const fickle = await startRawUpstream((socket, { target, body }) => {
    const id = /id-\d+/.exec(target + body)?.[0] ?? 'none'
    hits.set(id, (hits.get(id) ?? 0) + 1)
    const answer = `${OK}Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok`
    const act = next(8)
    if (act === 0) socket.resetAndDestroy()
    else if (act === 1) socket.end()
    else if (act === 2) socket.write(answer.slice(0, 20), () => socket.resetAndDestroy())
    else if (act === 3) socket.end(answer)
    else if (act === 4) socket.write(answer, () => socket.resetAndDestroy())
    else if (act === 5)
      socket.write(answer, () => setTimeout(() => socket.resetAndDestroy(), next(4)))
    else socket.write(answer)
  })
  const server = servers.attempt
  const { key, id: keyId } = await issueKey(server, { quota: null })
  const methods = ['POST', 'GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']
  const ids = Array.from({ length: 700 }, (_, i) => `id-${i}`)
  const waiting = [...ids.entries()]
  const worker = async () => {
    for (let one = waiting.pop(); one; one = waiting.pop()) {
      const [i, id] = one
      const method = methods[i % methods.length] ?? ''
      const body = ['POST', 'PUT', 'PATCH'].includes(method) ? { body: { id } } : {}
      const endpoint = `${fickle.url}/${'body' in body ? '' : id}`
      const response = await server.call(key, { endpoint, method, ...body })
      await response.text()
    }
  }
  await Promise.all(Array.from({ length: 6 }, worker))

  const twice = [...hits].filter(([, count]) => count > 1)
  expect(twice).toEqual([])
  expect(hits.has('none')).toBe(false)
  expect(await usedOf(server, keyId)).toBe(ids.length)
  // Most calls did arrive: the connections failed, not the test.
  expect(hits.size).toBeGreaterThan(ids.length * 0.8)
}, 20_000)
