/** What is no report, what an answer says of its failure, and what nobody understands. */
import { describe, expect, test } from 'bun:test'
import { picker } from '../../src/lib/json/member.ts'
import { createReading } from '../../src/metering/dialects/reading.ts'
import { REPORT } from '../../src/metering/dialects/table.ts'

const pick = picker(REPORT)

function readingOf(...values: unknown[]) {
  const reading = createReading()
  for (const value of values) reading.take(value)
  return reading
}
const read = (...values: unknown[]) => readingOf(...values).usage()

describe('what cannot be a report', () => {
  const strange = [
    -1, 1.5, Number.NaN, Infinity, 1e300, 1e12 + 1, '12x', '-1', '1e3', ' 1', '', null, [], {}, true,
    '9'.repeat(400),
  ] // biome-ignore format: a list

  test('counts for nothing, and leaves the rest', () => {
    for (const value of strange) {
      expect(read({ usage: { prompt_tokens: value } })).toEqual({})
      const usage = { prompt_tokens: value, completion_tokens: 3 }
      expect(read({ usage })).toStrictEqual({ output: 3 })
      expect(read({ eval_count: value, usage: value, usageMetadata: value })).toEqual({})
      expect(read({ usageMetadata: { promptTokenCount: value, totalTokenCount: value } })).toEqual(
        {},
      )
      expect(read({ message: { usage: { input_tokens: value } } })).toEqual({})
      expect(read({ usage: { input_tokens: value, iterations: value } })).toEqual({})
      expect(read({ meta: { billed_units: { input_tokens: value } } })).toEqual({})
      expect(read({ usage: { type: 'duration', seconds: value === 1.5 ? -1.5 : value } })).toEqual(
        {},
      )
    }
    for (const value of [...strange, 'usage', undefined]) expect(read(value)).toEqual({})
  })

  test('is what a prototype holds', () => {
    const inherited = Object.create({ usage: { prompt_tokens: 9, completion_tokens: 9 } })
    expect(read(inherited)).toEqual({})
    expect(read(JSON.parse('{"__proto__":{"usage":{"prompt_tokens":9}}}'))).toEqual({})
    expect(read({ usage: { __proto__: { prompt_tokens: 9 } } })).toEqual({})
  })

  test('is what stands in another place, such as the text of an answer', () => {
    const usage = { prompt_tokens: 9e9, completion_tokens: 9e9, input_tokens: 9e9 }
    const report = JSON.stringify({ usage })
    for (const value of [
      { choices: [{ message: { content: report } }] },
      { choices: [{ message: { usage, tool_calls: [{ function: { arguments: report, usage } }] } }] },
      { content: [{ type: 'tool_use', input: { usage, usageMetadata: { promptTokenCount: 9 } } }] },
      { type: 'content_block_delta', delta: { type: 'input_json_delta', partial_json: report, input: { usage } } },
      { candidates: [{ content: { parts: [{ functionCall: { args: { usageMetadata: { promptTokenCount: 9 } } } }] } }] },
      { output: [{ usage }], metadata: { note: report, prompt_tokens: '9' }, data: [{ usage }] },
      { delta: { content: report, prompt_tokens: 9 }, message: { eval_count: 9, prompt_eval_count: 9 } },
      { prompt_tokens: 9, completion_tokens: 9, input_tokens: 9, totalTokens: 9, total_tokens: 9 },
      [{ usage }],
      report,
    ]) {
      expect(read(value)).toEqual({})
      expect(read(pick(JSON.stringify(value)))).toEqual({})
    } // biome-ignore format: a table
  })

  test('is a model’s name of any length, or half a character', () => {
    const usage = { prompt_tokens: 1 }
    expect(read({ usage, model: 'm'.repeat(257) })).toEqual({ input: 1, output: 0 })
    expect(read({ usage, model: 'a\ud800' }).model).toBe('a\ufffd')
    expect(read({ model: 'first' }, { model: '' }, { model: 7 }).model).toBe('first')
  })

  test('is deep: it takes no time, and leaves the rest', () => {
    const deep = `${'['.repeat(1e6)}1${']'.repeat(1e6)}`
    const text = `{"usage":{"prompt_tokens":${deep}},"x":${deep},"choices":${deep},"eval_count":7}`
    expect(read(pick(text))).toEqual({ output: 7 })
    const wide = `{"usage":{"iterations":[${'{},'.repeat(1e5)}{}]},"choices":[${'{},'.repeat(1e5)}{}],"eval_count":7}`
    expect(read(pick(wide))).toEqual({ output: 7 })
  })

  test('is more than anybody adds up: sums stay exact', () => {
    const iterations = Array.from({ length: 1e5 }, () => ({ input_tokens: 1e12, output_tokens: 1e12 }))
    expect(read({ usage: { input_tokens: 1, iterations } })).toEqual({ input: 1e12, output: 1e12 })
    const reading = createReading()
    for (let id = 0; id < 5000; id++)
      reading.take({ type: 'response.done', response: { id: `${id}`, usage: { input_tokens: 1e9, output_tokens: 2 } } })
    expect(reading.usage()).toEqual({ input: 1e12, output: 10_000 })
  }) // biome-ignore format: rows
})

