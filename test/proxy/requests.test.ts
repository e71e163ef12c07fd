/** What reaches an upstream of models, what is reserved for it and what is refused: by body, by path, by form, by key. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { callsOf, until, usedByLimit } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

const LIMITS = [
  { name: 'tokens', unit: 'tokens', amount: 1_000_000, window: 'day' },
  { name: 'money', unit: 'cost', amount: 1_000_000_000, window: 'month' },
]
const PRICES = [{ model: '*', input: 1_000_000, output: 5_000_000 }]
const USAGE = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 }

type Seen = { path: string; headers: Headers; bytes: Buffer }

let server: TestServer
const seen: Seen[] = []
/** Kept open until the test lets them go. */
let waiting: (() => void)[] = []

beforeAll(async () => {
  const api = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { pathname: path } = new URL(request.url)
      const bytes = Buffer.from(await request.arrayBuffer())
      seen.push({ path, headers: request.headers, bytes })
      if (path.startsWith('/strict') && bytes.includes('stream_options'))
        return Response.json({ detail: [{ loc: ['body', 'stream_options'] }] }, { status: 422 })
      if (path.startsWith('/crafted'))
        return Response.json({ error: 'a role may not be stream_options' }, { status: 400 })
      if (path.startsWith('/wordy'))
        return Response.json({ error: 'x'.repeat(20_000), of: 'stream_options' }, { status: 400 })
      if (path.startsWith('/broken')) return Response.json({ error: 'other' }, { status: 400 })
      if (path.startsWith('/slow')) await new Promise<void>((resolve) => waiting.push(resolve))
      if (path === '/v1/models/real') return Response.json({ id: 'real', object: 'model' })
      if (bytes.includes('"stream":true'))
        return new Response(
          'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\ndata: [DONE]\n\n',
          {
            headers: { 'content-type': 'text/event-stream' },
          },
        )
      return Response.json({ model: 'm', usage: USAGE })
    },
  })
  const url = `http://127.0.0.1:${api.port}`
  server = await startServer({ PROXY_BUFFER_BYTES_MAX: '33554432' })
  const add = (name: string, more: object = {}) =>
    addUpstream(server, { name, base_url: `${url}/${name}`, prices: PRICES, ...more })
  await add('v1', { model_aliases: { fast: 'real' } })
  for (const name of ['strict', 'crafted', 'wordy', 'broken', 'slow']) await add(name)
  await add('dear', {
    costs: [
      { path: '/images/generations', requests: 10 },
      { path: '/audio/speech/', requests: 5 },
    ],
  })
})

type Ask = {
  type?: string
  coding?: string
  body?: RequestInit['body']
  upstream?: string
  method?: string
}

function send(key: string, path: string, ask: Ask = {}): Promise<Response> {
  const { type = 'application/json', coding, body = '{"model":"m"}', upstream = 'v1' } = ask
  const { method = 'POST' } = ask
  const headers: Record<string, string> = { authorization: `Bearer ${key}` }
  if (type !== '') headers['content-type'] = type
  if (coding !== undefined) headers['content-encoding'] = coding
  const init = method === 'GET' ? {} : { body }
  return fetch(`${server.url}/u/${upstream}${path}`, { method, headers, ...init })
}

/** The status, the code of a refusal, and what reached the upstream. */
async function outcome(sent: Promise<Response>) {
  const before = seen.length
  const response = await sent
  const text = await response.text()
  const code = response.headers.get('x-quota-error')
  return { status: response.status, code, got: seen.slice(before), text }
}

async function lastCall(id: string) {
  const [call] = await callsOf(server, id)
  if (!call) throw new Error('there is no call')
  return call
}

const JSON_BODY = '{"model":"m","max_tokens":700}'

