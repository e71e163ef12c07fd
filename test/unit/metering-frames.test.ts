/** What is read of Bedrock's binary event streams, and what of streams that are no such thing, or break. */
import { describe, expect, test } from 'bun:test'
import zlib from 'node:zlib'
import { type AnswerTapOptions, createAnswerTap } from '../../src/metering/answer/answer-tap.ts'
import { reckon } from '../../src/metering/reckon.ts'
import { chunk, converse, EVENT, exception, frame } from '../support/frames.ts'
import { cut } from '../support/pieces.ts'

const SETTINGS = { kind: 'tokens', outputTokensDefault: 1000 } as const
const KiB = 1024
const MiB = 1024 * KiB

function tapOn(more: Partial<AnswerTapOptions> = {}) {
  const about = { contentType: null, contentEncoding: null, settings: SETTINGS, hideUsage: false }
  const tap = createAnswerTap({ ...about, ...more })
  if (!tap) throw new Error('nothing listens')
  return tap
}

function read(frames: readonly Uint8Array[], more: Partial<AnswerTapOptions> = {}, size = 1e9) {
  const tap = tapOn(more)
  const bytes = Buffer.concat(frames)
  const passed = cut(bytes, [size]).map((piece) => tap.pass(piece))
  const shown = Buffer.concat([...passed, tap.flush()].filter((part) => part !== null))
  expect(shown.equals(bytes)).toBe(true)
  return tap.report()
}

const METADATA = converse({
  metrics: { latencyMs: 5 },
  usage: { inputTokens: 5, outputTokens: 7, totalTokens: 15, cacheReadInputTokens: 3 },
})
const text = (text: string) => converse({ contentBlockIndex: 0, delta: { text } })
const CONVERSE = [converse({ role: 'assistant' }), text('Hello '), text('you'), METADATA]
const INVOKE = [
  chunk({
    type: 'message_start',
    message: { model: 'claude-x', usage: { input_tokens: 9, output_tokens: 1 } },
  }),
  chunk({ type: 'content_block_delta', delta: { type: 'text_delta', text: 'Hello' } }),
  chunk({
    type: 'message_delta',
    delta: { stop_reason: 'end_turn' },
    usage: { output_tokens: 12 },
  }),
  chunk({
    type: 'message_stop',
    'amazon-bedrock-invocationMetrics': { inputTokenCount: 9, outputTokenCount: 13 },
  }),
]

test('the frames of these tests are those of AWS', () => {
  // awslabs/aws-c-event-stream, tests: a message with one header of text.
  const known =
    '0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b27666f6f273a27626172277d8d9c08b1'
  expect(frame("{'foo':'bar'}", [['content-type', 'application/json']]).toString('hex')).toBe(known)
})

