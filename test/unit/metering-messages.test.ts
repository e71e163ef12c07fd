/** What is read in the messages of a WebSocket: whatever they hold, no work is told twice, and none is made up. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createMessageReading } from '../../src/metering/messages.ts'

const read = (message: unknown, model: string | null = null) =>
  createMessageReading(model).take(typeof message === 'string' ? message : JSON.stringify(message))

test.each<[string, object, object]>([
  [
    'OpenAI Realtime',
    {
      type: 'response.done',
      response: {
        usage: {
          total_tokens: 253,
          input_tokens: 132,
          output_tokens: 121,
          input_token_details: {
            text_tokens: 119,
            audio_tokens: 13,
            image_tokens: 0,
            cached_tokens: 64,
          },
          output_token_details: { text_tokens: 30, audio_tokens: 91 },
        },
      },
    },
    { input: 132, output: 121, cached: 64, parts: { audioInput: 13, audioOutput: 91 } },
  ],
  [
    'thought of Responses',
    {
      type: 'response.completed',
      response: {
        model: 'gpt-5',
        usage: {
          input_tokens: 9,
          output_tokens: 40,
          output_tokens_details: { reasoning_tokens: 30 },
        },
      },
    },
    { model: 'gpt-5', input: 9, output: 40, reasoning: 30 },
  ],
  [
    'a transcription by the second',
    { item_id: 'item_1', usage: { type: 'duration', seconds: 6.4 } },
    { input: 0, output: 0, parts: { seconds: 7 } },
  ],
  ['a total alone', { response: { usage: { total_tokens: 70 } } }, { input: 0, output: 70 }],
  [
    'numbers as text',
    { usage: { input_tokens: '12', output_tokens: '3' } },
    { input: 12, output: 3 },
  ],
  [
    'Gemini Live',
    {
      usageMetadata: {
        promptTokenCount: 522,
        toolUsePromptTokenCount: 10,
        cachedContentTokenCount: 100,
        responseTokenCount: 42,
        thoughtsTokenCount: 136,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 332 },
          { modality: 'AUDIO', tokenCount: 165 },
          { modality: 'VIDEO', tokenCount: 5 },
        ],
        responseTokensDetails: [{ modality: 'AUDIO', tokenCount: 42 }],
      },
    },
    {
      ...{ input: 532, output: 178, cached: 100, reasoning: 136 },
      parts: { audioInput: 165, imageInput: 5, audioOutput: 42 },
    },
  ],
])('%s', (_, message, usage) => {
  expect(read(message)).toMatchObject(usage)
})

describe('whatever a message is', () => {
  test('it is read or passed over, and only whole numbers come of it', () => {
    const odd = fc.oneof(
      fc.json(),
      fc.string(),
      fc.json().map((json) => `{"usage":${json}}`),
      fc.json().map((json) => `{"response":{"id":${json},"usage":${json}}}`),
      fc.json().map((json) => `{"usageMetadata":{"promptTokenCount":${json}},"toolCall":${json}}`),
      fc.constantFrom('{"usage":{"input_tokens":1e999}}', `{"usage":${'['.repeat(100_000)}`),
    )
    fc.assert(
      fc.property(odd, fc.boolean(), (text, isBinary) => {
        const usage = createMessageReading(null).take(isBinary ? Buffer.from(text) : text)
        const { input = 0, output = 0, cached = 0, reasoning = 0 } = usage ?? {}
        for (const n of [input, output, cached, reasoning])
          expect(Number.isSafeInteger(n) && n >= 0).toBe(true)
        expect(cached).toBeLessThanOrEqual(input)
        expect(reasoning).toBeLessThanOrEqual(output)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a response that is reported again and again comes to the most that was reported of it', () => {
    const reports = fc.array(fc.record({ input: fc.nat(1_000), output: fc.nat(1_000) }), {
      minLength: 1,
    })
    fc.assert(
      fc.property(reports, (told) => {
        const reading = createMessageReading(null)
        let input = 0
        let output = 0
        for (const one of told) {
          const usage = { input_tokens: one.input, output_tokens: one.output }
          const fresh = reading.take(JSON.stringify({ response: { id: 'resp_1', usage } }))
          input += fresh?.input ?? 0
          output += fresh?.output ?? 0
        }
        expect(input).toBe(Math.max(...told.map((one) => one.input)))
        expect(output).toBe(Math.max(...told.map((one) => one.output)))
      }),
    )
  })

  test('what is remembered of responses is bounded', () => {
    const reading = createMessageReading(null)
    const tell = (n: number) =>
      reading.take(JSON.stringify({ response: { id: `r${n}`, usage: { input_tokens: 1 } } }))
    for (let n = 0; n < 10_000; n++) expect(tell(n)?.input).toBe(1)
    expect(tell(9_999)).toBeNull()
  })
})