describe('a body that is JSON is read, whatever it is called', () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/octet-stream',
    'text/event-stream',
    '',
  ])
    test(`by the type “${type}”`, async () => {
      const { key, id } = await issueKey(server, { limits: LIMITS })
      const body = new Blob([`\n ${JSON_BODY}`])
      const { status, got } = await outcome(send(key, '/chat/completions', { type, body }))
      expect([status, got[0]?.bytes.toString()]).toEqual([200, `\n ${JSON_BODY}`])
      expect((await lastCall(id)).tokens.reserved).toBeWithin(700, 720)
    })

  test('also if it is long, and comes in pieces', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    const text = JSON.stringify({ model: 'm', max_tokens: 700, x: 'word '.repeat(60_000) })
    const pieces = text.match(/.{1,50000}/g) ?? []
    const body = new ReadableStream({
      async start(controller) {
        for (const piece of pieces) {
          controller.enqueue(Buffer.from(piece))
          await Bun.sleep(1)
        }
        controller.close()
      },
    })
    const { status, got } = await outcome(
      send(key, '/chat/completions', { type: 'text/plain', body }),
    )
    expect([status, got[0]?.bytes.toString() === text]).toEqual([200, true])
    expect((await lastCall(id)).tokens.reserved).toBeWithin(75_700, 75_800)
  })
})

describe('what cannot be read', () => {
  const unread: [string, Ask][] = [
    ['of another type', { type: 'application/octet-stream', body: 'abc' }],
    ['that only begins as JSON', { type: 'text/plain', body: '{"model":"m"' }],
    ['in two documents', { type: 'application/x-ndjson', body: '{"model":"m"}\n{"model":"n"}' }],
    ['that names a member twice', { type: 'text/plain', body: '{"model":"m","model":"n"}' }],
    ['as a broken form', { type: 'multipart/form-data; boundary=X', body: '--Y' }],
    ['that is long', { type: 'audio/mpeg', body: 'x'.repeat(300_000) }],
  ]
  for (const [what, ask] of unread)
    test(`is refused where a limit or a scope depends on it: ${what}`, async () => {
      const limited = await issueKey(server, { limits: LIMITS })
      const refused = await outcome(send(limited.key, '/chat/completions', ask))
      expect(refused).toMatchObject({ status: 415, code: 'unsupported_media_type', got: [] })
      expect(refused.text).toContain('application/json')
      const bound = await issueKey(server, { models: ['m'] })
      expect(await outcome(send(bound.key, '/chat/completions', ask))).toMatchObject({
        code: 'model_not_allowed',
        got: [],
      })
      // Whoever is bound by requests alone may send anything, as it is.
      const free = await issueKey(server)
      const passed = await outcome(send(free.key, '/chat/completions', ask))
      expect([passed.status, passed.got[0]?.bytes.toString()]).toEqual([200, ask.body as string])
      expect(await usedByLimit(server, limited.id)).toEqual({ quota: 0, tokens: 0, money: 0 })
    })

  test('may be a file, where no model works on it', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    const body = 'x'.repeat(300_000)
    const { status, got } = await outcome(
      send(key, '/upload/v1beta/files', { type: 'audio/mpeg', body }),
    )
    expect([status, got[0]?.bytes.length]).toEqual([200, 300_000])
    expect((await lastCall(id)).tokens.reserved).toBe(0)
  })
})