describe('an answer has failed', () => {
  const failed: [what: string, value: unknown][] = [
    ['OpenAI', { error: { message: 'overloaded', type: 'server_error', code: 502 } }],
    ['OpenAI, without words', { error: { code: 429 } }],
    ['Ollama', { error: 'model not found' }],
    ['Anthropic', { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }],
    ['an event without more', { type: 'error' }],
    ['Gemini', { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } }],
    ['Gemini’s interactions', { event_type: 'interaction.completed', interaction: { status: 'failed' } }],
    ['OpenAI Responses', { type: 'response.failed', response: { status: 'failed', error: { code: 'server_error' } } }],
    ['a response alone', { id: 'r', status: 'failed', error: { code: 'server_error', message: 'x' } }],
    ['MiniMax', { base_resp: { status_code: 1008, status_msg: 'insufficient balance' } }],
    ['MiniMax, as text', { base_resp: { status_code: '1008' } }],
    ['DashScope', { code: 'Throttling', message: 'x', request_id: 'r' }],
    ['Baidu', { error_code: 18, error_msg: 'qps' }],
    ['Cloudflare and Zhipu', { success: false, errors: [{ code: 7003 }] }],
    ['OpenRouter, within a choice', { choices: [{ error: { code: 502, message: 'x' }, finish_reason: 'error' }] }],
    ['Groq', { choices: [], x_groq: { error: 'over capacity' } }],
    ['Cohere', { type: 'message-end', delta: { finish_reason: 'ERROR', error: 'x' } }],
    ['Bedrock', { modelStreamErrorException: { message: 'x' } }],
  ] // biome-ignore format: a table
  for (const [api, value] of failed) {
    test(api, () => {
      expect(readingOf(value).failed()).toBe(true)
      expect(readingOf(pick(JSON.stringify(value))).failed()).toBe(true)
    })
  }

  test('and what was reported before stands', () => {
    const reading = readingOf({ usage: { prompt_tokens: 5, completion_tokens: 3 } }, failed[0]?.[1])
    expect(reading.failed()).toBe(true)
    expect(reading.usage()).toEqual({ input: 5, output: 3 })
  })

  test('and what comes after it does not mend it', () => {
    expect(readingOf({ error: 'x' }, { error: null, choices: [] }, { usage: {} }).failed()).toBe(
      true,
    )
  })

  test('unless the error is empty, or something else has its name', () => {
    for (const value of [
      { error: null },
      { error: {} },
      { error: '' },
      { error: false },
      { error: { message: '', type: '', param: null, code: 0 }, choices: [] },
      { type: 'response.completed', response: { status: 'completed', error: null } },
      { base_resp: { status_code: 0, status_msg: 'success' } },
      { base_resp: { status_code: '0' } },
      { code: '', message: '', request_id: 'r', output: {}, usage: { input_tokens: 1 } },
      { code: 'print(1)', output: 'x', request_id: 'r' },
      { code: 'print(1)' },
      { success: true, errors: [] },
      { error_code: 0 },
      { choices: [{ message: { content: '{"error":{"message":"x"}}', error: { message: 'x' } } }] },
      { content: [{ type: 'error', error: { message: 'x' } }] },
      { custom_id: 'a', response: { body: {} }, error: { code: 'x' } },
      { type: 'response.output_item.done', item: { status: 'failed', error: { message: 'x' } } },
      null,
      'error',
    ]) {
      expect([value, readingOf(value).failed()]).toEqual([value, false])
      expect(readingOf(pick(JSON.stringify(value))).failed()).toBe(false)
    }
  }) // biome-ignore format: a table
})

describe('a report that nobody understands', () => {
  test('is known by its names, and never by a value', () => {
    const usage = { tokens_out: 'secret', credits: 5, absent: null }
    expect(readingOf({ usage }).unknown()).toEqual(['credits', 'tokens_out'])
    expect(readingOf({ usage_info: { pages_processed: 3 } }).unknown()).toEqual(['pages_processed'])
    expect(readingOf({ response: { usage } }).unknown()).toEqual(['credits', 'tokens_out'])
  })

  test('is none if something was understood, or nothing was reported', () => {
    expect(readingOf({ usage: { credits: 5 } }, { eval_count: 7 }).unknown()).toBeNull()
    for (const value of [{}, { usage: {} }, { usage: null }, { usage: [1] }, { usage: 5 }, 'x'])
      expect(readingOf(value).unknown()).toBeNull()
  })

  test('has at most twenty names, each short and printable', () => {
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`n${i}`, 1]))
    expect(readingOf({ usage: many }).unknown()).toHaveLength(20)
    const odd = { ['x'.repeat(65)]: 1, 'a\nb': 1, ü: 1, '': 1, ok: 1 }
    expect(readingOf({ usage: odd }).unknown()).toEqual(['ok'])
  })
})
