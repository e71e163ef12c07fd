/** Which answers are read, whatever their headers say; what of them is text, and which say that they failed. */
import { describe, expect, test } from 'bun:test'
import zlib from 'node:zlib'
import { type AnswerTapOptions, createAnswerTap } from '../../src/metering/answer/answer-tap.ts'

const SETTINGS = { kind: 'tokens', outputTokensDefault: 1000 } as const

function listen(
  pieces: readonly (string | Uint8Array)[],
  more: Partial<AnswerTapOptions> = {},
): {
  passed: string
  report: ReturnType<NonNullable<ReturnType<typeof createAnswerTap>>['report']>
} {
  const about = { contentType: null, contentEncoding: null, settings: SETTINGS, hideUsage: false }
  const tap = createAnswerTap({ ...about, ...more })
  if (!tap) throw new Error('nothing listens')
  const passed = pieces.map((piece) => tap.pass(Buffer.from(piece as string)))
  const all = Buffer.concat([...passed, tap.flush()].filter((part) => part !== null))
  return { passed: all.toString(), report: tap.report() }
}

const USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":7}'
const counts = { input: 5, output: 7 }
const event = (data: string) => `data: ${data}\n\n`

describe('an answer is read', () => {
  const forms: [form: string, pieces: (string | Uint8Array)[]][] = [
    ['as events', [event(`{${USAGE}}`)]],
    ['as events that begin with a comment', [`: hello\n\n${event(`{${USAGE}}`)}`]],
    ['as events that begin with an id', [`id: 1\ndata:{${USAGE}}\n\n`]],
    ['as events in pieces of one byte', [...event(`{${USAGE}}`)]],
    ['as events behind empty lines', ['\n\r\n', event(`{${USAGE}}`)]],
    ['as events without a last line end', [`data: {${USAGE}}`]],
    ['as events behind plain text', [event('Hello') + event(`{${USAGE}}`)]],
    ['as an event that is a list', [event(`[{"x":1},{${USAGE}}]`)]],
    ['as a document', [`{${USAGE}}`]],
    ['as a document in pieces', ['{"x":', '[1,{"y":"', '"}],', USAGE, '}']],
    ['as a document for people to read', [JSON.stringify(JSON.parse(`{${USAGE}}`), null, 4)]],
    ['as a list', [`[{"x":1}\n,\r\n{${USAGE}}]`]],
    ['as a list in pieces', ['[', '{"x":1}', ',', `{${USAGE}}`, ']']],
    ['as lines', [`{"x":1}\n{${USAGE}}\n`]],
    ['as lines in pieces', ['{"x":1}\n{', USAGE, '}']],
    ['as values without lines', [`{"x":1}{${USAGE}}{"x":1}`]],
    ['as a sequence (RFC 7464)', [`\x1e{"x":1}\n\x1e{${USAGE}}\n`]],
    ['spelled with a tab', [event(`{"usage":\t{"prompt_tokens" : 5 ,"completion_tokens":\t7}}`)]],
    [
      'spelled over lines',
      [`data: {"usage"\ndata: :\ndata:{"prompt_tokens":5,\ndata: "completion_tokens":7}}\n\n`],
    ],
    ['compressed without a word of it', [zlib.gzipSync(`{${USAGE}}`)]],
  ]
  const types = [null, 'text/plain', 'text/event-stream', 'application/json', 'image/png', 'x']
  for (const [form, pieces] of forms) {
    test(`${form}, whatever its type`, () => {
      for (const contentType of types) {
        const { passed, report } = listen(pieces, { contentType })
        expect(report.usage).toMatchObject(counts)
        if (typeof pieces[0] === 'string') expect(passed).toBe(pieces.join(''))
      }
    })
  }

  const packings: [encoding: string | null, pack: (text: string) => Uint8Array][] = [
    ['deflate', zlib.deflateRawSync],
    ['deflate', zlib.gzipSync],
    ['gzip', zlib.deflateSync],
    ['gzip', Buffer.from],
    ['br', Buffer.from],
    ['br', zlib.brotliCompressSync],
    ['compress', Buffer.from],
    ['gzip, utf-8, gzip', (text) => zlib.gzipSync(zlib.gzipSync(text))],
    ['gzip', (text) => zlib.gzipSync(zlib.brotliCompressSync(text).length > 0 ? text : '')],
    [null, zlib.zstdCompressSync],
  ]
  for (const [contentEncoding, pack] of packings) {
    test(`as a stream, packed as ${pack.name} and called ${contentEncoding}`, () => {
      const stream = event('{"x":1}').repeat(50) + event(`{${USAGE}}`)
      const bytes = pack(stream)
      for (const size of [1, 7, bytes.length]) {
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
          bytes.subarray(n * size, (n + 1) * size),
        )
        const { report } = listen(pieces, { contentEncoding, contentType: 'text/event-stream' })
        expect(report.usage).toMatchObject(counts)
      }
    })
  }

  test('as a compressed stream that was flushed after each event, up to where it was cut off', () => {
    const packed: Uint8Array[] = []
    const gzip = zlib.createGzip()
    gzip.on('data', (piece: Uint8Array) => packed.push(piece))
    return new Promise<void>((done) => {
      gzip.write(event(`{${USAGE}}`))
      gzip.flush(() => {
        const { report } = listen(packed, { contentEncoding: 'gzip' })
        expect(report.usage).toMatchObject(counts)
        done()
      })
    })
  })

  const nothing: [what: string, bytes: string | Uint8Array][] = [
    ['a picture', Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...Buffer.from(USAGE)])],
    ['sound', Buffer.from(`ID3\x04\0\0{${USAGE}}`)],
    ['an archive', Buffer.from(`PK\x03\x04{${USAGE}}`)],
    ['a page', `<html>{${USAGE}}</html>`],
    ['text', `Usage: {${USAGE}}`],
    ['a word that begins like a field', `database {${USAGE}}`],
  ]
  for (const [what, bytes] of nothing) {
    test(`but not ${what}, which is not kept`, () => {
      const about = { contentType: 'application/json', contentEncoding: null, hideUsage: false }
      const tap = createAnswerTap({ ...about, settings: SETTINGS })
      tap?.pass(Buffer.from(bytes as string))
      tap?.pass(Buffer.from(`{${USAGE}}`))
      expect(tap?.retained()).toBe(0)
      expect(tap?.report()).toMatchObject({ usage: {}, writtenBytes: 0, failed: false })
    })
  }
})

