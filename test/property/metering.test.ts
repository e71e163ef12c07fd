/** However a stream is written and cut: what is counted in it, and what passes, is what a reading of the whole finds. */
import { describe, expect, test } from 'bun:test'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { createAnswerTap } from '../../src/metering/answer/answer-tap.ts'
import { readNumber } from '../../src/metering/answer/json-path.ts'
import { createReading } from '../../src/metering/dialects/index.ts'
import { prepareRequest } from '../../src/metering/request.ts'
import { readExactly, readMembers } from '../../src/metering/request-members.ts'
import { complete } from '../../src/metering/usage.ts'
import { cut } from '../support/pieces.ts'

function readUsage(value: unknown) {
  const reading = createReading()
  reading.take(value)
  return reading.usage()
}

const TYPES = ['text/event-stream', 'application/x-ndjson', 'application/json']
const SETTINGS = { kind: 'tokens', outputTokensDefault: 1000 } as const

function listen(contentType: string, chunks: readonly Uint8Array[], hideUsage = false) {
  const tap = createAnswerTap({ contentType, contentEncoding: null, settings: SETTINGS, hideUsage })
  if (!tap) throw new Error(`nothing listens to ${contentType}`)
  const passed = [...chunks.map((chunk) => tap.pass(chunk)), tap.flush()]
  const usage = complete(tap.report().usage)
  return { passed: Buffer.concat(passed.filter((part) => part !== null)), usage }
}

const sizes = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 90 })), {
  minLength: 1,
  maxLength: 12,
})

const count = fc.integer({ min: 0, max: 1e9 })
const words = fc.string({ unit: 'grapheme', maxLength: 12 })
const tokens = fc.record({ prompt_tokens: count, completion_tokens: count })
const anthropic = fc.record({ input_tokens: count, output_tokens: count }, { requiredKeys: [] })
const report = fc.oneof(
  fc.record({ choices: fc.constant([]), usage: tokens, model: words }),
  fc.record({ choices: fc.constant([{ index: 0 }]), usage: fc.oneof(tokens, fc.constant(null)) }),
  fc.record({ type: fc.constant('message_start'), message: fc.record({ usage: anthropic }) }),
  fc.record({ type: fc.constant('message_delta'), usage: anthropic }),
  fc.record({ response: fc.record({ usage: anthropic, model: words }) }),
  fc.record({ done: fc.constant(true), prompt_eval_count: count, eval_count: count }),
  fc.record({ choices: fc.constant([]), content: words }),
)
/** As JavaScript writes it, and as Python does. */
const json = fc
  .tuple(report, fc.boolean())
  .map(([value, spaced]) =>
    spaced ? JSON.stringify(value).replaceAll('":', '": ') : JSON.stringify(value),
  )
const line = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom('data: ', 'data:'), json).map((p) => p.join('')),
  },
  fc.constantFrom('data: [DONE]', 'data', ': ping', 'event: x', 'id: 1', 'data: {"usage":{', ''),
)
const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
const eventStream = fc
  .tuple(fc.constantFrom('', '\ufeff'), fc.array(fc.tuple(line, lineEnd, lineEnd)), line)
  .map(([mark, lines, last]) => mark + lines.map((parts) => parts.join('')).join('') + last)

/** The events of a whole stream, each with the empty line behind it: the same by a way of its own. */
const events = (stream: string) =>
  stream.match(/(?:[^\r\n]+(?:\r\n|\r(?!\n)|\n))*(?:\r\n|\r(?!\n)|\n)|[\s\S]+$/g) ?? []

function dataOf(event: string): unknown {
  const data = event
    .replace(/^\ufeff/, '')
    .split(/\r\n|\r|\n/)
    .flatMap((text) => /^data(?:$|: ?(.*))/su.exec(text)?.slice(1) ?? [])
  try {
    return JSON.parse(data.map((part) => part ?? '').join('\n'))
  } catch {
    return null
  }
}

