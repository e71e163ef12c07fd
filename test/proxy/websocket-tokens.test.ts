/** What upstreams report on WebSockets is charged while these live, and what is used up ends them. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { entries, settled, until, usedByLimit } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  addSocketUpstream,
  bearer,
  type Client,
  type Connection,
  openWebSocket,
  type SocketUpstream,
  startSocketUpstream,
} from '../support/sockets.ts'

let server: TestServer
/** Says back, as often as it is told, what it is told to say. */
let told: SocketUpstream
beforeAll(async () => {
  told = startSocketUpstream({ message: sayBack })
  server = await startServer()
  await addSocketUpstream(server, 'told', {
    base_url: told.url,
    mount: '/v1',
    prices: [
      { model: 'gpt-realtime', input: 4_000_000, output: 16_000_000 },
      { model: '*', input: 1_000_000, output: 2_000_000 },
    ],
  })
})

function sayBack({ socket }: Connection, data: string | Uint8Array): void {
  const { times, say, isBinary } = JSON.parse(String(data)) as {
    times: number
    say: unknown
    isBinary?: boolean
  }
  const text = typeof say === 'string' ? say : JSON.stringify(say)
  for (let n = 0; n < times; n++) socket.send(isBinary ? Buffer.from(text) : text)
}

const DONE = {
  type: 'response.done',
  response: { usage: { total_tokens: 5000, input_tokens: 3000, output_tokens: 2000 } },
}

const tokenKey = (amount: number | null, unit = 'tokens') =>
  issueKey(server, {
    quota: null,
    limits: [{ name: 'work', unit, amount, window: 'day' }],
  })

async function join(key: string, path = '/v1/realtime'): Promise<Client> {
  return await openWebSocket(`${server.url}${path}`, bearer(key))
}

const ask = ({ socket }: Client, say: unknown, times = 1, isBinary = false) =>
  socket.send(JSON.stringify({ say, times, isBinary }))

/** What is used of the limit at this moment, with sockets open or not. */
async function workOf(id: string): Promise<number> {
  const response = await server.admin('GET', `/admin/keys/${id}`)
  const { limits } = (await response.json()) as { limits: { name: string; used: number }[] }
  return limits.find(({ name }) => name === 'work')?.used ?? -1
}

/** Resolves when so much is used, and fails with what is used instead. */
async function booked(id: string, units: number): Promise<void> {
  const endMs = performance.now() + 3_000
  while ((await workOf(id)) !== units && performance.now() < endMs) await Bun.sleep(10)
  expect(await workOf(id)).toBe(units)
}

/** Has the upstream say this to a new key, and expects so many units of its limit to be used then. */
async function expectCharge(
  says: readonly unknown[],
  units: number,
  { path = '/v1/realtime', isBinary = false, unit = 'tokens' } = {},
): Promise<void> {
  const { key, id } = await tokenKey(1_000_000_000, unit)
  const client = await join(key, path)
  for (const say of says) ask(client, say, 1, isBinary)
  for (const _ of says) await client.next()
  await booked(id, units)
  client.socket.close()
  await client.closed
}

