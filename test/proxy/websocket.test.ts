/** WebSockets through a named upstream: what passes, what it costs, and who may. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startDeadline } from '../../src/proxy/send/deadline.ts'
import { destinationOf } from '../../src/proxy/send/egress.ts'
import { createLeaving } from '../../src/proxy/send/leaving.ts'
import { markAdmitted } from '../../src/proxy/send/outbound.ts'
import { openSocket, type Session, sessions } from '../../src/proxy/send/websocket.ts'
import { createSession } from '../../src/proxy/sockets/relay.ts'
import { entries, holds, settled, until, usedOf } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  addSocketUpstream,
  bearer,
  closeFrame,
  frame,
  joinSocket,
  openRawSocket,
  openWebSocket,
  type SocketUpstream,
  startSocketUpstream,
  switching,
  upgradeBytes,
} from '../support/sockets.ts'
import { exchange, openClient, startRawUpstream } from '../support/wire.ts'

const MiB = 1024 * 1024

let server: TestServer
let echo: SocketUpstream
beforeAll(async () => {
  echo = startSocketUpstream({ refuse: refuseSome })
  server = await startServer()
  await add('echo', { base_url: `${echo.url}/base`, mount: '/v1', headers: { 'x-beta': 'on' } })
  await add('closed', { base_url: echo.url, websocket_seconds_max: null })
})

const add = (name: string, fields: Record<string, unknown>, to = server) =>
  addSocketUpstream(to, name, fields)
const join = (path = '/v1/x', upstream = echo, at = server) => joinSocket(at, upstream, path)

/** The last part of the path is the status, if it is one. */
function refuseSome({ url }: Request): Response | undefined {
  const status = /\/(\d{3})$/.exec(new URL(url).pathname)?.[1]
  return status ? new Response(`no: ${CREDENTIAL}`, { status: Number(status) }) : undefined
}

async function lastEntry(at = server) {
  await settled(at)
  return (await entries(at)).at(-1)
}

/** How a handshake is refused, told by its HTTP status and its code. */
async function refusal(
  path: string,
  fields: Record<string, string>,
  at = server,
): Promise<{ status: number; code: string; text: string; cost: string | null }> {
  const answer = await exchange(at.url, upgradeBytes(path, fields))
  const text = answer.body.toString()
  const code = (JSON.parse(text) as { error: { code: string } }).error.code
  return { status: answer.status, code, text, cost: answer.header('x-quota-cost') }
}

function plainBytes(fields: Record<string, string>): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  return ['GET /u/closed/x HTTP/1.1', 'host: x', ...lines, '', ''].join('\r\n')
}