describe('a stream of frames is read', () => {
  for (const contentType of [
    null,
    'application/vnd.amazon.eventstream',
    'text/event-stream',
    'x',
  ]) {
    for (const size of [1, 5, 11, 12, 13, 1e9]) {
      test(`as ${contentType}, in pieces of ${size}`, () => {
        const converse = read(CONVERSE, { contentType }, size)
        expect(converse.usage).toMatchObject({ input: 8, output: 7, cached: 3 })
        expect(converse.writtenBytes).toBe(9)
        const invoke = read(INVOKE, { contentType }, size)
        expect(invoke.usage).toMatchObject({ model: 'claude-x', input: 9, output: 13 })
        expect(invoke.writtenBytes).toBe(5)
        for (const { failed, isPartial } of [converse, invoke])
          expect([failed, isPartial]).toEqual([false, false])
      })
    }
  }

  test('packed in any way, whatever is said of it', () => {
    const bytes = Buffer.concat(CONVERSE)
    const plain = (bytes: Uint8Array) => bytes
    for (const [contentEncoding, pack] of [
      ['gzip', zlib.gzipSync],
      [null, zlib.gzipSync],
      ['br', zlib.brotliCompressSync],
      ['br', plain],
      ['deflate', plain],
      ['gzip', plain],
    ] as const)
      expect(read([pack(bytes)], { contentEncoding }).usage).toMatchObject({ input: 8, output: 7 })
  })

  test('and passes unchanged where OpenAI would be asked to report', () => {
    for (const size of [1, 1e9]) {
      const report = read(CONVERSE, { hideUsage: true }, size)
      expect(report.usage).toMatchObject({ input: 8, output: 7 })
    }
  })

  test('with headers of every type, and without any', () => {
    const odd = [
      ...[0, 1].map((type) => [`h${type}`, Buffer.from([type])] as const),
      ...[
        [2, 1],
        [3, 2],
        [4, 4],
        [5, 8],
        [8, 8],
        [9, 16],
      ].map(
        ([type = 0, length]) =>
          [`h${type}`, Buffer.from([type, ...Array(length).fill(7)])] as const,
      ),
      ['h6', Buffer.from([6, 0, 2, 1, 1])] as const,
      ['h7', Buffer.from([7, 0, 0])] as const,
    ]
    for (const headers of [odd, [], [...odd, ...EVENT]])
      expect(read([frame('{"usage":{"inputTokens":4}}', headers)]).usage).toMatchObject({
        input: 4,
      })
  })

  test('with the wrapped event behind other members, and in any spelling of base64', () => {
    const event = JSON.stringify({
      usage: { input_tokens: 63, output_tokens: 62 },
      x: '\u00ff??>>~',
    })
    const base64 = Buffer.from(event).toString('base64')
    const spellings = [
      base64.replaceAll('/', '\\/'),
      base64.replaceAll('/', '\\u002f').replaceAll('=', '\\u003d').replaceAll('+', '\\u002B'),
      base64.replace(/=+$/, ''),
      Buffer.from(event).toString('base64url'),
      base64.replace(/(.{7})/g, '$1\\r\\n'),
      base64.replace(/(.{7})/g, '$1 '),
    ]
    expect(base64).toContain('/')
    for (const bytes of spellings) {
      for (const payload of [
        `{"bytes":"${bytes}"}`,
        `{"p":"bytes","\\"":"{\\"","q":["bytes",{"bytes":"e30"}],"byte":"x","bytes_":1 , "bytes" :\n"${bytes}","z":"\\""}`,
      ])
        for (const size of [1, 2, 3, 7, 1e9])
          expect(read([frame(payload)], {}, size).usage).toMatchObject({ input: 63, output: 62 })
    }
  })

  test('but not what a member `bytes` holds that wraps no event', () => {
    const base64 = Buffer.from('{"usage":{"inputTokens":4}}').toString('base64')
    const inside = converse({ delta: { image: { source: { bytes: base64 } } } })
    const list = frame(JSON.stringify(['bytes', base64]))
    const others = ['byte', 'bytesx', 'xbytes'].map((name) => converse({ [name]: base64 }))
    const deep = converse({ delta: { image: 1, bytes: base64 } })
    expect(read([inside, deep, list, ...others, text('x')]).usage).toEqual({})
  })

  test('though the last frame holds no whole event', () => {
    const wrapped = Buffer.from('{"usage":{"inputTokens":9').toString('base64')
    for (const payload of [
      '{"usage":{"inputTokens":9',
      '{"bytes":"e30',
      `{"bytes":"${wrapped}"}`,
    ]) {
      const { usage } = read([frame(payload), ...INVOKE, METADATA])
      expect(usage).toMatchObject({ input: 9, output: 13, cached: 3 })
    }
  })

  test('where an event says something beside what it wraps, and of no more than a few values', () => {
    const bytes = Buffer.from('{"model":"m","usage":{"input_tokens":4}}').toString('base64')
    const both = JSON.stringify({ bytes, usage: { outputTokens: 5 } })
    expect(read([frame(both)]).usage).toMatchObject({ model: 'm', input: 4, output: 5 })
    const values = (n: number) =>
      read([frame(`${'{"model":"m"}'.repeat(n)}{"usage":{"inputTokens":4}}`)])
    expect(values(7).usage).toMatchObject({ input: 4 })
    expect(values(8).usage).toEqual({ model: 'm' })
  })

  test('with thought, and what tools are given', () => {
    const tool = converse({ delta: { toolUse: { input: '{"a":1}' } } })
    const thought = converse({ delta: { reasoningContent: { text: 'Hm' } } })
    expect(read([tool, thought]).writtenBytes).toBe(9)
  })

  test('up to the fourth event for the name of the model', () => {
    const event = (n: number) => chunk({ type: `${n}` })
    const named = chunk({ type: 'x', model: 'm' })
    const after = (n: number) => read([...Array.from({ length: n }, (_, at) => event(at)), named])
    expect(after(3).usage).toEqual({ model: 'm' })
    expect(after(4).usage).toEqual({})
    expect(read([named, chunk({ type: 'x', model: 'n' })]).usage).toEqual({ model: 'm' })
  })

  test('and told of if nobody understands its report', () => {
    const report = read([converse({ usage: { sparks: 5 } })])
    expect(report.unknown?.()).toEqual(['sparks'])
  })
})