describe('what is charged', () => {
  test('100,000 tokens are booked while the socket is open', async () => {
    const { key, id } = await tokenKey(1_000_000)
    const client = await join(key)
    ask(client, DONE, 20)
    await booked(id, 100_000)
    expect(client.socket.readyState).toBe(WebSocket.OPEN)
    client.socket.close()
    await client.closed
    await booked(id, 100_000)
  })

  test.each([
    [
      'a transcription',
      {
        type: 'conversation.item.input_audio_transcription.completed',
        item_id: 'item_1',
        content_index: 0,
        usage: { type: 'tokens', total_tokens: 26, input_tokens: 17, output_tokens: 9 },
      },
      26,
    ],
    [
      'a response in WebSocket mode of Responses',
      {
        type: 'response.completed',
        response: {
          id: 'resp_1',
          model: 'gpt-5',
          usage: { input_tokens: 50, output_tokens: 7, total_tokens: 57 },
        },
      },
      57,
    ],
    [
      'a response that was cancelled',
      {
        type: 'response.done',
        response: {
          id: 'resp_2',
          status: 'cancelled',
          usage: { total_tokens: 12, input_tokens: 10, output_tokens: 2 },
        },
      },
      12,
    ],
    [
      'a turn of Gemini Live',
      {
        serverContent: { turnComplete: true },
        usageMetadata: {
          promptTokenCount: 143,
          responseTokenCount: 19,
          totalTokenCount: 162,
          promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 100 }],
        },
      },
      162,
    ],
    [
      'what Gemini thinks',
      { usageMetadata: { promptTokenCount: 100, responseTokenCount: 20, thoughtsTokenCount: 30 } },
      150,
    ],
    ['a report that is printed for people', JSON.stringify(DONE, null, 2), 5000],
  ])('%s', async (_, say, tokens) => {
    await expectCharge([say], tokens)
  })

  test('a report in a binary message, as Gemini sends them', async () => {
    const say = { usageMetadata: { promptTokenCount: 100, responseTokenCount: 20 } }
    await expectCharge([say], 120, { isBinary: true })
  })

  test.each([
    [
      'text about usage',
      { type: 'response.output_text.delta', delta: '"usage":{"input_tokens":9}' },
    ],
    ['a response that has begun', { type: 'response.created', response: { usage: null } }],
    ['nonsense', '{"usage":{"input_tokens":1'],
    ['numbers that are none', { response: { usage: { input_tokens: -5, output_tokens: 1e300 } } }],
  ])('nothing for %s', async (_, say) => {
    await expectCharge([say], 0)
  })

  test('a response that is reported again costs what has been added, and a turn what it has grown', async () => {
    const done = (input_tokens: number) => ({
      type: 'response.done',
      response: { id: 'resp_9', usage: { input_tokens, output_tokens: 5 } },
    })
    const turn = (promptTokenCount: number, more = {}) => ({
      usageMetadata: { promptTokenCount, responseTokenCount: 10 },
      ...more,
    })
    const over = { serverContent: { turnComplete: true } }
    await expectCharge([100, 100, 130, 90].map(done), 135)
    await expectCharge([turn(1_000), turn(1_200, over), turn(1_300, over)], 1_210 + 1_310)
    await expectCharge([turn(1_000), over, turn(1_000), over], 2_020)
  })

  test('money by the model of the URL, of the session, or of the transcription', async () => {
    const session = (more: object) => ({ type: 'session.updated', session: more })
    const named = { path: '/v1/realtime?model=gpt-realtime', unit: 'cost' }
    await expectCharge([DONE], 12_000 + 32_000, named)
    const unnamed = { path: '/v1/realtime', unit: 'cost' }
    await expectCharge([session({ model: 'gpt-realtime' }), DONE], 44_000, unnamed)
    await expectCharge([DONE], 3_000 + 4_000, unnamed)
    const transcription = { item_id: 'i', usage: { input_tokens: 1_000, output_tokens: 0 } }
    const audio = { input: { transcription: { model: 'whisper' } } }
    await expectCharge([session({ audio }), transcription], 1_000, named)
  })

  test('an upstream that is not metered in tokens costs requests alone', async () => {
    await addSocketUpstream(server, 'plain', { base_url: told.url, meter: { kind: 'none' } })
    await expectCharge([DONE], 0, { path: '/u/plain/x' })
  })
})