describe('a coded body', () => {
  const CODERS = {
    gzip: gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
  }
  for (const [coding, code] of Object.entries(CODERS))
    test(`of ${coding} is read, and passes as it came`, async () => {
      const { key, id } = await issueKey(server, { limits: LIMITS, models: ['m'] })
      const coded = code(JSON_BODY)
      const { status, got } = await outcome(send(key, '/responses', { coding, body: coded }))
      expect([
        status,
        got[0]?.headers.get('content-encoding'),
        got[0]?.bytes.equals(coded),
      ]).toEqual([200, coding, true])
      expect((await lastCall(id)).tokens.reserved).toBeWithin(700, 720)
      const no = await outcome(send(key, '/responses', { coding, body: code('{"model":"n"}') }))
      expect(no).toMatchObject({ code: 'model_not_allowed', got: [] })
    })

  test('is sent decoded if something in it has to be changed', async () => {
    const { key } = await issueKey(server, { limits: LIMITS })
    const { got } = await outcome(
      send(key, '/responses', { coding: 'gzip', body: gzipSync('{"model":"fast"}') }),
    )
    expect([got[0]?.headers.get('content-encoding'), got[0]?.bytes.toString()]).toEqual([
      null,
      '{"model":"real"}',
    ])
  })

  test('of an unknown coding is refused where it must be read, and passes elsewhere', async () => {
    const { key } = await issueKey(server, { limits: LIMITS })
    const refused = await outcome(send(key, '/responses', { coding: 'snappy', body: 'xxxx' }))
    expect(refused).toMatchObject({ status: 415, code: 'unsupported_media_type', got: [] })
    expect(refused.text).toContain('Content-Encoding')
    const free = await issueKey(server)
    const passed = await outcome(send(free.key, '/responses', { coding: 'snappy', body: 'xxxx' }))
    expect([passed.status, passed.got[0]?.headers.get('content-encoding')]).toEqual([200, 'snappy'])
  })

  test('that is a bomb, or broken, or nothing, is refused', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    const bombs = [
      gzipSync(Buffer.alloc(100_000_000, ' ')),
      zstdCompressSync(Buffer.alloc(100_000_000, ' ')),
    ]
    for (const [i, body] of bombs.entries()) {
      const coding = i === 0 ? 'gzip' : 'zstd'
      expect(await outcome(send(key, '/responses', { coding, body }))).toMatchObject({
        status: 413,
        code: 'request_too_large',
        got: [],
      })
    }
    // Small enough for the memory, and too large for what it was.
    const body = gzipSync(`{"model":"m","input":"${' '.repeat(2 * 1024 * 1024)}"}`)
    expect(await outcome(send(key, '/responses', { coding: 'gzip', body }))).toMatchObject({
      status: 413,
      got: [],
    })
    for (const body of ['{"model":"m"}', gzipSync(''), gzipSync(JSON_BODY).subarray(0, 20)])
      expect(await outcome(send(key, '/responses', { coding: 'gzip', body }))).toMatchObject({
        status: 422,
        got: [],
      })
    expect(await usedByLimit(server, id)).toEqual({ quota: 0, tokens: 0, money: 0 })
  })
})

describe('a form', () => {
  const form = (fields: [string, string][], bytes = 100_000) => {
    const data = new FormData()
    data.set('file', new File(['x'.repeat(bytes)], 'a.wav', { type: 'audio/wav' }))
    for (const [name, value] of fields) data.append(name, value)
    return data
  }

  test('names its model, wherever it stands', async () => {
    const { key } = await issueKey(server, { limits: LIMITS, models: ['m'] })
    const go = (...fields: [string, string][]) =>
      outcome(send(key, '/audio/transcriptions', { type: '', body: form(fields) }))
    expect(await go(['model', 'm'])).toMatchObject({ status: 200 })
    for (const fields of [
      [['model', 'n']],
      [
        ['model', 'm'],
        ['model', 'n'],
      ],
      [['Model', 'm']],
      [],
    ] as [string, string][][])
      expect(await go(...fields)).toMatchObject({ status: 403, code: 'model_not_allowed', got: [] })
  })

  test('is asked for by its alias', async () => {
    const { key } = await issueKey(server, { limits: LIMITS })
    const { got } = await outcome(
      send(key, '/audio/transcriptions', { type: '', body: form([['model', 'fast']], 10) }),
    )
    expect(got[0]?.bytes.toString()).toContain('name="model"\r\n\r\nreal\r\n')
  })
})

