/** What is read of forms with files, and of coded bodies. */
import { describe, expect, test } from 'bun:test'
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import fc from 'fast-check'
import { codingsOf, decodeBody } from '../../src/http/request/decode-body.ts'
import { formEstimate, readForm } from '../../src/metering/request/form.ts'

const TYPE = 'multipart/form-data; boundary=X'
const part = (head: string, value: string) => `--X\r\n${head}\r\n\r\n${value}\r\n`
const field = (name: string, value: string) =>
  part(`Content-Disposition: form-data; name="${name}"`, value)
const file = (bytes: number, type = 'audio/wav') =>
  part(
    `Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: ${type}`,
    'R'.repeat(bytes),
  )
const read = (text: string, type = TYPE) => readForm(Buffer.from(text, 'latin1'), type)

describe('a form', () => {
  test('names its model before or behind its file', () => {
    for (const text of [
      field('model', 'whisper-1') + file(100_000),
      file(100_000) + field('model', 'whisper-1'),
    ])
      expect(read(`${text}--X--\r\n`)).toMatchObject({ model: 'whisper-1', ambiguous: false })
  })

  test('says where the model stands', () => {
    const text = `${file(10)}${field('model', 'fast')}--X--`
    const place = read(text)?.place
    expect(text.slice(place?.start, place?.end)).toBe('fast')
  })

  test('is read as the platform and curl write it', async () => {
    const form = new FormData()
    form.set('file', new File(['x'.repeat(3000)], 'a "quoted" name.wav', { type: 'audio/wav' }))
    form.set('model', 'whisper-1')
    form.set('n', '3')
    const response = new Response(form)
    const type = response.headers.get('content-type') ?? ''
    const parsed = readForm(Buffer.from(await response.arrayBuffer()), type)
    expect(parsed).toMatchObject({ model: 'whisper-1', answers: 3, ambiguous: false })
    expect(parsed && formEstimate(parsed, 100)).toEqual({ input: 3 + 3 + 1, output: 300 })
  })

  test('may be one that parsers read in two ways', () => {
    const twice = [
      field('model', 'a') + field('model', 'b'),
      field('model', 'a') + field('Model', 'b'),
      field('model', 'a') + field('models', 'b'),
      field('model[]', 'b'),
      field(' model', 'b'),
      part('Content-Disposition: form-data; name="model"; filename="x"', 'a'),
      field('model', 'a'.repeat(2000)),
    ]
    for (const text of twice)
      expect([text.slice(0, 200), read(`${text}--X--`)?.ambiguous]).toEqual([
        text.slice(0, 200),
        true,
      ])
  })

  test('is none if it is not written as clients write it', () => {
    const none = [
      field('model', 'a'),
      `preamble\r\n${field('model', 'a')}--X--`,
      `${field('model', 'a').replaceAll('\r\n', '\n')}--X--`,
      `${part('Content-Disposition: form-data; name="mo\\del"', 'a')}--X--`,
      `${part('Content-Disposition: form-data;\r\n name="model"', 'a')}--X--`,
      `${part("Content-Disposition: form-data; name*=UTF-8''model", 'a')}--X--`,
      `${part('Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64', 'YQ==')}--X--`,
      `${part('Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"', 'a')}--X--`,
      `${field('x', 'a\r\n--Xyz')}--X--`,
      '',
    ]
    for (const text of none) expect([text, read(text)]).toEqual([text, null])
    expect(read(`${field('model', 'a')}--X--`, `${TYPE}; boundary=Y`)).toBeNull()
    expect(read(`${field('model', 'a')}--X--`, 'multipart/form-data')).toBeNull()
  })

  test('of any bytes is read without a throw', () => {
    const piece = fc.constantFrom(
      '--X',
      '\r\n',
      '\r\n\r\n',
      'Content-Disposition: form-data; name="model"',
      'a',
      '--',
      '\u00ff',
    )
    fc.assert(
      fc.property(fc.array(piece), (pieces) => void read(pieces.join(''))),
      { numRuns: 500 },
    )
  })
})

describe('a coded body', () => {
  const text = Buffer.from(JSON.stringify({ model: 'm', input: 'word '.repeat(2000) }))
  const coded: [string, Uint8Array][] = [
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['gzip, zstd', zstdCompressSync(gzipSync(text))],
    ['identity, GZIP', gzipSync(text)],
  ]
  for (const [coding, bytes] of coded)
    test(`is decoded: ${coding}`, async () => {
      const decoded = await decodeBody(bytes, codingsOf(coding), 1e6)
      expect(decoded.ok && Buffer.from(decoded.bytes).equals(text)).toBe(true)
    })

  test('of another coding, or of too many, is not decoded', async () => {
    for (const coding of ['snappy', 'gzip, snappy', 'gzip, gzip, gzip'])
      expect(await decodeBody(text, codingsOf(coding), 1e6)).toEqual({
        ok: false,
        problem: 'unknown_coding',
      })
  })

  test('that is broken is found out', async () => {
    for (const coding of ['gzip', 'deflate', 'br', 'zstd'])
      expect(await decodeBody(text, [coding], 1e6)).toEqual({ ok: false, problem: 'broken' })
    expect(await decodeBody(gzipSync(text).subarray(0, -9), ['gzip'], 1e6)).toEqual({
      ok: false,
      problem: 'broken',
    })
  })

  test('that becomes too large is given up, by its size and by its ratio', async () => {
    const zeros = Buffer.alloc(200_000_000)
    for (const [coding, bomb] of [
      ['gzip', gzipSync(zeros)],
      ['zstd', zstdCompressSync(zeros)],
    ] as const)
      expect(await decodeBody(bomb, [coding], 1e9)).toEqual({ ok: false, problem: 'too_large' })
    expect(await decodeBody(gzipSync(text), ['gzip'], 1000)).toEqual({
      ok: false,
      problem: 'too_large',
    })
    const stacked = gzipSync(gzipSync(zeros))
    expect(await decodeBody(stacked, ['gzip', 'gzip'], 1e9)).toEqual({
      ok: false,
      problem: 'too_large',
    })
  })
})