describe('what is used up', () => {
  test('ends the socket within the message, with what it says of the limit, and is booked in full', async () => {
    const { key, id } = await tokenKey(1_000)
    const client = await join(key)
    ask(client, DONE, 20)
    const { code, reason } = await client.closed
    expect(code).toBe(1008)
    expect(reason).toStartWith('insufficient_quota: Quota exhausted: 1000 of 1000 tokens used.')
    // All of it had been done when the first report was read.
    await booked(id, 100_000)
    const far = told.connections.at(-1)
    // The upstream is told nothing of the key.
    expect(await far?.closed).toEqual({ code: 1001, reason: '' })
    await expect(join(key)).rejects.toThrow()
  })

  test('to the last token ends it too, and one token less does not', async () => {
    const exact = await tokenKey(5_000)
    const client = await join(exact.key)
    ask(client, DONE)
    expect((await client.closed).code).toBe(1008)
    await expect(join(exact.key)).rejects.toThrow()
    const more = await tokenKey(5_001)
    const other = await join(more.key)
    ask(other, DONE)
    await other.next()
    await Bun.sleep(100)
    expect(other.socket.readyState).toBe(WebSocket.OPEN)
    other.socket.close()
    await other.closed
  })

  test('of one key does not disturb another', async () => {
    const poor = await join((await tokenKey(1_000)).key)
    const rich = await tokenKey(1_000_000)
    const client = await join(rich.key)
    ask(poor, DONE)
    expect((await poor.closed).code).toBe(1008)
    ask(client, DONE)
    await client.next()
    expect(client.socket.readyState).toBe(WebSocket.OPEN)
    client.socket.close()
    await client.closed
    await booked(rich.id, 5_000)
  })

  test('of a key with many sockets ends each of them at its next report, and all is booked', async () => {
    const { key, id } = await tokenKey(12_000)
    const clients = await Promise.all([1, 2, 3, 4].map(() => join(key)))
    for (const client of clients) ask(client, DONE)
    const codes = await Promise.all(clients.map(({ closed }) => Promise.race([closed, idle()])))
    expect(codes.filter((end) => end !== null).map((end) => end?.code)).not.toBeEmpty()
    for (const { socket } of clients) socket.close()
    await settled(server)
    expect((await usedByLimit(server, id))['work']).toBe(20_000)
  })

  test('whoever leaves just before the report pays for it', async () => {
    const slow = startSocketUpstream({
      message: ({ socket }) => void setTimeout(() => socket.send(JSON.stringify(DONE)), 100),
    })
    await addSocketUpstream(server, 'slow', { base_url: slow.url })
    const { key, id } = await tokenKey(1_000_000)
    const client = await join(key, '/u/slow/x')
    client.socket.send('go')
    await until(() => slow.connections[0]?.messages.length === 1)
    client.socket.close()
    await client.closed
    await booked(id, 5_000)
  })
})

describe('a death of the server with a socket open', () => {
  test('loses nothing that was reported, keeps the socket charged, and leaves books that balance', async () => {
    const before = await startServer()
    await addSocketUpstream(before, 'told', { base_url: told.url, mount: '/v1' })
    const { key, id } = await issueKey(before, {
      quota: 10,
      limits: [{ name: 'work', unit: 'tokens', amount: 1_000_000, window: 'minute' }],
    })
    const client = await openWebSocket(`${before.url}/v1/realtime`, bearer(key))
    ask(client, DONE, 3)
    for (let n = 0; n < 3; n++) await client.next()
    await until(async () => (await entries(before)).length === 3)
    await before.stop('SIGKILL')
    const after = await startServer({}, before.dataDir)
    const shown = await after.admin('GET', `/admin/keys/${id}`)
    expect(await shown.json()).toMatchObject({ used: 1 })
    const charged = (await entries(after)) as unknown as {
      outcome: string
      tokens_charged: number
    }[]
    const ends = charged.map(({ outcome, tokens_charged }) => `${outcome} ${tokens_charged}`)
    expect(ends.toSorted()).toEqual([
      'answered 5000',
      'answered 5000',
      'answered 5000',
      'interrupted 0',
    ])
    expect((await usedByLimit(after, id))['work']).toBe(15_000)
    const doctor = (await (await after.admin('GET', '/admin/doctor')).json()) as { ok: boolean }
    expect(doctor.ok).toBe(true)
  })
})

async function idle(): Promise<null> {
  await Bun.sleep(300)
  return null
}
