/** What listens to answers: which ones, what it hands on, what it keeps, and what it has read in the end. */
import { describe, expect, test } from 'bun:test'
import zlib from 'node:zlib'
import type { MeterSettings } from '../../src/domain/upstream.ts'
import { type AnswerTapOptions, createAnswerTap } from '../../src/metering/answer/answer-tap.ts'
import type { Tap } from '../../src/metering/answer/tap.ts'
import { complete } from '../../src/metering/usage.ts'

const TOKENS: MeterSettings = { kind: 'tokens', outputTokensDefault: 1000 }
const MiB = 1024 * 1024

const options = (
  contentType: string | null,
  more: Partial<AnswerTapOptions> = {},
): AnswerTapOptions => ({
  contentType,
  contentEncoding: null,
  settings: TOKENS,
  hideUsage: false,
  ...more,
})

function tapOn(contentType: string, more: Partial<AnswerTapOptions> = {}) {
  const tap = createAnswerTap(options(contentType, more))
  if (!tap) throw new Error(`nothing listens to ${contentType}`)
  return tap
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const textOf = (passed: Uint8Array | null) => Buffer.from(passed ?? []).toString()

/** All that comes out, as text. */
function run(tap: ReturnType<typeof tapOn>, ...chunks: (string | Uint8Array)[]): string {
  const passed = chunks.map((chunk) => tap.pass(typeof chunk === 'string' ? bytes(chunk) : chunk))
  return Buffer.concat([...passed, tap.flush()].filter((part) => part !== null)).toString()
}

const usageOf = (tap: Tap) => complete(tap.report().usage)

const usage = (input: number, output: number, model: string | null = null) => ({
  model,
  input,
  output,
  cached: 0,
  reasoning: 0,
})

const chunkOf = (text: string) =>
  `data: {"id":"c","choices":[{"delta":{"content":${JSON.stringify(text)}}}],"usage":null}\n\n`
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n'
const DONE = 'data: [DONE]\n\n'

describe('an event stream', () => {
  test('is passed on as it arrives: each chunk is the very array, at once', () => {
    const tap = tapOn('text/event-stream')
    for (const text of [
      'dat',
      'a: {"usage":{"prompt_tokens":5,',
      '"completion_tokens":7}}',
      '\n',
    ]) {
      const chunk = bytes(text)
      expect(tap.pass(chunk)).toBe(chunk)
    }
    expect(tap.alters).toBe(false)
    expect(tap.flush()).toBeNull()
    expect(usageOf(tap)).toEqual(usage(5, 7))
  })

  const written: [how: string, stream: string | Uint8Array][] = [
    ['with LF', USAGE + DONE],
    ['with CRLF', (USAGE + DONE).replaceAll('\n', '\r\n')],
    ['with CR', (USAGE + DONE).replaceAll('\n', '\r')],
    ['with spaces as Python writes them', USAGE.replaceAll(':{', ': {')],
    ['without a space after data:', USAGE.replace('data: ', 'data:')],
    ['with the event’s name and id', `event: message\nid: 1\n${USAGE}`],
    ['among comments', `: ping\n\n: ping\n${USAGE}:\n\n`],
    [
      'over many lines',
      'data: {"choices":[],\ndata:"usage":{"prompt_tokens":5,\ndata\ndata: "completion_tokens":7}}\n\n',
    ],
    ['without an empty line at the end', USAGE.trimEnd()],
    ['behind a byte order mark', `\ufeff${USAGE}`],
    ['behind events that are no JSON', `data: {"usage":{\n\ndata: {"usage":{"x}}\n\n${USAGE}`],
    ['before garbage', Buffer.concat([bytes(USAGE), Buffer.from([255, 10, 10, 0, 200, 13])])],
  ]
  for (const [how, stream] of written) {
    test(`is read when written ${how}`, () => {
      const tap = tapOn('text/event-stream')
      run(tap, stream)
      expect(usageOf(tap)).toEqual(usage(5, 7))
    })
  }

  test('is read over however many lines', () => {
    const tap = tapOn('text/event-stream')
    run(tap, `data: {\n${'data:\n'.repeat(100_000)}${USAGE.replace('{', '')}`)
    expect(usageOf(tap)).toEqual(usage(5, 7))
  })

  test('reports what it says last of each number', () => {
    const tap = tapOn('text/event-stream')
    const report = (tokens: object) => `data: ${JSON.stringify({ usage: tokens })}\n\n`
    run(
      tap,
      report({ prompt_tokens: 5, completion_tokens: 1 }),
      report({ prompt_tokens: 5, completion_tokens: 2 }),
      chunkOf('and "usage":{"prompt_tokens":9} in what the model writes is none'),
    )
    expect(usageOf(tap)).toEqual(usage(5, 2))
  })

  test('that says nothing, or is cut off before it does, has no usage', () => {
    const silent = tapOn('text/event-stream')
    run(silent, chunkOf('Hi'), DONE)
    expect(usageOf(silent)).toBeNull()
    const cut = tapOn('text/event-stream')
    cut.pass(bytes(chunkOf('Hi') + USAGE.slice(0, -5)))
    expect(usageOf(cut)).toBeNull()
  })

  test('that was cut off after its report has one', () => {
    const tap = tapOn('text/event-stream')
    tap.pass(bytes(`${USAGE}data: [DO`))
    expect(usageOf(tap)).toEqual(usage(5, 7))
  })

  test('of a million events, in chunks that end anywhere, is kept nowhere and counted to the unit', () => {
    const tap = tapOn('text/event-stream')
    const events = Buffer.from(chunkOf('token ✓ ').repeat(1000))
    const sizes = [1, 7, 4096, 13, 65_536, 997, 2]
    let retainedMax = 0
    for (let round = 0; round < 1000; round++) {
      for (let at = 0, turn = round; at < events.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1
        tap.pass(events.subarray(at, at + size))
        retainedMax = Math.max(retainedMax, tap.retained())
        at += size
      }
    }
    run(tap, USAGE.slice(0, 20), USAGE.slice(20), DONE)
    // A part of one event, in the smallest memory that is reserved, samples of its text, and its beginning.
    expect(retainedMax).toBeLessThanOrEqual(512 + 16 * 512 + 512)
    expect(usageOf(tap)).toEqual(usage(5, 7))
  })

  test('whose event never ends is kept up to a bound, and read again from its end on', () => {
    for (const hideUsage of [false, true]) {
      const tap = tapOn('text/event-stream', { hideUsage })
      const chunk = Buffer.alloc(MiB, 'x')
      let passed = 0
      tap.pass(bytes('data: {"x":"'))
      for (let n = 0; n < 20; n++) {
        passed += tap.pass(chunk)?.length ?? 0
        expect(tap.retained()).toBeLessThanOrEqual(64 * 1024)
      }
      expect(passed).toBeGreaterThanOrEqual(20 * MiB)
      expect(textOf(tap.pass(bytes('"}\n')))).toBe('"}\n')
      run(tap, '\n', USAGE)
      expect(usageOf(tap)).toEqual(usage(5, 7))
    }
  })
})

describe('hidden usage', () => {
  const hiding = () => tapOn('text/event-stream', { hideUsage: true })

  test('is taken out, and nothing else', () => {
    const tap = hiding()
    expect(tap.alters).toBe(true)
    expect(run(tap, chunkOf('Hi') + USAGE + DONE)).toBe(chunkOf('Hi') + DONE)
    expect(usageOf(tap)).toEqual(usage(5, 7))
  })

  test('goes with all of its event, whatever ends its lines', () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const [before, hidden, after] = [chunkOf('Hi'), `id: 3\n${USAGE}`, DONE].map((text) =>
        text.replaceAll('\n', end),
      )
      expect(run(hiding(), `${before}${hidden}${after}`)).toBe(`${before}${after}`)
    }
  })

  test('goes without its last line end too, also between CR and LF', () => {
    const crlf = USAGE.replaceAll('\n', '\r\n')
    expect(run(hiding(), DONE, crlf.slice(0, -1), `\n${DONE}`)).toBe(DONE + DONE)
    expect(run(hiding(), DONE, crlf.slice(0, -1), '\n', '\n')).toBe(`${DONE}\n`)
    expect(run(hiding(), DONE, USAGE.trimEnd())).toBe(DONE)
  })

  test('is nothing that has choices, or no usage', () => {
    const others = [
      'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n',
      'data: {"choices":[],"prompt_filter_results":[{"x":{"usage":{}}}]}\n\n',
      'data: {"choices":[],"usage":null}\n\n',
      'data: {"usage":{"prompt_tokens":5,"completion_tokens":7},"delta":"x"}\n\n',
      'data: {"type":"x","usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n',
      'data: {"choices":null,"text":"x","usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n',
      'data: {"choices":[],"error":{},"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n',
      'data: {"choices":[],"usage":{"prompt_tokens":5,\n\n',
      ': "usage":{ \n\n',
    ]
    for (const other of others) expect(run(hiding(), other)).toBe(other)
  })

  test('holds back an event only until it is whole', () => {
    const tap = hiding()
    const event = chunkOf('Hi')
    expect(tap.pass(bytes(event.slice(0, 9)))).toBeNull()
    expect(textOf(tap.pass(bytes(event.slice(9))))).toBe(event)
    expect(textOf(tap.pass(bytes(event)))).toBe(event)
    expect(textOf(tap.pass(bytes(DONE + event.slice(0, 9))))).toBe(DONE)
    expect(textOf(tap.flush())).toBe(event.slice(0, 9))
  })

  test('is not taken out of a stream in which half of it has passed', () => {
    const tap = hiding()
    const long = USAGE.replace('{', `{"x":"${'x'.repeat(70_000)}",`)
    expect(run(tap, long.slice(0, 69_000), long.slice(69_000), DONE)).toBe(long + DONE)
    expect(usageOf(tap)).toEqual(usage(5, 7))
  })

  test('leaves a long event whole that has no end, and passes it once', () => {
    const tap = hiding()
    const long = chunkOf('x'.repeat(100_000)).trimEnd()
    expect(textOf(tap.pass(bytes(DONE + long)))).toBe(DONE + long)
    expect(textOf(tap.pass(bytes('\n')))).toBe('\n')
    expect(tap.flush()).toBeNull()
  })

  test('does not wait for the end of a long event', () => {
    const tap = hiding()
    const long = chunkOf('x'.repeat(100_000))
    expect(tap.pass(bytes(long.slice(0, 60_000)))).toBeNull()
    expect(tap.pass(bytes(long.slice(60_000, 70_000)))?.length).toBe(70_000)
    expect(tap.pass(bytes(long.slice(70_000, 70_001)))?.length).toBe(1)
    expect(textOf(tap.pass(bytes(long.slice(70_001) + USAGE + DONE)))).toBe(
      long.slice(70_001) + DONE,
    )
  })
})

