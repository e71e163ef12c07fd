/** Streams in bulk: tokens counted right and not a byte changed, wherever the pieces end; and streams that are left at any moment. */
import { expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { callsOf, holds, settled, until, usedByLimit } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { type RawRequest, startRawUpstream } from '../support/wire.ts'

/** A million messages, written as one block of them again and again. */
const BLOCKS = 200
const BLOCK_MESSAGES = 5_000
const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: '
const LIMITS = [{ name: 'tokens', unit: 'tokens', amount: 1_000_000_000, window: 'lifetime' }]

/** Characters of every length, line ends in disguise, and what only looks like a report. */
const TEXTS = [
  'Grüße',
  '你好',
  '🌍🏽',
  'a\n\nb',
  '"usage":{',
  'data: {"usage":{"prompt_tokens":1}}',
  '\u2028',
]

type Form = {
  readonly type: string
  /** One of the many messages. */
  readonly message: (content: string, n: number) => string
  readonly first: string
  readonly last: string
  /** What is added if the request asks for its usage. */
  readonly counted: string
  readonly tokens: { readonly input: number; readonly output: number; readonly cached: number }
}

const event = (value: unknown, end = '\n') => `data: ${JSON.stringify(value)}${end}${end}`
const named = (value: { type: string }) => `event: ${value.type}\n${event(value)}`

/** What is reported on the way, once in each block, counts for nothing when there is more. */
const passing = (n: number) => (n === 1_000 ? { prompt_tokens: 1, completion_tokens: n } : null)

const FORMS: Readonly<Record<string, Form>> = {
  '/chat/completions': {
    type: 'text/event-stream',
    message: (content, n) => {
      const choices = [{ index: 0, delta: { content }, finish_reason: null }]
      return event({ id: 'c', choices, usage: passing(n) }, n % 3 === 0 ? '\r\n' : '\n')
    },
    first: ': begin\n\n',
    last: 'data: [DONE]\n\n',
    counted: event({
      id: 'c',
      choices: [],
      usage: {
        prompt_tokens: 1234,
        completion_tokens: 567_890,
        prompt_tokens_details: { cached_tokens: 1024 },
      },
    }),
    tokens: { input: 1234, output: 567_890, cached: 1024 },
  },
  '/messages': {
    type: 'text/event-stream; charset=utf-8',
    message: (text) =>
      named({ type: 'content_block_delta', ...{ index: 0, delta: { type: 'text_delta', text } } }),
    first: named({
      type: 'message_start',
      ...{
        message: { usage: { input_tokens: 34, cache_read_input_tokens: 1200, output_tokens: 1 } },
      },
    }),
    last:
      named({ type: 'message_delta', ...{ delta: {}, usage: { output_tokens: 98_765 } } }) +
      named({ type: 'message_stop' }),
    counted: '',
    tokens: { input: 1234, output: 98_765, cached: 1200 },
  },
  '/api/chat': {
    type: 'application/x-ndjson',
    message: (content) => `${JSON.stringify({ message: { role: 'assistant', content } })}\n`,
    first: '',
    last: `${JSON.stringify({ done: true, prompt_eval_count: 77, eval_count: 88_888 })}\n`,
    counted: '',
    tokens: { input: 77, output: 88_888, cached: 0 },
  },
}

/** The answer as the upstream writes it to one who asks for usage, or to one who does not. */
function partsOf({ first, message, counted, last }: Form, isCounted: boolean): Buffer[] {
  const block = Array.from({ length: BLOCK_MESSAGES }, (_, n) =>
    message(TEXTS[n % TEXTS.length] ?? '', n),
  )
  const blocks = Array<Buffer>(BLOCKS).fill(Buffer.from(block.join('')))
  return [Buffer.from(first), ...blocks, Buffer.from((isCounted ? counted : '') + last)]
}

/** Length and digest. */
async function sumUp(parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  const hash = new Bun.SHA256()
  let length = 0
  for await (const part of parts) {
    hash.update(part)
    length += part.length
  }
  return { length, digest: hash.digest('hex') }
}

/** Sizes of the pieces that an upstream writes, in turn; set by each test. */
let sizes: readonly number[] = [1]
/** The upstream's sides of the calls to `/abort`. */
const sides = new Set<Socket>()

const upstream = await startRawUpstream((socket, request) => {
  void (request.target === '/abort/chat/completions'
    ? trickle(socket, request)
    : pour(socket, request))
})
const server = await startServer()
await addUpstream(server, { name: 'api', base_url: upstream.url, mount: '/v1' })

async function pour(socket: Socket, { target, body }: RawRequest): Promise<void> {
  const form = FORMS[target]
  if (!form) throw new Error(`nothing is at ${target}`)
  socket.setNoDelay(true)
  socket.write(`${HEAD}${form.type}\r\n\r\n`)
  let n = 0
  for (const part of partsOf(form, body.includes('"include_usage":true'))) {
    for (let at = 0; at < part.length; n++) {
      const piece = part.subarray(at, at + (sizes[n % sizes.length] ?? 1))
      at += piece.length
      const whole = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, CRLF])
      if (!socket.write(whole)) await new Promise((resolve) => socket.once('drain', resolve))
      // A turn of its own, so that the pieces do not leave as one.
      else await new Promise((resolve) => setImmediate(resolve))
    }
  }
  socket.write('0\r\n\r\n')
}
const CRLF = Buffer.from('\r\n')