describe('a model in the path', () => {
  test('has to be allowed beside the one in the body', async () => {
    const { key } = await issueKey(server, { models: ['gpt-4o-mini'] })
    const body = '{"model":"gpt-4o-mini"}'
    const go = (path: string, text = body) => outcome(send(key, path, { body: text }))
    for (const path of [
      '/engines/gpt-5/completions',
      '/model/claude/invoke',
      '/tunedModels/x:generateContent',
      '//models//gpt-5:generateContent',
      '/models%2Fgpt-5:generateContent',
      '/openai/deployments/gpt-5/chat/completions',
      '/chat/completions?model=gpt-5',
      '/realtime/sessions?deployment=gpt-5',
    ])
      expect(await go(path)).toMatchObject({ status: 403, code: 'model_not_allowed', got: [] })
    for (const path of [
      '/openai/deployments/gpt-4o-mini/chat/completions',
      '/models/gpt-4o-mini:generateContent',
      '/model/gpt-4o-mini/converse',
      '/engines/gpt-4o-mini/completions',
    ]) {
      expect(await go(path, '{"messages":[]}')).toMatchObject({ status: 200 })
      expect(await go(path, '{"model":"gpt-5"}')).toMatchObject({ status: 403 })
    }
    expect(
      await go('/chat/completions', '{"model":"gpt-4o-mini","models":["gpt-5"]}'),
    ).toMatchObject({ status: 403 })
    expect(await go('/chat/completions?model=gpt-4o-mini', '{}')).toMatchObject({ status: 403 })
  })

  test('decides about the price, and is asked for by its alias', async () => {
    const { key, id } = await issueKey(server)
    const { got } = await outcome(
      send(key, '/models/fast:generateContent', { body: '{"contents":[]}' }),
    )
    expect(got[0]?.path).toBe('/v1/models/real:generateContent')
    expect((await lastCall(id)).model).toBe('m')
  })

  test('is shown by the name that it was asked by, or as if it were not there', async () => {
    const { key } = await issueKey(server, { models: ['fast'] })
    expect(await outcome(send(key, '/models/fast', { method: 'GET' }))).toMatchObject({
      status: 200, text: '{"id":"fast","object":"model"}',
    }) // biome-ignore format: one answer
    for (const path of ['/models/real', '/models/gpt-5', '//models/gpt-5/'])
      expect(await outcome(send(key, path, { method: 'GET' }))).toMatchObject({
        status: 404,
        code: 'not_found',
        got: [],
      })
  })
})

test('a rule about costs holds for every spelling of its path', async () => {
  const { key } = await issueKey(server, { quota: null })
  const cost = async (path: string) => {
    const response = await send(key, path, { upstream: 'dear' })
    await response.text()
    return response.headers.get('x-quota-cost')
  }
  for (const path of [
    '/images/generations',
    '//images/generations',
    '/images//generations',
    '/images/generations/',
    '/images%2Fgenerations',
    '/im%61ges/generations',
    '/images/generations;v=1',
    '/Images/Generations',
    '/images%252fgenerations',
  ])
    expect([path, await cost(path)]).toEqual([path, '10'])
  for (const path of ['/audio/speech', '/audio/speech/', '/audio//speech'])
    expect([path, await cost(path)]).toEqual([path, '5'])
  expect(await cost('/images')).toBe('1')
})

