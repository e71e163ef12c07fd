/** Events that begin alike are searched where they differ: no report is missed for that, wherever it stands. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createAnswerTap } from '../../src/metering/answer/answer-tap.ts'

const HEAD =
  '{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1,"x":{"y":[]},'
const REPORT = '{"prompt_tokens":5,"completion_tokens":7}'

/** What stands where reports stand, and is none. */
const nothing = fc.constantFrom(
  ...[
    '"usage":null',
    '"usage" : null',
    '"usage":\t null',
    '"text":"\\"usage\\":{"',
    '"error":null',
  ],
  ...['"usag":1', '"a":"usage"', '"usage_":{}', '"x":"event: error"', '"text":","', '"text":"{"'],
)
const filler = fc.oneof(
  nothing,
  nothing,
  fc.string({ maxLength: 60 }).map((x) => `"t":${JSON.stringify(x)}`),
)
const event = (parts: readonly string[]) => `data: ${HEAD}${parts.join(',')}}`

const silent = fc.array(filler, { minLength: 1, maxLength: 4 })
const streams = fc.record({
  first: silent,
  // Most are alike, as they are in any stream.
  middle: fc.array(
    fc.oneof(
      silent,
      nothing.map((part) => [part]),
    ),
    { maxLength: 30 },
  ),
  before: fc.oneof(silent, fc.constant([])),
  space: fc.constantFrom('', ' ', ' '.repeat(70)),
  after: silent,
  more: fc.array(silent, { maxLength: 4 }),
  end: fc.constantFrom('\n\n', '\r\n\r\n', '\r\r'),
  isError: fc.boolean(),
  cuts: fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 8 }),
})

test('a report is found in any of them, and an error', () => {
  fc.assert(
    fc.property(streams, ({ first, middle, before, space, after, more, end, isError, cuts }) => {
      // Of two members with one name the last would count.
      const others = after.filter((part) => !part.startsWith('"usage"'))
      const report = event([...before, `"usage"${space}:${space}${REPORT}`, ...others])
      const error = `event:${space.slice(0, 1)}error\n${event(['"t":1'])}`.replaceAll(
        '\n',
        end.slice(0, end.length / 2),
      )
      const start = [event(['"model":"m"']), ...[first, ...middle].map(event)]
      const all = [...start, isError ? error : report, ...more.map(event)]
      const bytes = Buffer.from(all.map((one) => one + end).join(''))
      const settings = { kind: 'tokens', outputTokensDefault: 1000 } as const
      const about = { contentType: 'text/event-stream', contentEncoding: null, hideUsage: false }
      const tap = createAnswerTap({ ...about, settings })
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const size = cuts[n % cuts.length] ?? 1
        tap?.pass(new Uint8Array(bytes.subarray(at, at + size)))
        at += size
      }
      const { usage, failed } = tap?.report() ?? {}
      expect(failed).toBe(isError)
      expect(usage).toEqual(isError ? { model: 'm' } : { model: 'm', input: 5, output: 7 })
    }),
    { numRuns: 1500 },
  )
})