describe('what passes', () => {
  test('text stays text and bytes stay bytes, both ways, empty ones too, in their order', async () => {
    const { client, far } = await join()
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    const sent = ['héllo \u{1F600}\0', bytes, '', new Uint8Array(0), 'last'] as const
    for (const one of sent) client.socket.send(one)
    for (const one of sent) expect(await client.next()).toEqual(one)
    expect(far.messages.map((one) => (typeof one === 'string' ? one : [...one]))).toEqual(
      sent.map((one) => (typeof one === 'string' ? one : [...one])),
    )
    client.socket.close()
    await client.closed
  })

  test('a message of 16 MiB passes whole in both directions', async () => {
    const { client } = await join()
    const big = Buffer.alloc(16 * MiB)
    for (let i = 0; i < big.length; i += 1021) big[i] = i % 251
    client.socket.send(big)
    const back = await client.next()
    expect(Buffer.from(back as Uint8Array).equals(big)).toBe(true)
    client.socket.close()
    await client.closed
    expect(await lastEntry()).toMatchObject({ bytes_in: big.length, bytes_out: big.length })
  })

  test('the upstream gets the credential and the client’s own headers, and the key nowhere', async () => {
    const { key } = await issueKey(server)
    const client = await openWebSocket(
      `${server.url}/v1/deep/path?x=1&y=%20`,
      { ...bearer(key), 'x-mine': 'yes', 'x-copy': `k=${key}`, origin: 'https://app.example' },
      ['chat', `secret.${key}`],
    )
    client.socket.close()
    await client.closed
    const request = echo.seen.at(-1)
    const fields = Object.fromEntries(request?.headers ?? [])
    expect(new URL(request?.url ?? '').pathname).toBe('/base/deep/path')
    expect(new URL(request?.url ?? '').search).toBe('?x=1&y=%20')
    expect(fields).toMatchObject({
      authorization: `Bearer ${CREDENTIAL}`,
      host: echo.host,
      origin: 'https://app.example',
      'sec-websocket-protocol': 'chat',
      via: '1.1 quota-proxy',
      'x-beta': 'on',
      'x-mine': 'yes',
    })
    expect(JSON.stringify(fields)).not.toContain(key)
    expect(fields).not.toHaveProperty('x-copy')
    // A few compressed bytes could become more than there is memory for.
    expect(fields).not.toHaveProperty('sec-websocket-extensions')
  })

  test('the sub-protocol is the one that the upstream chooses', async () => {
    const upstream = startSocketUpstream({ protocol: 'second' })
    await add('protocols', { base_url: upstream.url })
    const { key } = await issueKey(server)
    const client = await openWebSocket(`${server.url}/u/protocols`, bearer(key), [
      'first',
      'second',
    ])
    expect(client.socket.protocol).toBe('second')
    client.socket.close()
    await client.closed
  })

  test('where the upstream is offered none, the client is not told that it has chosen one', async () => {
    const { key } = await issueKey(server)
    const fields = { ...bearer(key), 'sec-websocket-protocol': `secret.${key}` }
    const { head, socket } = await openRawSocket(server.url, '/v1/x', fields)
    expect(head).toStartWith('HTTP/1.1 101 ')
    expect(head.toLowerCase()).not.toContain('sec-websocket-protocol')
    expect(echo.connections.at(-1)?.headers.has('sec-websocket-protocol')).toBe(false)
    socket.destroy()
    await settled(server)
  })

  test('a list of protocols that nobody may send harms nobody', async () => {
    const { key, id } = await issueKey(server)
    for (const list of ['chat, chat', 'a b, "c", chat', ', ,']) {
      const fields = { ...bearer(key), 'sec-websocket-protocol': list }
      const answer = await exchange(server.url, upgradeBytes('/v1/502', fields))
      expect(`${list} ${answer.status}`).toBe(`${list} 502`)
    }
    expect(await usedOf(server, id)).toBe(0)
  })

  test('the answer to the handshake tells the quota and the name of the request', async () => {
    const { key } = await issueKey(server, { quota: 10 })
    const { head, socket } = await openRawSocket(server.url, '/v1/x', bearer(key))
    expect(head).toMatch(/^x-quota-remaining: 9\r$/im)
    expect(head).toMatch(/^x-quota-cost: 1\r$/im)
    expect(head).toMatch(/^x-request-id: req_/im)
    socket.destroy()
    await settled(server)
  })

  test('what the upstream says at once is not lost, not even what it says before it hangs up', async () => {
    const upstream = await startRawUpstream((socket, { headers }) => {
      const head = switching(headers)
      // One segment: the handshake, two messages, the close.
      socket.write(Buffer.concat([head, frame(1, 'one'), frame(1, 'two'), closeFrame(4001, 'bye')]))
    })
    await add('hasty', { base_url: upstream.url })
    const { key } = await issueKey(server)
    const client = await openWebSocket(`${server.url}/u/hasty/x`, bearer(key))
    expect(await client.closed).toEqual({ code: 4001, reason: 'bye' })
    expect(client.messages).toEqual(['one', 'two'])
    expect(await lastEntry()).toMatchObject({ outcome: 'answered', status: 101, bytes_out: 6 })
  })

  test('what the upstream says before there is a client waits for it, and so does its close', async () => {
    const upstream = startSocketUpstream({
      opened({ socket }) {
        socket.send('early')
        socket.close(4002, 'gone')
      },
    })
    const { ends, client } = await joinLate(upstream)
    expect(await client.closed).toEqual({ code: 4002, reason: 'gone' })
    expect(client.messages).toEqual(['early'])
    expect(ends).toEqual([{ bytesIn: 0, bytesOut: 5 }])
  })
})