describe('a failure is seen', () => {
  test.each([
    ['an exception', exception('throttlingException')],
    [
      'an error',
      frame('', [
        [':error-code', '500'],
        [':message-type', 'error'],
      ]),
    ],
    ['an error that is wrapped', chunk({ type: 'error', error: { message: 'overloaded' } })],
  ])('%s', (_, frame) => {
    expect(read([text('Hello'), frame], {}, 3)).toMatchObject({ failed: true, writtenBytes: 5 })
  })
  test('and nothing else', () => {
    const named = frame('{"message-type":"exception"}', [...EVENT, ['x', 'exception']])
    const others = [
      [':message-type', 'exceptions'],
      [':message-types', 'error'],
    ] as const
    const longer = others.map((header) => frame('{}', [header]))
    const bytes = [6, 0, 9, ...Buffer.from('exception')]
    const noText = frame('{}', [[':message-type', Buffer.from(bytes)]])
    expect(read([named, noText, ...longer, text('x')])).toMatchObject({
      failed: false,
      isPartial: false,
    })
  })
})

describe('a frame that is not valid', () => {
  const flipped = (bytes: Uint8Array, at: number) => {
    const copy = Buffer.from(bytes)
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
    return copy
  }
  const valid = text('x')
  const noType = Buffer.from([10, ...Buffer.from('0123456789'), 0])
  const broken: [what: string, frame: Buffer][] = [
    ['a length', flipped(valid, 3)],
    ['the checksum of the prelude', flipped(valid, 11)],
    ['a header', flipped(valid, 20)],
    ['the payload', flipped(valid, valid.length - 10)],
    ['the last byte', flipped(valid, valid.length - 1)],
    ['a header of no type', frame('{}', [['x', Buffer.from([10])]])],
    ['a header that is too long', frame('{}', [['x', Buffer.from([7, 0, 9, 65])]])],
    ['a header of no type that looks like another', frame('{}', [['x', noType]])],
    ['a header without a length', frame('{}', [['x', Buffer.from([7, 0])]])],
    ['a header without a value', frame('{}', [['x', Buffer.from([])]])],
  ]
  for (const [what, frame] of broken) {
    test(`by ${what} makes the rest unread`, () => {
      for (const size of [1, 1e9]) {
        const report = read([text('Hello'), frame, METADATA], {}, size)
        expect(report.usage).toEqual({})
        expect(report.isPartial).toBe(true)
        const before = read([...CONVERSE, frame, METADATA, METADATA], {}, size)
        expect(before.usage).toMatchObject({ input: 8, output: 7 })
      }
    })
  }

  test('counts nothing of its own report', () => {
    for (const at of [2, 15, METADATA.length - 20, METADATA.length - 1])
      expect(read([text('Hello'), flipped(METADATA, at)]).usage).toEqual({})
    expect(read([text('Hello'), METADATA.subarray(0, -1)]).usage).toEqual({})
  })

  test('has the rest estimated by the share of text before it', () => {
    const many = (n: number) => Array.from({ length: n }, () => text('word '.repeat(10)))
    const report = read([...many(50), flipped(valid, 8), ...many(100)], {}, 1000)
    expect(Math.abs(report.writtenBytes - 150 * 50)).toBeLessThan(75)
    const all = Buffer.concat([...many(50), flipped(valid, 8), ...many(100)])
    expect(report.writtenBytes).toBeLessThan(all.length)
  })

  test('leaves no report from before the text to stand for all of it', () => {
    const start = chunk({ usage: { prompt_tokens: 9, completion_tokens: 1 } })
    const said = chunk({ delta: { type: 'text_delta', text: 'word '.repeat(80) } })
    const metering = {
      settings: SETTINGS,
      prices: null,
      model: null,
      hideUsage: false,
      estimate: null,
    }
    const due = { requests: 1, tokens: 1000, cost: 0 }
    const whole = { status: 200, isWhole: true }
    const charged = (frames: Buffer[]) => reckon(due, whole, metering, read(frames))
    expect(charged([start, said])).toMatchObject({
      charged: { tokens: 10 },
      metered: { estimated: false },
    })
    const { charged: units, metered } = charged([start, said, flipped(valid, valid.length - 1)])
    expect(units.tokens).toBe(9 + 101)
    expect(metered.estimated).toBe(true)
  })
})

