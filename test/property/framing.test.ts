/**
 * Whatever an answer is written and packed in, under whatever type, and however it is cut: what is read of it is what a reading
 * of the whole finds, what passes are the very bytes, and what is kept stays small.
 */
import { describe, expect, test } from 'bun:test'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { JsonWalker } from '../../src/lib/json/walk.ts'
import { planWalk } from '../../src/lib/json/walk-plan.ts'
import { type AnswerTapOptions, createAnswerTap } from '../../src/metering/answer/answer-tap.ts'
import { createReading } from '../../src/metering/dialects/index.ts'
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

const sizes = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 })), {
  minLength: 1,
  maxLength: 12,
})

const count = fc.integer({ min: 1, max: 1e9 })
const words = fc.string({ unit: 'grapheme', maxLength: 40 })
const report = fc.oneof(
  fc.record({
    model: fc.constantFrom('a', 'b\u2713'),
    choices: fc.array(fc.record({ message: fc.record({ content: words }) })),
    usage: fc.record({ prompt_tokens: count, completion_tokens: count }),
    extra: fc.jsonValue(),
  }),
  fc.record({
    type: fc.constant('message_start'),
    message: fc.record({ usage: fc.record({ input_tokens: count, output_tokens: count }) }),
  }),
  fc.record({ response: fc.record({ output: words, usage: fc.record({ input_tokens: count }) }) }),
  fc.record({ done: fc.constant(true), prompt_eval_count: count, eval_count: count }),
  fc.record({ error: fc.record({ message: words }) }),
)
const silent = fc.oneof(
  fc.record({ choices: fc.array(fc.record({ delta: fc.record({ content: words }) })) }),
  fc.record({ content: fc.constantFrom('"usage":{"prompt_tokens":9}', 'error', '"error": 1') }),
  fc.record({ choices: fc.constant([]), usage: fc.constant(null) }),
  fc.jsonValue().map((value) => ({ value })),
)
const values = fc
  .tuple(fc.array(fc.oneof(report, silent), { maxLength: 5 }), report)
  .map(([some, last]) => [...some, last])

/** White space where JSON allows it, and outside of strings alone. */
const spelled = fc.constantFrom<(value: unknown) => string>(
  (value) => JSON.stringify(value),
  (value) => JSON.stringify(value, null, 2),
  (value) => JSON.stringify(value, null, '\t').replace(/^(\s*"(?:\\.|[^"\\])*"):/gm, '$1\t :'),
)

type Written = { readonly text: string; readonly values: readonly unknown[] }

const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
const aside = fc.constantFrom('', ': ping', 'event: message', 'id: 7', 'retry: 100', 'other: x')
const eventStream: fc.Arbitrary<Written> = fc
  .record({
    values,
    spell: spelled,
    end: lineEnd,
    mark: fc.constantFrom('', '\ufeff', '\n\n'),
    field: fc.constantFrom('data: ', 'data:'),
    asides: fc.array(aside, { minLength: 1, maxLength: 4 }),
    isOpen: fc.boolean(),
    done: fc.constantFrom('', 'data: [DONE]\n\n'),
  })
  .map(({ values, spell, end, mark, field, asides, isOpen, done }) => {
    const events = values.map((value, n) => {
      const lines = spell(value)
        .split('\n')
        .map((line) => field + line)
      const first = asides[n % asides.length] ?? ''
      return `${[...(first ? [first] : []), ...lines].join('\n')}\n\n`
    })
    const text = events.join('') + done
    const written = isOpen ? text.trimEnd() : text
    // A stream is known by its first field.
    return { text: mark + `data: {}\n\n${written}`.replaceAll('\n', end), values }
  })
const jsonLines: fc.Arbitrary<Written> = fc
  .tuple(values, fc.constantFrom('\n', '\r\n', '', ' ', '\n\n', '\x1e'))
  .map(([values, end]) => ({ text: values.map((one) => JSON.stringify(one)).join(end), values }))
const list: fc.Arbitrary<Written> = fc.tuple(values, spelled).map(([values, spell]) => ({
  text: spell(values),
  values,
}))
const document: fc.Arbitrary<Written> = fc
  .tuple(report, spelled, fc.constantFrom('', '\ufeff', ' \r\n\t'))
  .map(([value, spell, mark]) => ({ text: mark + spell(value), values: [value] }))
const written = fc.oneof(eventStream, jsonLines, list, document)

const types = fc.constantFrom(
  ...[null, '', 'text/plain; charset=utf-8', 'application/json', 'text/html', 'nonsense'],
  ...['application/stream+json', 'application/x-ndjson', 'application/octet-stream', 'audio/mpeg'],
)