describe('what it costs', () => {
  test('a connection is charged once, whatever passes through it, and written when it ends', async () => {
    const { client, id } = await join()
    const before = (await entries(server)).length
    for (let n = 0; n < 50; n++) client.socket.send(`message ${n}`)
    for (let n = 0; n < 50; n++) await client.next()
    expect(await holds(server)).toBe(1)
    expect(await entries(server)).toHaveLength(before)
    client.socket.close(1000, 'done')
    expect(await usedOf(server, id)).toBe(1)
    const bytes = Array.from({ length: 50 }, (_, n) => `message ${n}`).join('').length
    expect(await entries(server)).toHaveLength(before + 1)
    expect(await lastEntry()).toMatchObject({
      outcome: 'answered',
      status: 101,
      requests_charged: 1,
      bytes_in: bytes,
      bytes_out: bytes,
    })
    const log = () => server.events().filter((event) => event['key_id'] === id)
    await until(() => log().length > 0)
    expect(log()).toMatchObject([{ outcome: 'answered', status: 101, cost: 1, bytes_in: bytes }])
  })

  test('a key that is used up, disabled, expired, unknown or missing is refused before the upstream', async () => {
    const used = await issueKey(server, { quota: 0 })
    const disabled = await issueKey(server, { enabled: false })
    const expired = await issueKey(server, { expires_at: '2020-01-01T00:00:00Z' })
    const before = echo.seen.length
    const told: string[] = []
    for (const fields of [
      bearer(used.key),
      bearer(disabled.key),
      bearer(expired.key),
      bearer('trial_nobody'),
      {},
    ]) {
      const { status, code } = await refusal('/v1/x', fields)
      told.push(`${status} ${code}`)
    }
    expect(told).toEqual([
      '429 insufficient_quota',
      '401 api_key_disabled',
      '401 api_key_expired',
      '401 invalid_api_key',
      '401 missing_api_key',
    ])
    expect(echo.seen).toHaveLength(before)
  })

  test('an open connection takes a place of its key, and gives it back', async () => {
    const { key } = await issueKey(server, { concurrency: 1 })
    const first = await openWebSocket(`${server.url}/v1/x`, bearer(key))
    const { status, code } = await refusal('/v1/x', bearer(key))
    expect(`${status} ${code}`).toBe('429 concurrency_limit_exceeded')
    first.socket.close()
    await first.closed
    await settled(server)
    const second = await openWebSocket(`${server.url}/v1/x`, bearer(key))
    second.socket.close()
    await second.closed
  })

  test('an upstream that refuses the handshake is a 502, says nothing to the client and costs nothing', async () => {
    const { key, id } = await issueKey(server)
    for (const status of [200, 302, 403, 404, 429, 500, 503]) {
      const told = await refusal(`/v1/${status}`, bearer(key))
      expect(told).toMatchObject({ status: 502, code: 'upstream_error', cost: '0' })
      expect(told.text).not.toContain(CREDENTIAL)
    }
    expect(await usedOf(server, id)).toBe(0)
    expect(await lastEntry()).toMatchObject({ outcome: 'upstream_error', requests_charged: 0 })
  })

  test.each([401])('a %p to the handshake is about the operator’s credential', async (status) => {
    const { key, id } = await issueKey(server)
    const told = await refusal(`/v1/${status}`, bearer(key))
    expect(told).toMatchObject({ status: 502, code: 'upstream_credential_rejected', cost: '0' })
    expect(told.text).not.toContain(CREDENTIAL)
    expect(await usedOf(server, id)).toBe(0)
    await until(() =>
      server
        .events()
        .some(
          (event) =>
            event['level'] === 'error' &&
            event['upstream'] === 'echo' &&
            event['status'] === status,
        ),
    )
  })

  test('an upstream that hangs up, answers nonsense or is not there is a 502 and costs nothing', async () => {
    const odd = await startRawUpstream((socket, { target, headers }) => {
      if (target === '/end') socket.end()
      if (target === '/reset') socket.resetAndDestroy()
      if (target === '/nonsense') socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n')
      if (target === '/accept')
        socket.write(switching([['sec-websocket-key', 'other'], ...headers.slice(0, 0)]))
    })
    await add('odd', { base_url: odd.url })
    await add('nobody', { base_url: 'http://127.0.0.1:1' })
    const { key, id } = await issueKey(server)
    for (const path of [
      '/u/odd/end',
      '/u/odd/reset',
      '/u/odd/nonsense',
      '/u/odd/accept',
      '/u/nobody/x',
    ]) {
      const { status, code } = await refusal(path, bearer(key))
      expect(`${path} ${status} ${code}`).toBe(`${path} 502 upstream_error`)
    }
    expect(await usedOf(server, id)).toBe(0)
  })

  test('an upstream that never answers the handshake is a 504 and costs nothing', async () => {
    const mute = await startRawUpstream(() => {})
    await add('mute', { base_url: mute.url, timeouts: { first_byte_ms: 200 } })
    const { key, id } = await issueKey(server)
    const { status, code } = await refusal('/u/mute/x', bearer(key))
    expect(`${status} ${code}`).toBe('504 upstream_timeout')
    await until(() => mute.sockets.size === 0)
    expect(await usedOf(server, id)).toBe(0)
  })

  test('a client that leaves during the handshake leaves no connection behind', async () => {
    const mute = await startRawUpstream(() => {})
    await add('slow', { base_url: mute.url })
    const { key, id } = await issueKey(server)
    const { socket } = await openClient(server.url)
    socket.write(upgradeBytes('/u/slow/x', bearer(key)))
    await until(() => mute.seen.length === 1)
    socket.destroy()
    await until(() => mute.sockets.size === 0)
    // It was asked for, and may have been on its way.
    expect(await usedOf(server, id)).toBe(1)
    expect(await lastEntry()).toMatchObject({ outcome: 'client_aborted', requests_charged: 1 })
  })
})