describe('a bound for what one call reserves', () => {
  const go = (key: string, most: number, upstream = 'v1') =>
    send(key, '/chat/completions', {
      upstream,
      body: JSON.stringify({ model: 'm', max_tokens: most }),
    })

  test('lets calls in that ask for more than there is, and what they consume is charged', async () => {
    const limits = [{ name: 'tokens', unit: 'tokens', amount: 100_000, window: 'day' }]
    const bound = await issueKey(server, { limits, reserve_max: { tokens: 8000 } })
    const free = await issueKey(server, { limits })
    waiting = []
    const eight = Array.from({ length: 8 }, () => go(bound.key, 32_000, 'slow'))
    await until(() => waiting.length === 8)
    for (const letGo of waiting) letGo()
    expect((await Promise.all(eight)).map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect((await go(bound.key, 128_000)).status).toBe(200)
    expect((await go(free.key, 128_000)).status).toBe(429)
    expect((await lastCall(bound.id)).tokens).toMatchObject({ reserved: 8000, charged: 14 })
    expect((await usedByLimit(server, bound.id))['tokens']).toBe(9 * 14)
  })

  test('is in force and gone with the next call after a change', async () => {
    const { key, id } = await issueKey(server, {
      limits: LIMITS,
      reserve_max: { tokens: 50, cost: 60 },
    })
    const reserved = async () => {
      expect((await go(key, 1000)).status).toBe(200)
      const { tokens, cost } = await lastCall(id)
      return [tokens.reserved, cost.reserved]
    }
    const change = (reserve_max: unknown) =>
      server.admin('PATCH', `/admin/keys/${id}`, { reserve_max })
    expect(await reserved()).toEqual([50, 60])
    expect((await change({ tokens: 70 })).status).toBe(200)
    expect(await reserved()).toEqual([70, 5008])
    expect((await change(null)).status).toBe(200)
    expect(await reserved()).toEqual([1008, 5008])
  })

  test('lets nobody in who has nothing left', async () => {
    const limits = [{ name: 'tokens', unit: 'tokens', amount: 20, window: 'day' }]
    const { key } = await issueKey(server, { limits, reserve_max: { tokens: 10 } })
    expect((await go(key, 1000)).status).toBe(200)
    expect((await go(key, 1000)).status).toBe(429)
  })

  test('is an amount of tokens, of cost or of both', async () => {
    for (const wrong of [
      {},
      { tokens: 0 },
      { tokens: '8000' },
      { requests: 1 },
      { tokens: 1.5 },
      8000,
      [],
      'none',
    ]) {
      const refused = await server.admin('POST', '/admin/keys', {
        name: 'k',
        quota: 1,
        reserve_max: wrong,
      })
      expect([wrong, refused.status]).toEqual([wrong, 422])
    }
    const made = await server.admin('POST', '/admin/keys', {
      name: 'k',
      quota: 1,
      reserve_max: { cost: 5 },
    })
    expect(await made.json()).toMatchObject({ reserve_max: { cost: 5 } })
  })
})

describe('a wish for usage that the upstream refuses', () => {
  const STREAM = '{"model":"m","stream":true}'
  const go = (key: string, upstream: string, body = STREAM) =>
    outcome(send(key, '/chat/completions', { upstream, body }))

  test('does not reach the client: the call goes out as it was written, under a charge of its own', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    const first = await go(key, 'strict')
    expect(first).toMatchObject({ status: 200 })
    expect(first.text).toContain('Hello')
    expect(first.got.map(({ bytes }) => bytes.includes('stream_options'))).toEqual([true, false])
    const [taken, refused, ...others] = await callsOf(server, id)
    expect(others).toEqual([])
    expect(refused).toMatchObject({
      status: 422,
      requests: { charged: 0 },
      tokens: { charged: 0 },
      cost: { charged: 0 },
    })
    expect(taken).toMatchObject({ status: 200, requests: { charged: 1 } })
    expect((await usedByLimit(server, id))['quota']).toBe(1)
    // Known by now.
    const second = await go(key, 'strict')
    expect(second.got.map(({ bytes }) => bytes.toString())).toEqual([STREAM])
    // Of another model it is not.
    expect((await go(key, 'strict', '{"model":"other","stream":true}')).got).toHaveLength(2)
  })

  test('is one call to the log and to the metrics, whose request went out twice', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    const ended = async () => {
      await settledLogs(server)
      const text = await (await server.admin('GET', '/metrics')).text()
      const lines = text.match(/^quota_proxy_calls_total\{upstream="strict".*$/gm) ?? []
      return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    }
    const before = await ended()
    const { got } = await go(key, 'strict', '{"model":"counted","stream":true}')
    expect(got).toHaveLength(2)
    const calls = await callsOf(server, id)
    expect(calls.map(({ status }) => status)).toEqual([200, 422])
    expect(await ended()).toBe(before + 1)
    const lines = server.events().filter(({ key_id, msg }) => key_id === id && msg === 'call')
    expect(lines).toMatchObject([{ outcome: 'answered', status: 200, cost: 1 }])
  })

  test('is not learned from what a holder can bring about', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    for (let n = 0; n < 2; n++) {
      const crafted = await go(key, 'crafted')
      expect(crafted.status).toBe(400)
      expect(crafted.got.map(({ bytes }) => bytes.includes('stream_options'))).toEqual([
        true,
        false,
      ])
    }
    expect(await callsOf(server, id)).toHaveLength(4)
  })

  test('is none if the client has said something of it itself, or the answer speaks of something else', async () => {
    const { key } = await issueKey(server, { limits: LIMITS })
    const own = '{"model":"n","stream":true,"stream_options":{"include_obfuscation":true}}'
    const refused = await go(key, 'strict', own)
    expect([refused.status, refused.got.length]).toEqual([422, 1])
    expect(await go(key, 'broken')).toMatchObject({ status: 400, text: '{"error":"other"}' })
    expect(seen.at(-1)?.path).toBe('/broken/chat/completions')
    const wordy = await go(key, 'wordy')
    expect([wordy.status, wordy.got.length]).toEqual([400, 1])
  })
})