function totalOf(values: readonly unknown[]) {
  const reading = createReading()
  for (const value of values) reading.take(value)
  return complete(reading.usage())
}

/** The values of an event, one a line here, up to one that is cut off. */
function valuesOf(event: string): unknown[] {
  const lines = event.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)
  const data = lines.flatMap((text) => /^data: ?(.*)/su.exec(text)?.slice(1) ?? [])
  const cut = data.indexOf('{"usage":{')
  return data.slice(0, cut === -1 ? data.length : cut).flatMap((text) => {
    try {
      return [JSON.parse(text)]
    } catch {
      return []
    }
  })
}

/** By its text, in the order in which the first report above is written. */
const isHidden = (value: unknown) => /^\{"choices":\[\],"usage":\{/.test(JSON.stringify(value))

describe('an event stream, however it is written and cut,', () => {
  test('passes untouched and is counted as a whole', () => {
    fc.assert(
      fc.property(eventStream, sizes, (stream, pieces) => {
        const bytes = Buffer.from(stream)
        const { passed, usage } = listen('text/event-stream', cut(bytes, pieces))
        expect(passed.equals(bytes)).toBe(true)
        expect(usage).toEqual(totalOf(events(stream).flatMap(valuesOf)))
      }),
      { numRuns: 1000 },
    )
  })

  test('loses the hidden chunk and not a byte more', () => {
    fc.assert(
      fc.property(eventStream, sizes, (stream, pieces) => {
        const bytes = Buffer.from(stream)
        const { passed, usage } = listen('text/event-stream', cut(bytes, pieces), true)
        const mark = stream.startsWith('\ufeff') ? '\ufeff' : ''
        const all = events(stream.slice(mark.length))
        const shown = all.filter((event) => !isHidden(dataOf(event)))
        expect(passed.toString()).toBe(mark + shown.join(''))
        expect(usage).toEqual(totalOf(events(stream).flatMap(valuesOf)))
      }),
      { numRuns: 1000 },
    )
  })
})

test('JSON lines are counted as a whole, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(json), fc.constantFrom('\n', '\r\n'), sizes, (lines, end, pieces) => {
      const bytes = Buffer.from(lines.join(end))
      const { passed, usage } = listen('application/x-ndjson', cut(bytes, pieces))
      expect(passed.equals(bytes)).toBe(true)
      expect(usage).toEqual(totalOf(lines.map((text) => JSON.parse(text))))
    }),
  )
})

test('a document is counted as a whole, however it is packed and cut', () => {
  const packings = fc.constantFrom(
    ['identity', (bytes: Uint8Array) => bytes] as const,
    ['gzip', zlib.gzipSync] as const,
    ['br', zlib.brotliCompressSync] as const,
    ['zstd', zlib.zstdCompressSync] as const,
  )
  fc.assert(
    fc.property(json, fc.nat(100_000), packings, sizes, (text, padding, [encoding, pack], by) => {
      const padded = `{"x":"${'x'.repeat(padding)}",${text.slice(1)}`
      const bytes = pack(Buffer.from(padded))
      const settings = SETTINGS
      const about = { contentType: 'application/json', contentEncoding: encoding, settings }
      const tap = createAnswerTap({ ...about, hideUsage: false })
      for (const piece of cut(bytes, [...by, 5000])) expect(tap?.pass(piece)).toBe(piece)
      const { model: _, ...counted } = complete(tap?.report().usage ?? {}) ?? {}
      const { model: __, ...expected } = complete(readUsage(JSON.parse(text))) ?? {}
      expect(counted).toEqual(expected)
    }),
    { numRuns: 50 },
  )
})