describe('JSON lines', () => {
  const lines = [
    '{"model":"llama3.2","message":{"content":"Hi"},"done":false}',
    '{"model":"llama3.2","done":true,"prompt_eval_count":26,"eval_count":298}',
  ]

  test('are read with and without a last line end, and passed on as they arrive', () => {
    for (const text of [lines.join('\n'), `${lines.join('\r\n')}\r\n`]) {
      const tap = tapOn('application/x-ndjson', { hideUsage: true })
      const chunk = bytes(text)
      expect(tap.pass(chunk)).toBe(chunk)
      tap.flush()
      expect(usageOf(tap)).toEqual(usage(26, 298, 'llama3.2'))
    }
  })
})

describe('a JSON document', () => {
  const answer = {
    model: 'gpt-4o',
    choices: [{ message: { content: 'Größe' } }],
    usage: { prompt_tokens: 5, completion_tokens: 7 },
  }
  const text = JSON.stringify(answer)

  test('is passed on as it arrives, and read when it is whole', () => {
    const tap = tapOn('application/json')
    for (const chunk of [bytes(text).subarray(0, 55), bytes(text).subarray(55)]) {
      expect(tap.pass(chunk)).toBe(chunk)
    }
    expect(usageOf(tap)).toEqual(usage(5, 7, 'gpt-4o'))
    expect(usageOf(tap)).toEqual(usage(5, 7, 'gpt-4o'))
    expect(tap.report().units).toBeNull()
    expect(tap.retained()).toBe(0)
  })

  const packed: [encoding: string, pack: (bytes: Uint8Array) => Uint8Array][] = [
    ['gzip', zlib.gzipSync],
    ['X-Gzip', zlib.gzipSync],
    ['deflate', zlib.deflateSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
  ]
  for (const [contentEncoding, pack] of packed) {
    test(`is unpacked from ${contentEncoding}, within bounds`, () => {
      const tap = tapOn('application/json', { contentEncoding })
      const whole = pack(bytes(text))
      expect(tap.pass(whole)).toBe(whole)
      expect(usageOf(tap)).toEqual(usage(5, 7, 'gpt-4o'))

      const bomb = tapOn('application/json', { contentEncoding })
      bomb.pass(pack(Buffer.concat([Buffer.alloc(9 * MiB, ' '), bytes(text)])))
      expect(usageOf(bomb)).toBeNull()

      const broken = tapOn('application/json', { contentEncoding })
      broken.pass(whole.subarray(0, whole.length / 2))
      expect(usageOf(broken)).toBeNull()
      const untrue = tapOn('application/json', { contentEncoding })
      untrue.pass(bytes(text))
      expect(usageOf(untrue)).toEqual(usage(5, 7, 'gpt-4o'))
    })
  }

  test('of any length is read from its end, and kept up to a bound', () => {
    const tap = tapOn('application/json')
    const vectors = Buffer.from('{"embedding":[0.123456789]},'.repeat(40_000))
    tap.pass(bytes('{"object":"list","data":['))
    for (let n = 0; n < 20; n++) {
      tap.pass(vectors)
      expect(tap.retained()).toBeLessThanOrEqual(4 * MiB)
    }
    expect(tap.retained()).toBeLessThanOrEqual(256 * 1024)
    run(
      tap,
      '{}],"model":"e","usage": {"prompt_tokens":',
      '8,"total_tokens":8}, "x":{"usage":1}}\n',
    )
    expect(usageOf(tap)).toEqual(usage(8, 0, 'e'))
  })

  test('is not believed where another object, a list or a text reports usage', () => {
    const filler = `"x":"${'x'.repeat(70_000)}"`
    const report = '"usage":{"prompt_tokens":9,"completion_tokens":9}'
    for (const end of [
      `"a":{${report}}}`,
      `"a":[{${report}}]}`,
      `"a":${JSON.stringify(report)}}`,
    ]) {
      const tap = tapOn('application/json')
      run(tap, `{${filler},${end}`)
      expect(usageOf(tap)).toBeNull()
    }
  })

  test('may report at its beginning, however long it is', () => {
    for (const length of [100_000, 3 * MiB]) {
      const tap = tapOn('application/json')
      run(tap, `{"usage":{"prompt_tokens":5,"completion_tokens":7},"x":"${'x'.repeat(length)}"}`)
      expect(usageOf(tap)).toEqual(usage(5, 7))
    }
  })

  test('reports, however much it holds beside it', () => {
    const members = Array.from({ length: 100_000 }, (_, i) => `"a${i}":[{}]`).join(',')
    const report = '"usage":{"prompt_tokens":5,"completion_tokens":7}'
    for (const body of [`{${report},${members}}`, `{"response":{${members},${report}}}`]) {
      const tap = tapOn('application/json')
      run(tap, body)
      expect(usageOf(tap)).toEqual(usage(5, 7))
    }
  })

  test('reports nothing in more than anybody reports', () => {
    const tap = tapOn('application/json')
    const more = `${'0,'.repeat(40_000)}0`
    run(tap, `{"usage":{"prompt_tokens":5,"completion_tokens":7,"x":[${more}]}}`)
    expect(usageOf(tap)).toBeNull()
  })

  test('that was cut off reports what it has said whole', () => {
    for (const [cut, expected] of [
      [-1, usage(5, 7, 'gpt-4o')],
      [-2, null],
    ] as const) {
      const tap = tapOn('application/json')
      tap.pass(bytes(text.slice(0, cut)))
      expect(usageOf(tap)).toEqual(expected)
    }
  })

  test('gives the number at the path of the meter', () => {
    const settings: MeterSettings = { kind: 'json', path: '$.used', unit: 'cost', estimate: 1 }
    const tap = tapOn('application/json', { settings })
    run(tap, '{"used":', '12}')
    expect(tap.report().units).toBe(12)
    expect(usageOf(tap)).toBeNull()
    const long = tapOn('application/json', { settings })
    run(long, `{"x":"${'x'.repeat(3 * MiB)}","used":12}`)
    expect(long.report().units).toBeNull()
  })
})
