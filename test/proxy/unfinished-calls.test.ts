/** Calls that do not reach the end of their answer: what they are charged, who ends them, and what is read on for them. */
import { describe, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import type { Call } from '../../src/modules/calls/model.ts'
import { callsOf, until, usedByLimit } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { openClient, type RawRequest, startRawUpstream } from '../support/wire.ts'

const HEAD =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n'
const END = '0\r\n\r\n'
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
const event = (value: unknown) => chunk(`data: ${JSON.stringify(value)}\n\n`)
const word = (content: string) => event({ choices: [{ index: 0, delta: { content } }] })
const REPORT = event({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 70_000 } })

/** By the model that is asked for: what the upstream does once the request is there. */
const ACTS: Record<string, (socket: Socket) => void> = {
  /** The report comes while the client has been gone for a while. */
  late: (socket) => {
    socket.write(HEAD + word('Hello'))
    setTimeout(() => socket.end(word(' you') + REPORT + END), 700)
  },
  stalls: (socket) => void socket.write(HEAD + word('Hello')),
  floods: (socket) => {
    socket.write(HEAD + word('Hello'))
    const more = () => {
      while (!socket.destroyed) if (!socket.write(word('a'.repeat(8_000)))) break
      if (!socket.destroyed) socket.once('drain', more)
    }
    setTimeout(more, 300)
  },
  breaks: (socket) => {
    socket.write(HEAD + word('Hello'))
    setTimeout(() => socket.resetAndDestroy(), 100)
  },
  mute: () => {},
  quick: (socket) => void socket.write(HEAD + word('Hello') + REPORT + END),
}

/** The connection of the newest call. */
let newest: Socket | undefined
const upstream = await startRawUpstream((socket, request) => {
  newest = socket
  ACTS[modelOf(request)]?.(socket)
})

function modelOf({ body }: RawRequest): string {
  return JSON.parse(body).model
}

async function start(env: Record<string, string> = {}): Promise<TestServer> {
  const server = await startServer(env)
  const fields = { base_url: upstream.url, prices: [{ model: '*', input: 1e6, output: 5e6 }] }
  await addUpstream(server, { ...fields, name: 'api' })
  await addUpstream(server, { ...fields, name: 'plain', meter: { kind: 'none' }, prices: [] })
  await addUpstream(server, { ...fields, name: 'hasty', timeouts: { idle_ms: 300 } })
  await addUpstream(server, { ...fields, name: 'narrow', concurrency: 1 })
  await addUpstream(server, { ...fields, name: 'patient', timeouts: { first_byte_ms: 300 } })
  return server
}

const server = await start()
const LIMITS = [{ name: 'tokens', unit: 'tokens', amount: 1_000_000_000, window: 'lifetime' }]

const bodyOf = (model: string) =>
  JSON.stringify({ model, stream: true, max_tokens: 64_000, messages: [] })

function ask(key: string, model: string, { name = 'api', at = server, signal }: Asking = {}) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: bodyOf(model) }
  return fetch(`${at.url}/u/${name}/chat/completions`, { ...init, signal: signal ?? null })
}
type Asking = { name?: string; at?: TestServer; signal?: AbortSignal }

/** Asks, and leaves once something of the answer has come. */
async function leave(key: string, model: string, asking: Asking = {}): Promise<void> {
  const leaving = new AbortController()
  const response = await ask(key, model, { ...asking, signal: leaving.signal })
  await response.body?.getReader().read()
  leaving.abort()
}

async function onlyCall(id: string, at = server): Promise<Call> {
  const [call, ...others] = await callsOf(at, id)
  expect(others).toEqual([])
  if (!call) throw new Error('there is no call')
  return call
}

/** At most the words that have passed in their framing, and the input: what nobody wrote is not charged. */
const LITTLE = 200

function expectLittle(call: Call, outcome: string): void {
  expect(call).toMatchObject({ outcome, estimated: true, requests: { charged: 1 } })
  expect(call.tokens.reserved).toBeGreaterThan(64_000)
  expect(call.tokens.charged).toBeWithin(1, LITTLE)
  expect(call.cost.charged).toBeWithin(1, 5 * LITTLE)
}

