/** Images, sound and files in the text of a request: counted by what they are, and text by its bytes. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { findMedia } from '../../src/metering/request/media.ts'
import { prepareRequest } from '../../src/metering/request.ts'

const input = (body: unknown, path = '/chat/completions') =>
  prepareRequest(typeof body === 'string' ? body : JSON.stringify(body), {
    ...{ path, outputDefault: 1000, aliases: {} },
  }).estimate.input

const base64 = (head: string | number[], bytes: number) => {
  const beginning = typeof head === 'string' ? Buffer.from(head, 'latin1') : Buffer.from(head)
  const rest = Buffer.alloc(Math.max(0, bytes - beginning.length), 0x5a)
  return Buffer.concat([beginning, rest]).toString('base64')
}
const PNG = base64([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], 600_000)
const JPEG = base64([0xff, 0xd8, 0xff, 0xe0], 600_000)
const PDF = base64('%PDF-1.7', 600_000)
const WAV = base64('RIFF\u0001\u0002\u0003\u0004WAVEfmt ', 320_000)
const WEBP = base64('RIFF\u0001\u0002\u0003\u0004WEBPVP8 ', 600_000)

describe('an image is about 1,600 tokens, whatever its bytes,', () => {
  const bodies: [string, unknown][] = [
    ['OpenAI chat', { messages: [{ content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }] }] }],
    ['OpenAI Responses', { input: [{ content: [{ type: 'input_image', image_url: `data:image/jpeg;base64,${JPEG}` }] }] }],
    ['Anthropic', { messages: [{ content: [{ type: 'image', source: { type: 'base64', media_type: 'image/webp', data: WEBP } }] }] }],
    ['Gemini', { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: PNG } }] }] }],
    ['Gemini, in its other spelling', { contents: [{ parts: [{ inline_data: { data: base64('\u0000', 600_000), mime_type: 'image/heic' } }] }] }],
    ['Ollama', { model: 'llava', images: [JPEG] }],
    ['OpenAI chat, of a type that only its URL tells', { url: `data:image/heic;base64,${base64('\u0000', 600_000)}` }],
    ['Converse', { messages: [{ content: [{ image: { format: 'png', source: { bytes: PNG } } }] }] }],
  ] // biome-ignore format: a table
  for (const [which, body] of bodies)
    test(`as ${which} takes it`, () => expect(input(body)).toBeWithin(1600, 1700))

  test('and its slashes and ends of lines may be escaped', () => {
    const lines = PNG.replace(/(.{76})/g, '$1\\n').replaceAll('/', '\\/')
    expect(input(`{"images":["${lines}"]}`)).toBeWithin(1600, 1700)
  })

  test('and several are as many times that', () => {
    expect(input({ images: [JPEG, PNG, JPEG] })).toBeWithin(4800, 4900)
  })
})

test('a file is counted by its pages, and sound by its seconds', () => {
  const source = { type: 'base64', media_type: 'application/pdf', data: PDF }
  expect(input({ content: [{ type: 'document', source }] })).toBeWithin(18_000, 18_100)
  expect(input({ content: [{ type: 'input_file', file_data: `data:application/pdf;base64,${PDF}` }] })).toBeWithin(18_000, 18_100)
  // Ten seconds, at 32 tokens each.
  expect(input({ input_audio: { data: WAV, format: 'wav' } })).toBeWithin(320, 380)
  const mp3 = base64('ID3', 40_000)
  expect(input({ input_audio: { data: mp3, format: 'mp3' } })).toBeWithin(320, 380)
  const pcm = base64('\u0001\u0002', 320_000)
  expect(input({ inlineData: { mimeType: 'audio/pcm', data: pcm } })).toBeWithin(320, 380)
  const text = base64('plain text', 40_000)
  expect(input({ source: { type: 'base64', media_type: 'text/plain', data: text } })).toBeWithin(10_000, 10_100)
}) // biome-ignore format: one line each

test('text stays text, though it looks like base64 or speaks of it', () => {
  const words = 'word '.repeat(40_000)
  const bodies = [
    { content: words },
    { content: 'a'.repeat(100_000) },
    { content: `data:image/png;base64,${'!'.repeat(100_000)}` },
    { content: `see data:image/png;base64,${'a'.repeat(100_000)} and ${words}` },
    { encrypted_content: `gAAAA${'b'.repeat(100_000)}` },
    { content: `"${'x'.repeat(2000)}`, type: 'image/png' },
  ]
  for (const body of bodies) {
    const text = JSON.stringify(body)
    expect(input(text)).toBe(Math.ceil(text.length / 4))
  }
})

test('no text is counted for less than nothing, or takes long', () => {
  const piece = fc.constantFrom('"', 'data:image/png;base64,', 'iVBORw0KGgo', '\\', ' ', 'a'.repeat(700), 'é', '{"data":"')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('')
      const { chars, tokens } = findMedia(text)
      expect(chars).toBeWithin(0, text.length + 1)
      expect(tokens >= 0).toBe(true)
    }),
  )
  const start = process.threadCpuUsage().user
  findMedia(`{"images":["${'/9j/4AAQ'.repeat(2_000_000)}"]}`)
  findMedia('ab '.repeat(5_000_000))
  findMedia(`${'a'.repeat(511)} `.repeat(30_000))
  expect((process.threadCpuUsage().user - start) / 1000).toBeLessThan(2000)
}) // biome-ignore format: one list