describe('garbage', () => {
  const garbage = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .constantFrom(
          'data: ',
          '"usage":{',
          '"usage": {}',
          'eval_count":1',
          '\r\n',
          '\n\n',
          '{',
          '}',
        )
        .map((text) => new Uint8Array(Buffer.from(text))),
    ),
  )

  test('of any type passes untouched', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), fc.boolean(), garbage, (type, hideUsage, chunks) => {
        const { passed } = listen(type, chunks, hideUsage)
        expect(passed.equals(Buffer.concat(chunks))).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('is read without a throw, and never as a number that is not exact', () => {
    const value = fc.oneof(fc.anything(), fc.jsonValue(), report)
    fc.assert(
      fc.property(value, fc.oneof(fc.string(), fc.json()), fc.string(), (thing, text, path) => {
        readNumber(text, path)
        readNumber(text, `$.${path}`)
        for (const [name, number] of Object.entries(readUsage({ usage: thing }))) {
          if (name !== 'model') expect(number).toBeWithin(0, 2 ** 53)
        }
        readUsage(thing)
      }),
    )
  })

  test('as a request is passed on as it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const options = { path: '/chat/completions', outputDefault: 10, aliases: {} }
        expect(prepareRequest(text, options).body).toBe(text)
      }),
    )
  })
})

test('a request is changed in the model and the wish for usage, and in nothing else', () => {
  const member = fc.tuple(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }))
  const space = fc.constantFrom('', ' ', '\n\t')
  fc.assert(
    fc.property(
      fc.array(member),
      fc.array(member),
      words,
      fc.nat(20),
      space,
      (a, b, model, at, gap) => {
        const others = [...a, ...b].map(([name, value]) => [`x${name}`, JSON.stringify(value)])
        others.splice(at, 0, ['model', JSON.stringify(model)], ['stream', 'true'])
        const write = (from: typeof others) =>
          from
            .map(([name = '', value]) => `${gap}${JSON.stringify(name)}${gap}:${gap}${value}${gap}`)
            .join(',')
        const text = `${gap}{${write(others)}}`
        const aliases = { [model]: 'Ersatz' }
        const options = { path: '/v1/chat/completions', outputDefault: 1, aliases }
        const renamed = others.map(([name = '', value]) => [
          name,
          name === 'model' ? '"Ersatz"' : value,
        ])
        expect(prepareRequest(text, options)).toMatchObject({
          body: `${gap}{"stream_options":{"include_usage":true},${write(renamed as typeof others)}}`,
          model,
          upstreamModel: 'Ersatz',
          hideUsage: true,
          ambiguous: false,
        })
      },
    ),
  )
})

describe('the members of a request', () => {
  const name = fc.constantFrom(
    'model', 'Model', 'models', 'MODEL', 'mod\\u0065l', '\u017ftream', 'stream', 'stream_options', 'n', 'N', 'max_tokens',
    'max_to\u212aens', 'messages', 'x', '__proto__', 'options',
  ) // biome-ignore format: a table
  const value = fc.constantFrom(
    '"gpt"', 'true', '1', '1.5', '1e999', '[]', '["a","b"]', '{"model":"inner"}', '{"include_usage":true}', 'null',
    '"\\"model\\": 1"', '"\\u0041"', '[{"n":1}]', `"${'m'.repeat(2000)}"`,
  ) // biome-ignore format: a table
  const object = fc
    .array(fc.tuple(name, value), { maxLength: 5 })
    .map((members) => `{${members.map(([key, text]) => `"${key}" : ${text}`).join(', ')}}`)
  const text = fc.oneof(
    object,
    value,
    object.map((json) => json.slice(0, -1)),
  )

  test('are read by the fast way as by the exact one, or not by it at all', () => {
    fc.assert(
      fc.property(text, (json) => {
        const [fast, exact] = [readMembers(json), readExactly(json)]
        expect([json, fast.request, fast.ambiguous]).toEqual([json, exact.request, exact.ambiguous])
        for (const member of ['model', 'stream_options'])
          expect(fast.member(member)).toEqual(exact.member(member))
      }),
      { numRuns: 3000 },
    )
  })
})