describe('what is no stream of frames is not read', () => {
  const contentType = 'application/vnd.amazon.eventstream'
  const tooLong = (bytes: number, headers = 0) => {
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32BE(bytes)
    lengths.writeUInt32BE(headers, 4)
    const crc = Buffer.alloc(4)
    crc.writeUInt32BE(zlib.crc32(lengths))
    return Buffer.concat([lengths, crc, Buffer.alloc(100)])
  }
  test.each([
    ['zeros', Buffer.alloc(100)],
    ['a frame of more than 16 MiB', tooLong(16 * MiB + 1)],
    ['headers of more than 128 KiB', tooLong(1 * MiB, 128 * KiB + 1)],
    ['headers that are longer than the frame', tooLong(100, 85)],
    ['a frame that is shorter than its own lengths', tooLong(15)],
    ['text', Buffer.from('Hello')],
  ])('%s', (_, bytes) => {
    for (const size of [1, 1e9]) {
      const report = read([bytes, METADATA], { contentType }, size)
      expect(report).toMatchObject({ usage: {}, writtenBytes: 0, failed: false })
      const tap = tapOn({ contentType })
      tap.pass(bytes)
      expect(tap.retained()).toBe(0)
    }
  })

  test('nor what ends within a prelude', () => {
    for (const contentEncoding of [null, 'br', 'deflate'])
      expect(read([METADATA.subarray(0, 5)], { contentEncoding }).usage).toEqual({})
  })

  test('and a frame of exactly 16 MiB is one', () => {
    const tap = tapOn()
    tap.pass(tooLong(16 * MiB))
    expect(tap.retained()).toBeGreaterThan(0)
  })
})

describe('memory is bounded', () => {
  const filler = 'iVBORw0KGgoA'.repeat(1_370_000)
  const USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":7}'
  test.each([
    ['an event with usage behind', `{"model":"m","b64":"${filler}",${USAGE}}`],
    ['an event with usage in front', `{"model":"m",${USAGE},"b64":"${filler}"}`],
    ['a wrapped event', wrapped(`{"model":"m","b64":"${filler.slice(4 * MiB)}",${USAGE}}`)],
    [
      'padding around a wrapped event',
      `{"p":"${filler}",${wrapped(`{"model":"m",${USAGE}}`).slice(1)}`,
    ],
  ])('%s, of 16 MiB', (_, payload) => {
    const bytes = frame(payload)
    expect(bytes.length).toBeGreaterThan(15 * MiB)
    for (const size of [64 * KiB, 1000]) {
      const tap = tapOn()
      let retained = 0
      for (const piece of cut(bytes, [size])) {
        tap.pass(piece)
        retained = Math.max(retained, tap.retained())
      }
      expect(retained).toBeLessThanOrEqual(64 * KiB)
      expect(tap.report().usage).toMatchObject({ model: 'm', input: 5, output: 7 })
    }
  })

  test('headers of 128 KiB, a million values or a name of a megabyte in one frame, and many frames', () => {
    const long = Array.from({ length: 2 }, () => ['x', 'y'.repeat(65_000)] as const)
    const name = frame(`{"${'a'.repeat(MiB)}":1}`)
    const values = frame('{"model":"m"}'.repeat(1_000_000))
    const many = Buffer.concat(Array.from({ length: 5000 }, () => text('x')))
    for (const bytes of [frame('{}', long), name, values, many]) {
      const tap = tapOn()
      let retained = 0
      for (const piece of cut(bytes, [64 * KiB])) {
        tap.pass(piece)
        retained = Math.max(retained, tap.retained())
      }
      expect(retained).toBeLessThanOrEqual(256 * KiB)
    }
  })

  function wrapped(event: string): string {
    return `{"bytes":"${Buffer.from(event).toString('base64')}"}`
  }
})