describe('the circuit of an upstream', () => {
  const FAILURES = 10

  test('opens when nobody listens, and then refuses handshakes at once', async () => {
    await add('down', { base_url: 'http://127.0.0.1:1' })
    const { key, id } = await issueKey(server)
    for (let n = 0; n < FAILURES; n++) {
      expect((await refusal('/u/down/x', bearer(key))).code).toBe('upstream_error')
    }
    const told = await refusal('/u/down/x', bearer(key))
    expect(told).toMatchObject({ status: 503, code: 'upstream_unavailable', cost: '0' })
    expect(await usedOf(server, id)).toBe(0)
  })

  test('stays closed whatever a key holder asks of an upstream that answers', async () => {
    const plain = await startRawUpstream((socket, { headers, target }) => {
      if (target === '/404') socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')
      else socket.write(switching(headers))
    })
    await add('plain', { base_url: plain.url })
    const { key } = await issueKey(server)
    // It knows none of the protocols that this client offers.
    const fields = { ...bearer(key), 'sec-websocket-protocol': 'made-up' }
    for (let n = 0; n < FAILURES; n++)
      expect((await refusal('/u/plain/404', bearer(key))).code).toBe('upstream_error')
    for (let n = 0; n < FAILURES; n++)
      expect((await refusal('/u/plain/x', fields)).code).toBe('upstream_error')
    const client = await openWebSocket(`${server.url}/u/plain/x`, bearer(key))
    client.socket.terminate()
    await client.closed
    await settled(server)
  })
})

describe('the way to the upstream', () => {
  test('goes past the proxies of the environment', async () => {
    const detour = await startRawUpstream((socket) => socket.end('HTTP/1.1 502 Bad\r\n\r\n'))
    const env = Object.fromEntries(
      ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'].map((name) => [
        name,
        detour.url,
      ]),
    )
    const other = await startServer(env)
    await add('echo', { base_url: echo.url }, other)
    const { client } = await join('/u/echo/x', echo, other)
    client.socket.send('straight')
    expect(await client.next()).toBe('straight')
    client.socket.close()
    await client.closed
    expect(detour.seen).toEqual([])
  })

  test('through TLS checks the certificate against the name, which the upstream is told', async () => {
    const authority = await createAuthority()
    const secure = startSocketUpstream({ tls: await authority.issue('DNS:localhost') })
    const port = secure.host.split(':')[1]
    const trusting = await startServer(authority.env)
    await add('named', { base_url: `https://localhost:${port}` }, trusting)
    await add('numbered', { base_url: `https://127.0.0.1:${port}` }, trusting)
    await add('untrusted', { base_url: `https://localhost:${port}` })

    const { client, far, key } = await join('/u/named/x', secure, trusting)
    expect(far.headers.get('host')).toBe(`localhost:${port}`)
    client.socket.send('secret')
    expect(await client.next()).toBe('secret')
    client.socket.close()
    await client.closed

    expect((await refusal('/u/numbered/x', bearer(key), trusting)).code).toBe('upstream_error')
    const { key: other } = await issueKey(server)
    expect((await refusal('/u/untrusted/x', bearer(other))).code).toBe('upstream_error')
    expect(secure.connections).toHaveLength(1)
    expect(secure.seen).toHaveLength(1)
  })
})

