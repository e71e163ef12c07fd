/** What an answer may cost whoever listens to it, and when listening ends. */
import { describe, expect, test } from 'bun:test'
import zlib from 'node:zlib'
import { type AnswerTapOptions, createAnswerTap } from '../../src/metering/answer/answer-tap.ts'

const MiB = 1024 * 1024
const TOKENS = { kind: 'tokens', outputTokensDefault: 1000 } as const
const NUMBER = { kind: 'json', path: '$.n', unit: 'tokens', estimate: 9 } as const

function tapOn(more: Partial<AnswerTapOptions> = {}) {
  const about = { contentType: null, contentEncoding: null, settings: TOKENS, hideUsage: false }
  const tap = createAnswerTap({ ...about, ...more })
  if (!tap) throw new Error('nothing listens')
  return tap
}
const USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":7}'
const json = Buffer.from(`{${USAGE}}`)

describe('white space before an answer', () => {
  test.each([
    ['waited for', 4096, 5],
    ['too much', 4097, undefined],
  ])('is %s: %d bytes', (_, length, input) => {
    for (const hideUsage of [false, true]) {
      const tap = tapOn({ hideUsage })
      tap.pass(Buffer.alloc(length, ' '))
      tap.pass(json)
      expect(tap.report().usage.input).toBe(input as number)
    }
  })
})

describe('a number', () => {
  test('is not read of the end of what is too long', () => {
    const tap = tapOn({ settings: NUMBER })
    tap.pass(Buffer.from('{"x":"'))
    tap.pass(Buffer.alloc(2 * MiB, 'x'))
    tap.pass(Buffer.from('{"n":1}'))
    expect(tap.report().units).toBeNull()
  })

  test('is all that is kept when it was read', () => {
    const tap = tapOn({ settings: NUMBER })
    tap.pass(Buffer.from('{"n":1}'))
    expect(tap.retained()).toBeGreaterThan(0)
    expect(tap.report().units).toBe(1)
    expect(tap.retained()).toBe(0)
    tap.pass(Buffer.from(' '))
    expect(tap.retained()).toBe(0)
  })
})

test('what passes behind the report is not seen', () => {
  const tap = tapOn()
  tap.pass(Buffer.from('data: {"choices":[]}\n\n'))
  const report = tap.report()
  tap.pass(Buffer.from('data: {"choices":[{"delta":{"content":"four"}}]}\n\n'))
  // Text is measured only now.
  expect(report.writtenBytes).toBe(0)
  expect(tap.report()).toBe(report)
})

test('a hidden chunk may spell its name with escapes', () => {
  const tap = tapOn({ hideUsage: true })
  tap.pass(Buffer.from('data: {"choices":[{}]}\n\n'))
  const chunk = `data: {"choices":[],${USAGE.replace('usage', 'us\\u0061ge')},${USAGE.replace('usage', 'timings')}}\n\n`
  expect(tap.pass(Buffer.from(chunk))).toBeNull()
})

describe('what is packed', () => {
  test('is read up to 4 MiB a piece, and 32 times its length and 4 MiB in all', () => {
    const behind = (bytes: number) =>
      zlib.gzipSync(Buffer.concat([Buffer.alloc(bytes, ' '), json]), { level: 9 })
    const document = (bytes: number) =>
      zlib.gzipSync(Buffer.from(`{"x":"${'x'.repeat(bytes)}",${USAGE}}`), { level: 9 })
    expect(behind(1).length).toBeLessThan(200)
    const read = (pieces: readonly Uint8Array[]) => {
      const tap = tapOn({ contentEncoding: 'gzip' })
      for (const piece of pieces) tap.pass(piece)
      return tap.report().usage.input
    }
    expect(read([document(4 * MiB - 1000)])).toBe(5)
    expect(read([document(4 * MiB + 1000)])).toBeUndefined()
    // In pieces each of which is within its own bound.
    const bomb = document(64 * MiB)
    const halves = Array.from({ length: 64 }, (_, n) =>
      bomb.subarray((n * bomb.length) / 64, ((n + 1) * bomb.length) / 64),
    )
    expect(read(halves)).toBeUndefined()
  })

  test('is read through four layers, and no more', () => {
    const packed = (times: number) => {
      let bytes: Uint8Array = json
      for (let n = 0; n < times; n++) bytes = zlib.deflateRawSync(bytes)
      return bytes
    }
    const read = (times: number) => {
      const tap = tapOn({ contentEncoding: Array(times).fill('deflate').join(',') })
      tap.pass(packed(times))
      return tap.report().usage.input
    }
    expect(read(4)).toBe(5)
    expect(read(5)).toBeUndefined()
  })
})
