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
  [
    'a total alone, as in an answer',
    { response: { usage: { total_tokens: 70 } } },
    { input: 70, output: 0 },
  ],
  [
    'the images that a tool of Responses has made',
    {
      type: 'response.completed',
      response: {
        usage: { input_tokens: 9, output_tokens: 4 },
        tool_usage: { image_gen: { input_tokens: 50, output_tokens: 1000, total_tokens: 1050 } },
      },
    },
    { input: 59, output: 1004 },
  ],
  [
    'sound that came from the cache, which is cached and no other sound',
    {
      type: 'response.done',
      response: {
        usage: {
          input_tokens: 100,
          output_tokens: 1,
          input_token_details: {
            ...{ audio_tokens: 80, cached_tokens: 64 },
            cached_tokens_details: { audio_tokens: 64 },
          },
        },
      },
    },
    { input: 100, cached: 64, parts: { audioInput: 16 } },
  ],
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

/** What each message tells, one after the other. */
function tellAll(messages: readonly object[]) {
  const reading = createMessageReading('gpt-realtime')
  return messages.map((message) => reading.take(JSON.stringify(message)))
}

const gemini = (promptTokenCount: number, responseTokenCount: number, more: object = {}) => ({
  usageMetadata: { promptTokenCount, responseTokenCount },
  ...more,
})
const transcript = (item_id: string, content_index: number) => ({
  type: 'conversation.item.input_audio_transcription.completed',
  ...{ item_id, content_index, usage: { type: 'tokens', input_tokens: 17, output_tokens: 9 } },
})

describe('one after the other', () => {
  test('the counts of a turn grow, and those of the next begin anew', () => {
    const turns = [
      gemini(10, 2),
      gemini(10, 5, { serverContent: { turnComplete: true } }),
      gemini(30, 1, { toolCall: {} }),
      gemini(30, 1, { serverContent: { turnComplete: false } }),
      gemini(30, 1),
    ]
    expect(tellAll(turns)).toMatchObject([
      { input: 10, output: 2 },
      { input: 0, output: 3 },
      { input: 30, output: 1 },
      { input: 30, output: 1 },
      // Once more in the same turn.
      null,
    ] as unknown as object[])
  })

  test('a tool that is called ends a turn in a message without a report, too', () => {
    const told = tellAll([gemini(10, 2), { toolCall: { functionCalls: [] } }, gemini(10, 2)])
    expect(told.map((usage) => usage?.input)).toEqual([10, undefined, 10])
  })

  test('a session names the models from then on', () => {
    const whisper = { input_audio_transcription: { model: 'whisper-1' } }
    const done = { type: 'response.done', response: { usage: { output_tokens: 3 } } }
    const told = tellAll([
      ...[done, { type: 'session.created', session: { model: 'gpt-live', ...whisper } }, done],
      transcript('item_1', 0),
    ])
    expect(told.map((usage) => usage && [usage.model, usage.input, usage.output])).toEqual([
      ...[['gpt-realtime', 0, 3], null, ['gpt-live', 0, 3], ['whisper-1', 17, 9]],
    ])
  })

  test.each<[string, object]>([
    ['now', { audio: { input: { transcription: { model: 'whisper-1' } } } }],
    ['before', { input_audio_transcription: { model: 'whisper-1' } }],
  ])('a transcription counts once, at the model that transcribes, as named %s', (_, session) => {
    const told = tellAll([
      { type: 'session.updated', session },
      transcript('item_1', 0),
      transcript('item_1', 0),
      transcript('item_1', 1),
      { type: 'response.done', response: { usage: { input_tokens: 1 } } },
    ])
    expect(told.map((usage) => usage && [usage.model, usage.input])).toEqual([
      ...[null, ['whisper-1', 17], null, ['whisper-1', 17]],
      ['gpt-realtime', 1],
    ])
  })

  test('reports without a name stand for themselves', () => {
    const nameless = [
      { type: 'response.done', response: { usage: { input_tokens: 5 } } },
      { type: 'response.completed', response: { usage: { input_tokens: 5 } } },
      { usage: { input_tokens: 5 } },
    ].flatMap((one) => [one, one])
    expect(tellAll(nameless).map((usage) => usage?.input)).toEqual(Array(6).fill(5))
  })
})

describe('a report that nobody understands is told of by its names', () => {
  const said = (...messages: object[]) => {
    const reading = createMessageReading(null)
    return messages.map((message) => {
      reading.take(JSON.stringify(message))
      return reading.unknown()
    })
  }
  const known = { response: { usage: { input_tokens: 5 } } }

  test('wherever it stands, and with the message that has it alone', () => {
    const report = { sparks: 5, ash: 'x' }
    for (const message of [
      { usage: report },
      { response: { usage: report } },
      { tokenUsage: report },
    ])
      expect(said(message, { x: 1 }, { usage: {} })).toEqual([['ash', 'sparks'], null, null])
  })

  test('but not on a socket whose reports are understood', () => {
    const strange = { usage: { sparks: 5 } }
    expect(said(known, strange)).toEqual([null, null])
    expect(said(strange, known, strange)).toEqual([['sparks'], null, null])
    expect(said({ usage: { input_tokens: 0, output_tokens: 0 } }, strange)).toEqual([null, null])
  })
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
    for (let n = 0; n < 10_000; n++) {
      expect(tell(n)?.input).toBe(1)
      // What is told of again is not the oldest.
      if (n > 0) expect(tell(1)).toBeNull()
    }
    expect(tell(9_999)).toBeNull()
    expect(tell(2)?.input).toBe(1)
  })
})
