/** Thousands of calls at once: none of them waits for a place of Bun's, and none of their holders hurts another. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { entries, holds, settled, until, usedOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { type RawUpstream, startRawUpstream } from '../support/wire.ts'

const CHUNK = `10000\r\n${'z'.repeat(0x10000)}\r\n`
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'
const EVENTS = `${CHUNKED}Content-Type: text/event-stream\r\n\r\n`
const EVENT = 'd\r\ndata: hello\n\n\r\n'

const held: Socket[] = []

/** Answers `/ok` at once and `/stream` with a first event, floods `/flood`, and leaves everything else waiting. */
function startCrowded(): Promise<RawUpstream> {
  return startRawUpstream((socket, { target }) => {
    if (target.endsWith('/ok')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    else if (target.endsWith('/stream')) socket.write(EVENTS + EVENT)
    else if (target.endsWith('/flood')) flood(socket)
    else held.push(socket)
  })
}

function flood(socket: Socket): void {
  socket.write(`${CHUNKED}\r\n`)
  const more = () => {
    while (!socket.destroyed) if (!socket.write(CHUNK)) return void socket.once('drain', more)
  }
  more()
}

/** A client that says what it wants; `reads` says whether it looks at the answer. */
function ask(server: TestServer, path: string, key: string, reads: boolean) {
  const { hostname, port } = new URL(server.directUrl)
  const socket = connect(Number(port), hostname)
  const client = { socket, head: '', closed: false }
  socket.on('error', () => {})
  socket.once('close', () => {
    client.closed = true
  })
  if (reads)
    socket.on('data', (data) => {
      if (client.head.length < 64) client.head += data.toString('latin1')
    })
  else socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n\r\n`)
  return client
}

const call = (server: TestServer, path: string, key: string) =>
  fetch(server.url + path, { headers: { 'x-api-key': key } })

const codeOf = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: string } }
  return [response.status, error.code, response.headers.get('retry-after')]
}

async function circuits(server: TestServer): Promise<string[]> {
  const answer = await fetch(`${server.url}/readyz?verbose`)
  const { upstreams } = (await answer.json()) as { upstreams: { circuit: string }[] }
  return [...new Set(upstreams.map(({ circuit }) => circuit))]
}

const clients: Socket[] = []
afterAll(() => {
  for (const socket of clients) socket.destroy()
})

test('a thousand calls that hang, a thousand event streams and a thousand readers that do not read leave others alone', async () => {
  const server = await startServer()
  const [slow, mixed, other] = await Promise.all([startCrowded(), startCrowded(), startCrowded()])
  for (const [name, { url }] of Object.entries({ slow, mixed, other }))
    await addUpstream(server, { name, base_url: url })
  const holders = await Promise.all(
    Array.from({ length: 4 }, () => issueKey(server, { quota: 5000 })),
  )
  const [hanging, streaming, reading, quiet] = holders.map(({ key }) => key)
  if (!hanging || !streaming || !reading || !quiet) throw new Error('no keys')

  const N = 1000
  const ended = held.length
  const streams = Array.from({ length: N }, () => ask(server, '/u/mixed/stream', streaming, true))
  const hangs = Array.from({ length: N }, () => ask(server, '/u/slow/hang', hanging, true))
  await until(() => streams.every(({ head }) => head.includes('200 OK')), 30_000)
  await until(() => held.length - ended === N, 30_000)
  const unread = Array.from({ length: N }, (_, i) =>
    ask(server, i % 2 ? '/u/slow/flood' : '/u/mixed/flood', reading, false),
  )
  clients.push(...[...streams, ...hangs, ...unread].map(({ socket }) => socket))
  // Those beyond the key's share of memory are cut off; the rest waits.
  const cut = async () =>
    (await entries(server)).filter(({ outcome }) => outcome === 'client_aborted').length
  await until(async () => (await cut()) > N / 2, 60_000)

  for (let n = 0; n < 100; n++) {
    const answer = await call(server, '/u/other/ok', quiet)
    expect([answer.status, await answer.text()]).toEqual([200, 'ok'])
  }
  expect(await circuits(server)).toEqual(['closed'])
  expect(streams.filter(({ closed }) => closed).length).toBe(0)
  expect(hangs.filter(({ closed }) => closed).length).toBe(0)
  const metrics = await (await server.admin('GET', '/metrics')).text()
  const gauge = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1])
  expect(gauge('quota_proxy_calls_in_flight')).toBe(gauge('quota_proxy_holds_open'))
  expect(gauge('quota_proxy_calls_in_flight')).toBeGreaterThanOrEqual(2 * N)
  // Half of 128 MiB, and the one answer with which it got there.
  expect(gauge('quota_proxy_buffer_bytes')).toBeLessThanOrEqual(66 * 1024 ** 2)
  const memory = () => {
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  }
  if (process.platform === 'linux') await until(() => memory() < 400, 30_000)

  for (const socket of held) socket.destroy()
  for (const { socket } of [...streams, ...unread]) socket.destroy()
  await until(async () => (await holds(server)) === 0, 30_000)
  // The upstream broke off where it hung: free. What was answered in part is charged.
  const used = await Promise.all(holders.map(({ id }) => usedOf(server, id)))
  expect(used).toEqual([0, N, N, 100])
  const doctor = (await (await server.admin('GET', '/admin/doctor')).json()) as { ok: boolean }
  expect(doctor.ok).toBe(true)
  expect(await server.stop()).toBe(0)
}, 180_000)

describe('with room for twenty calls and 4 MiB of bodies', () => {
  let server: TestServer
  let upstream: RawUpstream
  beforeAll(async () => {
    server = await startServer({ PROXY_IN_FLIGHT_MAX: '20', PROXY_BUFFER_BYTES_MAX: '4MiB' })
    upstream = await startCrowded()
    for (const name of ['hung', 'well', 'third'])
      await addUpstream(server, { name, base_url: upstream.url, meter: { kind: 'tokens' } })
  })
  afterAll(() => server.stop())

  /** Hangs until the socket is destroyed. */
  async function hang(name: string, key: string, n: number): Promise<Socket[]> {
    const before = held.length
    const asked = Array.from({ length: n }, () => ask(server, `/u/${name}/hang`, key, true).socket)
    await until(() => held.length === before + n)
    return asked
  }

  async function end(sockets: readonly Socket[]): Promise<void> {
    for (const socket of sockets) socket.destroy()
    await settled(server)
  }

  test('one key has at most half of all calls in flight, one upstream too, and refusals are free', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => issueKey(server)))
    const [a, b, c, d] = keys.map(({ key }) => key)
    if (!a || !b || !c || !d) throw new Error('no keys')
    const first = await hang('hung', a, 10)
    expect(await codeOf(await call(server, '/u/well/ok', a))).toEqual([
      429,
      'concurrency_limit_exceeded',
      '1',
    ])
    // The upstream that hangs has its half as well, and others have theirs.
    expect(await codeOf(await call(server, '/u/hung/ok', b))).toEqual([503, 'overloaded', '1'])
    expect((await call(server, '/u/well/ok', b)).status).toBe(200)
    const second = await hang('well', b, 5)
    const third = await hang('third', c, 2)
    expect((await call(server, '/u/third/ok', d)).status).toBe(200)
    await end([...first, ...second, ...third])
    expect((await call(server, '/u/hung/ok', a)).status).toBe(200)
    const used = await Promise.all(keys.map(({ id }) => usedOf(server, id)))
    // Who has left after the call was sent is charged; who was refused is not.
    expect(used).toEqual([11, 6, 2, 1, 0])
    expect(await (await server.admin('GET', '/metrics')).text()).toMatch(
      /calls_total\{upstream="hung",outcome="refused",code="overloaded",status="5xx"\} 1\n/,
    )
  })

  test('a long body is read for nobody whom the ledger would refuse anyway, and for one key only so many at once', async () => {
    const size = 1024 ** 2
    const body = `{"model":"m","messages":[],"pad":"${'x'.repeat(size)}"}`
    const send = (key: string, sent = body) => {
      const { hostname, port } = new URL(server.directUrl)
      const socket = connect(Number(port), hostname)
      const client = { socket, head: '' }
      socket.on('error', () => {})
      socket.on('data', (data) => {
        client.head += data.toString('latin1')
      })
      socket.write(
        `POST /u/well/ok HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${sent}`,
      )
      return client
    }
    // Nothing of the body is sent, so that whoever waited for it would not answer.
    const nothing = { amount: 0, window: 'lifetime' }
    for (const fields of [
      { quota: 0 },
      { limits: [{ name: 'tokens', unit: 'tokens', ...nothing }] },
      { limits: [{ name: 'rate', unit: 'requests', ...nothing, window: 'minute' }] },
    ]) {
      const refused = send((await issueKey(server, fields)).key, '')
      await until(() => refused.head.includes('"code":"'))
      expect(/"code":"(\w+)"/.exec(refused.head)?.[1]).toMatch(
        /^(insufficient_quota|rate_limit_exceeded)$/,
      )
      refused.socket.destroy()
    }

    // What can never be held is too large, and not to be tried again.
    const huge = await fetch(`${server.url}/u/well/ok`, {
      method: 'POST',
      headers: {
        'x-api-key': (await issueKey(server)).key,
        'content-type': 'application/json',
      },
      body: body.padEnd(3 * size),
    })
    expect([huge.status, huge.headers.get('x-should-retry')]).toEqual([413, 'false'])

    const { key, id } = await issueKey(server)
    const half = body.slice(0, -1)
    const partial = Array.from({ length: 4 }, () => send(key, half))
    await until(() => partial.some(({ head }) => head.includes('overloaded')))
    const other = await issueKey(server)
    const whole = send(other.key)
    await until(() => whole.head.includes('\r\n\r\n'))
    expect(whole.head).toStartWith('HTTP/1.1 200 OK')
    for (const { socket } of [...partial, whole]) socket.destroy()
    await settled(server)
    expect(await usedOf(server, id)).toBe(0)
  })
})