describe('what is allowed', () => {
  test('an upstream that is not open for WebSockets refuses them and costs nothing', async () => {
    const { key, id } = await issueKey(server)
    const before = echo.seen.length
    const { status, code } = await refusal('/u/closed/x', bearer(key))
    expect(`${status} ${code}`).toBe('426 websockets_not_allowed')
    // By less than a handshake, and whatever else the key may not: clients fall back for this status alone.
    const narrow = (await issueKey(server, { models: ['small'] })).key
    for (const headers of [
      { upgrade: 'websocket' },
      { upgrade: 'h2c, WebSocket', connection: 'Upgrade' },
    ])
      for (const one of [key, narrow]) {
        const answer = await exchange(server.directUrl, plainBytes({ ...bearer(one), ...headers }))
        expect([answer.status, answer.header('upgrade')]).toEqual([426, 'HTTP/1.1'])
      }
    expect(await usedOf(server, id)).toBe(0)
    expect(echo.seen).toHaveLength(before)
  })

  test('the scope of the key holds: paths, methods, upstreams, and models in the URL', async () => {
    const before = echo.seen.length
    const code = async (fields: Record<string, unknown>, path: string) => {
      const { key } = await issueKey(server, fields)
      return (await refusal(path, bearer(key))).code
    }
    expect(await code({ paths: ['/ok/**'] }, '/v1/no')).toBe('path_not_allowed')
    expect(await code({ methods: ['POST'] }, '/v1/x')).toBe('method_not_allowed_for_key')
    expect(await code({ upstreams: ['closed'] }, '/v1/x')).toBe('target_not_allowed')
    expect(await code({ models: ['small-*'] }, '/v1/realtime?model=large')).toBe(
      'model_not_allowed',
    )
    expect(await code({ models: ['small-*'] }, '/v1/realtime?model=small-1&model=large')).toBe(
      'model_not_allowed',
    )
    // What is said in the connection is not read, so that the URL has to name it.
    expect(await code({ models: ['small-*'] }, '/v1/realtime')).toBe('model_not_allowed')
    expect(echo.seen).toHaveLength(before)

    const { key } = await issueKey(server, { models: ['small-*'], paths: ['/realtime'] })
    const client = await openWebSocket(`${server.url}/v1/realtime?model=small-1`, bearer(key))
    client.socket.close()
    await client.closed
  })

  test('a request that only looks like a handshake is a call like any other', async () => {
    const { key, id } = await issueKey(server)
    for (const fields of [
      { 'sec-websocket-version': '8' },
      { 'sec-websocket-key': 'short' },
      { upgrade: 'websockets' },
    ]) {
      const answer = await exchange(
        server.url,
        upgradeBytes('/v1/x', { ...bearer(key), ...fields }),
      )
      // The upstream's own answer to a plain request.
      expect(`${answer.status} ${answer.body}`).toBe('400 not a WebSocket')
    }
    expect(await usedOf(server, id)).toBe(3)
    // An upstream that takes no WebSockets still takes those.
    expect(
      (
        await exchange(
          server.url,
          upgradeBytes('/u/closed/x', { ...bearer(key), 'sec-websocket-key': 'short' }),
        )
      ).status,
    ).toBe(400)
  })

  test('an envelope opens no WebSocket', async () => {
    const { key } = await issueKey(server)
    const before = echo.connections.length
    const { status } = await server.call(key, {
      endpoint: `${echo.url}/base/x`,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    })
    expect(status).toBe(400)
    expect(echo.connections).toHaveLength(before)
  })
})

afterAll(async () => {
  await settled(server)
  expect((await entries(server)).length).toBeGreaterThan(20)
  expect(server.events().filter(({ msg }) => msg === 'request failed')).toEqual([])
})

/** The relay between an open upstream and a client that comes a while later. */
async function joinLate(upstream: SocketUpstream) {
  const destination = destinationOf(new URL(upstream.url), '127.0.0.1')
  const timeouts = { totalMs: 5_000, firstByteMs: 5_000, idleMs: null }
  const caller = { leaving: createLeaving(), key: 1, upstream: 'a' }
  const deadline = startDeadline(new AbortController().signal, timeouts, caller)
  const outbound = markAdmitted({
    ...{
      destination,
      method: 'GET',
      target: new URL(upstream.url).pathname,
      headers: {},
      body: null,
    },
    ...{ retryConnect: false, resendSafe: true },
  })
  const said = await openSocket(outbound, [], deadline)
  if (!said.ok || !said.socket) throw new Error('the upstream refused')
  deadline.end()
  const ends: unknown[] = []
  const session = createSession(said.socket, 5_000, (end) => ends.push(end))
  await upstream.connections[0]?.closed
  await Bun.sleep(50)
  using listener = Bun.serve<Session>({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, own) => (own.upgrade(request, { data: session }) ? undefined : new Response()),
    websocket: sessions,
  })
  const client = await openWebSocket(`http://127.0.0.1:${listener.port}/`, {})
  await client.closed
  return { ends, client }
}