describe('a client that leaves in the middle of its answer', () => {
  test('pays what is reported to the end of it, as if it had stayed', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    await leave(key, 'late')
    const call = await onlyCall(id)
    expect(call).toMatchObject({
      ...{ outcome: 'client_aborted', status: 200, estimated: false },
      tokens: { charged: 70_009, input: 9, output: 70_000 },
      cost: { charged: 350_009 },
    })
    expect(await usedByLimit(server, id)).toEqual({ quota: 1, tokens: 70_009 })
  })

  test('pays for what has passed if its upstream falls silent, which is then left, too', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    await leave(key, 'stalls')
    await Bun.sleep(1_000)
    expect(newest?.destroyed).toBe(false)
    expectLittle(await onlyCall(id), 'client_aborted')
    await until(() => newest?.destroyed === true)
  })

  test('has a mebibyte read after it and no more', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    await leave(key, 'floods')
    const call = await onlyCall(id)
    expect(call).toMatchObject({ outcome: 'client_aborted', estimated: true })
    expect(call.tokens.charged).toBeLessThanOrEqual(call.tokens.reserved)
    expect(call.bytes_out).toBeLessThan(100_000)
  })

  test('is not read on for where nothing is metered in tokens', async () => {
    const { key, id } = await issueKey(server)
    await leave(key, 'stalls', { name: 'plain' })
    await until(() => newest?.destroyed === true, 1_000)
    expect(await onlyCall(id)).toMatchObject({ outcome: 'client_aborted', estimated: false })
  })

  test('is not kept from its next call by what is read on for the last', async () => {
    for (const [concurrency, name] of [
      [1, 'api'],
      [null, 'narrow'],
    ] as const) {
      const { key, id } = await issueKey(server, { limits: LIMITS, concurrency })
      await leave(key, 'stalls', { name })
      // The server has to see that it has left.
      await Bun.sleep(200)
      const response = await ask(key, 'quick', { name })
      expect(response.status).toBe(200)
      await response.bytes()
      const [second, first] = await callsOf(server, id)
      expect(second).toMatchObject({ outcome: 'answered', estimated: false })
      expectLittle(first as Call, 'client_aborted')
    }
  })
})

test('a client that leaves before the head pays for its input, and the upstream is left at once', async () => {
  const { key, id } = await issueKey(server, { limits: LIMITS })
  const signal = AbortSignal.timeout(200)
  await ask(key, 'mute', { signal }).catch(() => {})
  await until(() => newest?.destroyed === true, 1_000)
  expectLittle(await onlyCall(id), 'client_aborted')
})

test('an answer that breaks off, or falls silent for too long, is charged for what has passed', async () => {
  for (const [model, name, outcome] of [
    ['breaks', 'api', 'upstream_truncated'],
    ['stalls', 'hasty', 'upstream_timeout'],
  ] as const) {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    await (await ask(key, model, { name })).text().catch(() => {})
    expectLittle(await onlyCall(id), outcome)
  }
})

test('a stop books the calls that it cuts off as interrupted, by what had passed, and ends reading on', async () => {
  const stopped = await start({ SHUTDOWN_GRACE_MS: '300' })
  const { key, id } = await issueKey(stopped, { limits: LIMITS })
  const gone = await issueKey(stopped, { limits: LIMITS })
  const raw = await Promise.all(['stalls', 'stalls', 'mute'].map(() => openClient(stopped.url)))
  for (const [i, client] of raw.entries()) {
    const body = bodyOf(i === 2 ? 'mute' : 'stalls')
    client.write(
      `POST /u/api/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  }
  await leave(gone.key, 'stalls', { at: stopped })
  await Bun.sleep(300)
  expect(await stopped.stop('SIGTERM')).toBe(0)

  const again = await startServer({}, stopped.dataDir)
  const calls = await callsOf(again, id)
  expect(calls.length).toBe(3)
  for (const call of calls) {
    expectLittle(call, 'interrupted')
    expect(call.why).toStartWith('Charged: the server was stopped')
  }
  expectLittle(await onlyCall(gone.id, again), 'client_aborted')
})

test('ten slow calls of one key do not open the circuit for another', async () => {
  const slow = await issueKey(server)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => ask(slow.key, 'mute', { name: 'patient' })),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(504))
  const quick = await issueKey(server)
  const response = await ask(quick.key, 'quick', { name: 'patient' })
  expect(response.status).toBe(200)
  await response.bytes()
})

test('what was estimated is counted, by upstream and by key', async () => {
  const { key, id } = await issueKey(server, { limits: LIMITS })
  const series = async () => {
    const text = await (await server.admin('GET', '/metrics')).text()
    return Number(/quota_proxy_calls_estimated_total\{upstream="api"\} (\d+)/.exec(text)?.[1])
  }
  const before = await series()
  await (await ask(key, 'quick')).bytes()
  await (await ask(key, 'breaks')).text().catch(() => {})
  await callsOf(server, id)
  expect(await series()).toBe(before + 1)
  const usage = await (await server.admin('GET', `/admin/usage?key=${id}`)).json()
  expect(usage).toMatchObject({ data: [{ calls: 2, estimated: 1 }] })
  const own = await fetch(`${server.url}/me/usage?group_by=total`, {
    headers: { authorization: `Bearer ${key}` },
  })
  expect(await own.json()).toMatchObject({
    data: [{ calls: 2, estimated: 1, by_upstream: [{ upstream: 'api', estimated: 1 }] }],
  })
})