describe('the model is read', () => {
  test('of a stream that was cut off before it reported', () => {
    const { report } = listen([event('{"model":"m","choices":[{"delta":{"content":"x"}}]}')])
    expect(report.usage).toEqual({ model: 'm' })
  })
  test('of a long answer, wherever it stands', () => {
    const long = `"x":"${'word '.repeat(20_000)}"`
    for (const text of [`{"model":"m",${long},${USAGE}}`, `{${USAGE},${long},"model":"m"}`]) {
      expect(listen([text]).report.usage).toMatchObject({ ...counts, model: 'm' })
    }
  })
})

describe('text is measured', () => {
  const openAi = (text: string) =>
    event(
      `{"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":${JSON.stringify(text)}}}]}`,
    )
  const anthropic = (text: string) =>
    `event: content_block_delta\n${event(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":${JSON.stringify(text)}}}`)}`
  const ollama = (text: string) =>
    `{"model":"llama3","message":{"role":"assistant","content":${JSON.stringify(text)}},"done":false}\n`

  const near = (bytes: number, expected: number, part: number) =>
    expect([expected, Math.abs(bytes - expected) <= expected * part]).toEqual([expected, true])

  for (const [api, write] of Object.entries({ openAi, anthropic, ollama })) {
    test(`in streams of ${api}, whatever the words and the pieces`, () => {
      for (const [length, times] of [
        [4, 3],
        [4, 5000],
        [4000, 100],
        [30, 400],
      ] as const) {
        const stream = Buffer.from(write('w'.repeat(length)).repeat(times))
        for (const size of [100, 5000, stream.length]) {
          const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, n) =>
            stream.subarray(n * size, (n + 1) * size),
          )
          near(listen(pieces).report.writtenBytes, length * times, 0.05)
        }
      }
    })
  }

  test('though words differ, within a fifth', () => {
    const texts = Array.from({ length: 3000 }, (_, n) => 'x'.repeat(1 + ((n * 7919) % 13)))
    const pieces = texts.map(openAi)
    near(listen(pieces).report.writtenBytes, texts.join('').length, 0.2)
  })

  test('without pings, comments, images, repetitions and what a request says', () => {
    const pieces = [
      'event: ping\ndata: {"type":"ping"}\n\n',
      ': OPENROUTER PROCESSING\n\n',
      event(`{"type":"image","b64_json":"${'A'.repeat(900)}","url":"https://x"}`),
      'event: response.output_text.done\ndata: {"type":"x","text":"Hello Hello Hello"}\n\n',
      'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hello"}\n\n',
      'data: [DONE]\n\n',
    ]
    expect(listen([pieces.join('')]).report.writtenBytes).toBe(5)
  })

  test('as bytes of UTF-8, however it is escaped', () => {
    for (const text of ['\\u4f60\\u597d', '你好'])
      expect(listen([event(`{"content":"${text}"}`)]).report.writtenBytes).toBe(6)
    expect(listen([event('{"content":"a\\n\\"b\\\\"}')]).report.writtenBytes).toBe(5)
  })

  test('in documents: content, thought and arguments of tools', () => {
    const documents: [text: string, written: number][] = [
      ['{"id":"x","choices":[{"message":{"role":"assistant","content":"Hi."}}]}', 3],
      ['{"choices":[{"message":{"reasoning_content":"Hm","content":"Hi"}}]}', 4],
      ['{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}', 2],
      ['{"content":[{"type":"tool_use","name":"f","input":{"a":1}}]}', 7],
      ['{"candidates":[{"content":{"parts":[{"text":"abc"}]}}]}', 3],
      ['{"data":[{"embedding":[0.1,0.2],"b64_json":"AAAA"}]}', 0],
    ]
    for (const [text, written] of documents) {
      expect([text, listen([text]).report.writtenBytes]).toEqual([text, written])
      expect([text, listen([...text]).report.writtenBytes]).toEqual([text, written])
    }
  })

  test('in an event that is longer than any that is kept', () => {
    const text = 'word '.repeat(100_000)
    const { report } = listen([event('{"content":"a"}'), ...[event(`{"content":"${text}"}`)]])
    near(report.writtenBytes, text.length, 0.01)
  })

  test('in transcripts, but not in pages', () => {
    expect(listen(['Hello', ' you'], { contentType: 'text/plain' }).report.writtenBytes).toBe(9)
    expect(listen(['Hello'], { contentType: 'text/html' }).report.writtenBytes).toBe(0)
  })
})

describe('a failure is seen', () => {
  const failures = [
    event('{"error":{"message":"overloaded","code":502}}'),
    event('{"choices":[]}') +
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
    `${event('{"model":"m"}')}event:error\ndata: Internal error\n\n`,
    event('{"model":"m"}') + event('{"type": "error", "message": "x"}'),
    '{"error":{"message":"rate limited"}}',
    '{"model":"m","done":false}\n{"error":"out of memory"}\n',
    `data: {"error":{"message":"${'x'.repeat(100_000)}"}}\n\n`,
  ]
  for (const text of failures) {
    test(text.slice(0, 90), () => {
      for (const pieces of [[text], [...text.slice(0, 2000), text.slice(2000)]])
        expect(listen(pieces).report.failed).toBe(true)
    })
  }

  const others = [
    event('{"choices":[{"delta":{"content":"error: \\"error\\": event: error"}}],"error":null}'),
    '{"error":null,"choices":[]}',
    ': event: errors\n\ndata: {"x":"error"}\n\nevent: errors\ndata: {}\n\n',
  ]
  for (const text of others) {
    test(`and nothing else: ${text.slice(0, 60)}`, () => {
      expect(listen([event('{"model":"m"}') + text]).report.failed).toBe(false)
      expect(listen([text]).report.failed).toBe(false)
    })
  }
})

describe('the chunk with usage is hidden', () => {
  const hide = (pieces: readonly string[], more: Partial<AnswerTapOptions> = {}) =>
    listen(pieces, { hideUsage: true, ...more })
  const hidden = [
    `{"choices":[],${USAGE}}`,
    `{"choices":null,${USAGE}}`,
    `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",${USAGE}}`,
    `{"choices" : [ ] , "usage" :\t{"prompt_tokens":5,"completion_tokens":7}}`,
    `{"choices":[],"x_groq":{"id":"r"},${USAGE}}`,
    `{"choices":[],"prompt_filter_results":[],${USAGE}}`,
  ]
  for (const chunk of hidden) {
    test(chunk, () => {
      for (const contentType of [null, 'text/plain', 'text/event-stream', 'application/json']) {
        const before = event('{"choices":[{"delta":{"content":"x"}}]}')
        const { passed, report } = hide([before + event(chunk) + event('[DONE]')], { contentType })
        expect(passed).toBe(before + event('[DONE]'))
        expect(report.usage).toMatchObject(counts)
      }
    })
  }

  test('but not in a document, in lines, or where it is compressed', () => {
    for (const text of [`{"choices":[],${USAGE}}`, `{"x":1}\n{"choices":[],${USAGE}}\n`]) {
      const { passed, report } = hide([...text])
      expect(passed).toBe(text)
      expect(report.usage).toMatchObject(counts)
    }
    const about = { contentType: null, settings: SETTINGS, hideUsage: true }
    const tap = createAnswerTap({ ...about, contentEncoding: 'gzip' })
    const packed = zlib.gzipSync(event(`{"choices":[],${USAGE}}`))
    expect(tap?.alters).toBe(false)
    expect(tap?.pass(packed)).toBe(packed)
    expect(tap?.report().usage).toMatchObject(counts)
  })
})