type Pack = (bytes: Uint8Array) => Uint8Array
const twice: Pack = (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes))
const packing = fc.constantFrom<[header: string | null, pack: Pack]>(
  ...([
    [null, (bytes) => bytes],
    ['identity, identity', (bytes) => bytes],
    ['UTF8', (bytes) => bytes],
    ['gzip', (bytes) => bytes],
    ['zstd', (bytes) => bytes],
    ['br', (bytes) => bytes],
    ['deflate', (bytes) => bytes],
    ['gzip', zlib.gzipSync],
    ['X-GZIP', zlib.gzipSync],
    [null, zlib.gzipSync],
    ['deflate', zlib.deflateSync],
    ['deflate', zlib.deflateRawSync],
    ['gzip', zlib.deflateSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
    ['utf-8', zlib.zstdCompressSync],
    ['gzip', zlib.zstdCompressSync],
    ['gzip, br', twice],
    ['gzip,gzip', (bytes) => zlib.gzipSync(zlib.gzipSync(bytes))],
  ] satisfies [string | null, Pack][]),
)

/** As a reading of the whole finds it. */
function expected(values: readonly unknown[]) {
  const reading = createReading()
  for (const value of values) reading.take(value)
  const { model: _, ...usage } = reading.usage()
  return { usage, failed: reading.failed() }
}

describe('an answer', () => {
  test('is read alike in any form, under any type, packed in any way, and cut anywhere', () => {
    fc.assert(
      fc.property(written, types, packing, sizes, (answer, contentType, [header, pack], by) => {
        const bytes = pack(Buffer.from(answer.text))
        const tap = tapOn({ contentType, contentEncoding: header })
        for (const piece of cut(bytes, by)) {
          const before = Buffer.from(piece)
          expect(tap.pass(piece)).toBe(piece)
          expect(before.equals(piece)).toBe(true)
        }
        expect(tap.flush()).toBeNull()
        const { usage, failed } = tap.report()
        const { model: _, ...counted } = usage
        expect([answer.text, counted, failed]).toEqual([
          answer.text,
          expected(answer.values).usage,
          expected(answer.values).failed,
        ])
      }),
      { numRuns: 1000 },
    )
  })

  test('that hides usage loses nothing but that chunk, in any spelling', () => {
    fc.assert(
      fc.property(values, spelled, lineEnd, types, sizes, (all, spell, end, contentType, by) => {
        const write = (value: unknown) =>
          `${spell(value).replace(/^/gm, 'data: ')}\n\n`.replaceAll('\n', end)
        const chunk = { choices: null, usage: { prompt_tokens: 3, completion_tokens: 4 } }
        const others = all.map((one) => write({ ...one, choices: [{ delta: { content: 'x' } }] }))
        const stream = [...others, write(chunk), write('[DONE]')].join('')
        const tap = tapOn({ contentType, hideUsage: true })
        const passed = cut(Buffer.from(stream), by).map((piece) => tap.pass(piece))
        const shown = Buffer.concat([...passed, tap.flush()].filter((part) => part !== null))
        expect(shown.toString()).toBe([...others, write('[DONE]')].join(''))
        expect(tap.report().usage).toMatchObject(expected([...all, chunk]).usage)
      }),
      { numRuns: 300 },
    )
  })

  const garbage = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .constantFrom(
          ...[
            '{',
            '}',
            '[',
            ']',
            '"',
            '\\',
            ':',
            ',',
            '"usage":',
            'data: ',
            '\n\n',
            '\r',
            'event: error',
          ],
          ...[
            '"choices":[',
            '{"usage":{',
            '"data":[{"b64_json":',
            '\x1f\x8b\b',
            '\x28\xb5\x2f\xfd',
            'x\x9c',
          ],
        )
        .map((text) => new Uint8Array(Buffer.from(text, 'latin1'))),
    ),
  )
  test('that is garbage passes untouched, and nothing throws', () => {
    fc.assert(
      fc.property(
        garbage,
        types,
        packing,
        fc.boolean(),
        (chunks, contentType, [header], hideUsage) => {
          const tap = tapOn({ contentType, contentEncoding: header, hideUsage })
          const passed = [...chunks.map((chunk) => tap.pass(chunk)), tap.flush()]
          const shown = Buffer.concat(passed.filter((part) => part !== null))
          expect(shown.equals(Buffer.concat(chunks))).toBe(true)
          expect(tap.report().writtenBytes).toBeGreaterThanOrEqual(0)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('a walker', () => {
  const shape = {
    usage: true,
    model: true,
    data: { '[]': { usage: true, url: {} } },
    response: { usage: true, output: { '[]': { usage: true } } },
  } as const
  const plan = planWalk({ shape, signs: ['usage'], texts: ['content'], objects: [] })
  const names = fc.constantFrom(
    'usage',
    'model',
    'data',
    'response',
    'output',
    'url',
    'x',
    'usag\u00e9',
  )
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.oneof(fc.jsonValue({ maxDepth: 1 }), words),
      fc.dictionary(names, tie('value'), { maxKeys: 4 }),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
  })).value

  /** What the shape asks of the value, by a way of its own. */
  function pick(value: unknown, part: object): unknown {
    if (Array.isArray(value)) {
      const items = (part as { '[]'?: object })['[]']
      return items
        ? value.map((item) => pick(item, items)).filter((one) => one !== undefined)
        : undefined
    }
    if (typeof value !== 'object' || value === null) return undefined
    const found = Object.entries(part).flatMap(([name, inner]: [string, unknown]) => {
      if (!Object.hasOwn(value, name)) return []
      const member = (value as Record<string, unknown>)[name]
      if (inner === true) return [[name, member]]
      if (Object.keys(inner as object).length === 0) return [[name, {}]]
      const picked = pick(member, inner as object)
      const isEmpty = picked === undefined || Object.keys(picked as object).length === 0
      return isEmpty ? [] : [[name, picked]]
    })
    return found.length > 0 ? Object.fromEntries(found) : undefined
  }

  test('finds what JSON.parse finds, wherever the text is cut', () => {
    fc.assert(
      fc.property(
        fc.dictionary(names, tree, { maxKeys: 5 }),
        fc.boolean(),
        sizes,
        (value, isSpaced, by) => {
          const text = JSON.stringify(value, null, isSpaced ? 1 : 0)
          const found: unknown[] = []
          const walker = new JsonWalker(plan, (one) => found.push(one))
          for (const piece of cut(Buffer.from(text), by)) walker.write(piece, 0, piece.length)
          walker.end()
          const picked = pick(JSON.parse(text), shape)
          expect(found).toEqual(picked === undefined ? [] : [picked])
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('memory and time are bounded', () => {
  function feed(tap: ReturnType<typeof tapOn>, pieces: Iterable<Uint8Array>): number {
    let retained = 0
    for (const piece of pieces) {
      tap.pass(piece)
      retained = Math.max(retained, tap.retained())
    }
    return retained
  }
  const filler = Buffer.alloc(MiB, 'iVBORw0KGgoA')
  const USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":7}'
  function* around(before: string, behind: string): Iterable<Uint8Array> {
    yield Buffer.from(before)
    for (let n = 0; n < 50; n++) yield filler
    yield Buffer.from(behind)
  }
  const long: [what: string, before: string, behind: string][] = [
    ['an event with usage behind', 'data: {"model":"m","b64_json":"', `",${USAGE}}\n\n`],
    ['an event with usage in front', `data: {"model":"m",${USAGE},"b64_json":"`, '"}\n\n'],
    ['an event cut off', `data: {"model":"m",${USAGE},"b64_json":"`, ''],
    ['a document with usage behind', '{"model":"m","data":[{"b64_json":"', `"}],${USAGE}}`],
    ['a document with usage in front', `{"model":"m",${USAGE},"x":"`, '"}'],
    ['a document with the model behind', `{${USAGE},"x":"`, '","model":"m"}'],
    ['a line', '{"model":"m"}\n{"x":"', `",${USAGE}}\n{}`],
    ['an item', '[{"model":"m"},{"x":"', `",${USAGE}},{}]`],
  ]
  for (const [what, before, behind] of long) {
    test(`${what}, of 50 MiB`, () => {
      const tap = tapOn()
      expect(feed(tap, around(before, behind))).toBeLessThanOrEqual(64 * KiB)
      expect(tap.report().usage).toMatchObject({ model: 'm', input: 5, output: 7 })
      expect(tap.report().writtenBytes).toBe(0)
    })
  }

  test('a million brackets', () => {
    for (const bracket of ['[', '{"a":', '[{"data":']) {
      for (const before of ['', 'data: ', '{"usage":', '{"data":[{"usage":']) {
        const tap = tapOn()
        const text = Buffer.from(before + bracket.repeat(1_000_000))
        expect(feed(tap, cut(text, [64 * KiB]))).toBeLessThanOrEqual(256 * KiB)
        expect(tap.report().usage).toEqual({})
      }
    }
  })

  test('a million members that are asked for', () => {
    const tap = tapOn()
    const text = Buffer.from(`{${'"usage":{"prompt_tokens":1},"model":"m",'.repeat(100_000)}"x":0}`)
    expect(feed(tap, cut(text, [50_000]))).toBeLessThanOrEqual(256 * KiB)
    tap.report()
  })

  test('bombs of every coding are given up, and pass', () => {
    const zeros = Buffer.concat([Buffer.from('{"x":"'), Buffer.alloc(64 * MiB, '0')])
    for (const [coding, pack] of [
      ['gzip', zlib.gzipSync],
      ['deflate', zlib.deflateSync],
      ['zstd', zlib.zstdCompressSync],
      ['gzip, gzip', (bytes: Uint8Array) => zlib.gzipSync(zlib.gzipSync(bytes))],
    ] as const) {
      const bomb = pack(zeros)
      const tap = tapOn({ contentEncoding: coding })
      expect(tap.pass(bomb)).toBe(bomb)
      expect(tap.retained()).toBeLessThanOrEqual(64 * KiB)
      expect(tap.report().usage).toEqual({})
    }
  })
})