/** One of them is large, or a hundred megabytes in pieces of one byte would take minutes. */
const pieces = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 100, max: 65_536 })), {
    maxLength: 12,
  })
  .map((drawn) => [...drawn, 65_536])

async function ask(key: string, path: string, body: object, signal?: AbortSignal) {
  return fetch(`${server.url}/v1${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  })
}

const CASES: readonly (readonly [string, string, object])[] = [
  ['of OpenAI', '/chat/completions', { stream: true, stream_options: { include_usage: true } }],
  ['of OpenAI that nobody has asked to report', '/chat/completions', { stream: true }],
  ['of Anthropic', '/messages', { stream: true }],
  ['of Ollama', '/api/chat', {}],
]

for (const [what, path, body] of CASES) {
  test(`a stream ${what} passes byte for byte and is counted to the unit, wherever its pieces end`, async () => {
    const form = FORMS[path] as Form
    const isCounted = 'stream_options' in body
    const expected = await sumUp(partsOf(form, isCounted))
    const { input, output } = form.tokens
    const run = async (drawn: readonly number[]) => {
      sizes = drawn
      const { key, id } = await issueKey(server, { limits: LIMITS })
      const { body: passed } = await ask(key, path, body)
      expect(await sumUp(passed ?? [])).toEqual(expected)
      expect(await callsOf(server, id)).toMatchObject([
        {
          outcome: 'answered',
          tokens: { ...form.tokens, charged: input + output },
          estimated: false,
          bytes_out: expected.length,
        },
      ])
      expect(await usedByLimit(server, id)).toEqual({ quota: 1, tokens: input + output })
    }
    await fc.assert(fc.asyncProperty(pieces, run), { numRuns: 1, endOnFailure: true })
  }, 60_000)
}

/** A stream of about 40 ms, or of far longer than anybody here waits. */
async function trickle(socket: Socket, { body }: RawRequest): Promise<void> {
  sides.add(socket)
  socket.once('close', () => sides.delete(socket))
  const { message, counted, last } = FORMS['/chat/completions'] as Form
  const write = (text: string) =>
    socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
  socket.write(`${HEAD}text/event-stream\r\n\r\n`)
  const messages = body.includes('long') ? 200 : 20
  for (let n = 0; n < messages && !socket.destroyed; n++) {
    write(message('🌍', 1))
    await Bun.sleep(2)
  }
  if (socket.destroyed) return
  write(counted)
  write(last)
  socket.end('0\r\n\r\n')
}

const free = (calls: readonly { outcome: string; tokens: { charged: number } }[]) =>
  calls.every(({ outcome, tokens }) => outcome !== 'not_sent' || tokens.charged === 0)

test('streams that are left at any moment are settled once each, and hold nothing', async () => {
  const { key, id } = await issueKey(server, { limits: LIMITS })
  const leave = async (afterMs: number, n: number) => {
    const chat = { model: n % 2 ? 'long' : 'short', stream: true, max_tokens: 1000 }
    const signal = AbortSignal.timeout(afterMs)
    try {
      await (await ask(key, '/abort/chat/completions', chat, signal)).bytes()
    } catch {
      // It has left.
    }
  }
  const moments = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 20, maxLength: 20 })
  const batch = async (drawn: readonly number[]) => {
    // One that stays, and one that surely leaves before the end.
    await Promise.all([10_000, 10, ...drawn].map(leave))
    // What is left of each is read on for.
    await until(() => sides.size === 0)
  }
  await fc.assert(fc.asyncProperty(moments, batch), { numRuns: 4, endOnFailure: true })

  await settled(server)
  expect(await holds(server)).toBe(0)
  const calls = await callsOf(server, id)
  const { input, output } = (FORMS['/chat/completions'] as Form).tokens
  const ends = calls.map(({ outcome, estimated, tokens }) => [
    outcome,
    estimated ? tokens.charged < tokens.reserved : tokens.charged === input + output,
  ])
  const kinds = new Set(ends.map(String))
  // Whoever leaves before anything is sent is charged nothing.
  expect(kinds.delete('not_sent,false') ? free(calls) : true).toBe(true)
  expect(kinds).toEqual(new Set(['answered,true', 'client_aborted,true']))
  const sum = calls.reduce((all, { tokens }) => all + tokens.charged, 0)
  expect(await usedByLimit(server, id)).toEqual({
    quota: calls.filter(({ outcome }) => outcome !== 'not_sent').length,
    tokens: sum,
  })

  // Whoever has left before the charge is refused, which has a line and no entry.
  const told = () =>
    server
      .events()
      .filter((line) => line['msg'] === 'call' && line['key_id'] === id)
      .filter((line) => line['outcome'] !== 'refused')
  await until(() => told().length >= calls.length)
  const requests = told().map((line) => String(line['request_id']))
  expect(requests.toSorted()).toEqual(calls.map((call) => call.request_id).toSorted())
  expect(await (await server.admin('GET', '/admin/doctor')).json()).toMatchObject({ ok: true })
}, 60_000)
