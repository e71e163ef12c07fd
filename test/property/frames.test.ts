/**
 * Whatever events Bedrock's binary streams carry, with whatever headers, packed or not, under whatever type, and however they
 * are cut: what is read of them is what a reading of the events finds, and what passes are the very bytes.
 */
import { expect, test } from 'bun:test'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { type AnswerTapOptions, createAnswerTap } from '../../src/metering/answer/answer-tap.ts'
import { createReading } from '../../src/metering/dialects/index.ts'
import { type FrameHeader, frame } from '../support/frames.ts'
import { cut } from '../support/pieces.ts'

const SETTINGS = { kind: 'tokens', outputTokensDefault: 1000 } as const

function listen(pieces: readonly Uint8Array[], more: Partial<AnswerTapOptions> = {}) {
  const about = { contentType: null, contentEncoding: null, settings: SETTINGS, hideUsage: false }
  const tap = createAnswerTap({ ...about, ...more })
  if (!tap) throw new Error('nothing listens')
  const passed = pieces.map((piece) => tap.pass(piece))
  const shown = Buffer.concat([...passed, tap.flush()].filter((part) => part !== null))
  expect(shown.equals(Buffer.concat(pieces))).toBe(true)
  const { usage, failed, writtenBytes, isPartial = false } = tap.report()
  const { model: _, ...counted } = usage
  return { usage: counted, failed, writtenBytes, isPartial }
}

const count = fc.integer({ min: 0, max: 1e9 })
const words = fc.string({ unit: 'grapheme', maxLength: 40 })
const event = fc.oneof(
  fc.record({
    metrics: fc.record({ latencyMs: count }),
    usage: fc.record(
      {
        inputTokens: count,
        outputTokens: count,
        cacheReadInputTokens: count,
        cacheWriteInputTokens: count,
      },
      { requiredKeys: ['inputTokens', 'outputTokens'] },
    ),
  }),
  fc.record({ contentBlockIndex: count, delta: fc.record({ text: words }) }),
  fc.record({ type: fc.constant('content_block_delta'), delta: fc.record({ text: words }) }),
  fc.record({
    type: fc.constant('message_start'),
    message: fc.record({ usage: fc.record({ input_tokens: count, output_tokens: count }) }),
  }),
  fc.record({
    type: fc.constant('message_stop'),
    'amazon-bedrock-invocationMetrics': fc.record({
      inputTokenCount: count,
      outputTokenCount: count,
    }),
  }),
  fc.record({ prompt_token_count: count, generation_token_count: count, generation: words }),
  fc.record({ error: fc.record({ message: words }) }),
  fc.record({ value: fc.jsonValue() }),
)

const type = fc
  .constantFrom(
    ...([
      [0, 0],
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 4],
      [5, 8],
      [8, 8],
      [9, 16],
    ] as const),
  )
  .chain(([type, length]) =>
    fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((value) => Buffer.from([type, ...value])),
  )
const header: fc.Arbitrary<FrameHeader> = fc.tuple(
  fc.string({ minLength: 1, maxLength: 20 }),
  fc.oneof(fc.string({ maxLength: 300 }), type),
)

/** How the event stands in the payload: as it is, or wrapped. */
const spelled = fc.constantFrom<(event: object) => string>(
  (event) => JSON.stringify(event),
  (event) => JSON.stringify({ ...event, p: 'abc' }, null, 2),
  (event) => JSON.stringify({ bytes: base64(event), p: 'abcdef' }),
  (event) => JSON.stringify({ p: 'bytes"', bytes: base64(event) }, null, '\t'),
  (event) => `{"bytes":"${base64(event).replaceAll('/', '\\/').replaceAll('=', '\\u003d')}"}`,
)

function base64(event: object): string {
  return Buffer.from(JSON.stringify(event)).toString('base64')
}

const framed = fc
  .record({ event, spell: spelled, headers: fc.array(header, { maxLength: 4 }) })
  .map(({ event, spell, headers }) => ({ event, bytes: frame(spell(event), headers) }))
const stream = fc.array(framed, { minLength: 1, maxLength: 6 })

const sizes = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 })), {
  minLength: 1,
  maxLength: 12,
})
const types = fc.constantFrom(
  ...[null, 'application/vnd.amazon.eventstream', 'text/event-stream', 'application/json', 'x'],
)
type Pack = (bytes: Uint8Array) => Uint8Array
const packing = fc.constantFrom<[header: string | null, pack: Pack]>(
  ...([
    [null, (bytes) => bytes],
    ['gzip', (bytes) => bytes],
    ['br', (bytes) => bytes],
    ['deflate', (bytes) => bytes],
    [null, zlib.gzipSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
    ['gzip, br', (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes))],
  ] satisfies [string | null, Pack][]),
)

/** As a reading of the whole events finds it. */
function expected(events: readonly { event: object }[]) {
  const reading = createReading()
  for (const { event } of events) reading.take(event)
  const { model: _, ...usage } = reading.usage()
  return { usage, failed: reading.failed() }
}

/** The same events, a line for each. */
function asLines(events: readonly { event: object }[]) {
  const lines = events.map(({ event }) => `${JSON.stringify(event)}\n`).join('')
  return listen([Buffer.from(lines)])
}

test('a stream of frames is read alike, however it is written, packed and cut', () => {
  fc.assert(
    fc.property(
      stream,
      types,
      packing,
      sizes,
      fc.boolean(),
      (frames, contentType, [contentEncoding, pack], by, hideUsage) => {
        const bytes = pack(Buffer.concat(frames.map(({ bytes }) => bytes)))
        // Where usage is hidden, what is packed has to say so.
        const isHidden = hideUsage && (contentEncoding !== null || bytes[0] === 0)
        const about = { contentType, contentEncoding, hideUsage: isHidden }
        const { writtenBytes } = asLines(frames)
        expect(listen(cut(bytes, by), about)).toEqual({
          ...expected(frames),
          writtenBytes,
          isPartial: false,
        })
      },
    ),
    { numRuns: 600 },
  )
})

test('whatever is wrong in a frame, those before it count, and nothing behind', () => {
  fc.assert(
    fc.property(
      stream,
      framed,
      stream,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      sizes,
      (before, one, after, place, mask, by) => {
        const wrong = Buffer.from(one.bytes)
        const at = place % wrong.length
        wrong.writeUInt8(wrong.readUInt8(at) ^ mask, at)
        const bytes = [...before, { bytes: wrong }, ...after].map(({ bytes }) => bytes)
        const report = listen(cut(Buffer.concat(bytes), by))
        const { usage, failed } = expected(before)
        expect(report).toMatchObject({ failed, isPartial: true })
        expect(report.usage).toEqual(usage)
        expect(report.writtenBytes).toBeGreaterThanOrEqual(asLines(before).writtenBytes)
        expect(report.writtenBytes).toBeLessThanOrEqual(Buffer.concat(bytes).length)
      },
    ),
    { numRuns: 400 },
  )
})

test('wherever a stream ends, the frames that are whole count', () => {
  fc.assert(
    fc.property(stream, framed, fc.nat(), sizes, (whole, one, place, by) => {
      const rest = one.bytes.subarray(0, place % one.bytes.length)
      const report = listen(cut(Buffer.concat([...whole.map(({ bytes }) => bytes), rest]), by))
      const { usage, failed } = expected(whole)
      expect(report).toMatchObject({ failed, isPartial: false })
      expect(report.usage).toEqual(usage)
    }),
    { numRuns: 300 },
  )
})
