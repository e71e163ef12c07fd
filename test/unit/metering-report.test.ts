/** What each kind of API reports, in bodies as they really look. */
import { describe, expect, test } from 'bun:test'
import { readNumber } from '../../src/metering/answer/json-path.ts'
import { readUsage } from '../../src/metering/report.ts'
import { complete, type Usage } from '../../src/metering/usage.ts'

/** What a stream of these reports amounts to. */
function total(...reports: unknown[]): Usage | null {
  return complete(Object.assign({}, ...reports.map(readUsage)))
}

const answers: [api: string, reports: unknown[], usage: Usage | null][] = [
  [
    'OpenAI chat',
    [
      {
        id: 'chatcmpl-B9',
        object: 'chat.completion',
        model: 'gpt-4o-2024-08-06',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' } }],
        usage: {
          prompt_tokens: 1117,
          completion_tokens: 346,
          total_tokens: 1463,
          prompt_tokens_details: { cached_tokens: 1024, audio_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: 128, audio_tokens: 0 },
        },
      },
    ],
    { model: 'gpt-4o-2024-08-06', input: 1117, output: 346, cached: 1024, reasoning: 128 },
  ],
  [
    'OpenAI embeddings, which write nothing',
    [
      {
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding: [0.1, -0.2] }],
        model: 'text-embedding-3-small',
        usage: { prompt_tokens: 8, total_tokens: 8 },
      },
    ],
    { model: 'text-embedding-3-small', input: 8, output: 0, cached: 0, reasoning: 0 },
  ],
  [
    'an OpenAI stream with usage null until its end',
    [
      { object: 'chat.completion.chunk', model: 'gpt-4o', choices: [{ delta: {} }], usage: null },
      {
        object: 'chat.completion.chunk',
        model: 'gpt-4o',
        choices: [],
        usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
      },
    ],
    { model: 'gpt-4o', input: 5, output: 7, cached: 0, reasoning: 0 },
  ],
  [
    'OpenAI Responses',
    [
      {
        id: 'resp_67',
        object: 'response',
        model: 'gpt-5',
        usage: {
          input_tokens: 328,
          input_tokens_details: { cached_tokens: 300 },
          output_tokens: 52,
          output_tokens_details: { reasoning_tokens: 40 },
          total_tokens: 380,
        },
      },
    ],
    { model: 'gpt-5', input: 328, output: 52, cached: 300, reasoning: 40 },
  ],
  [
    'a stream of OpenAI Responses',
    [
      { type: 'response.created', response: { id: 'resp_67', model: 'gpt-5', usage: null } },
      {
        type: 'response.completed',
        response: {
          model: 'gpt-5',
          usage: { input_tokens: 37, output_tokens: 11, total_tokens: 48 },
        },
      },
    ],
    { model: 'gpt-5', input: 37, output: 11, cached: 0, reasoning: 0 },
  ],
  [
    'a stream of OpenAI Responses that ended early',
    [
      {
        type: 'response.incomplete',
        response: { model: 'gpt-5', usage: { input_tokens: 3, output_tokens: 16 } },
      },
    ],
    { model: 'gpt-5', input: 3, output: 16, cached: 0, reasoning: 0 },
  ],
  [
    'DeepSeek',
    [
      {
        model: 'deepseek-reasoner',
        choices: [{ index: 0 }],
        usage: {
          prompt_tokens: 100,
          completion_tokens: 60,
          total_tokens: 160,
          prompt_cache_hit_tokens: 64,
          prompt_cache_miss_tokens: 36,
          completion_tokens_details: { reasoning_tokens: 50 },
        },
      },
    ],
    { model: 'deepseek-reasoner', input: 100, output: 60, cached: 64, reasoning: 50 },
  ],
  [
    'xAI, whose output leaves out what was thought',
    [
      {
        model: 'grok-4',
        usage: {
          prompt_tokens: 10120,
          completion_tokens: 1499,
          total_tokens: 14428,
          prompt_tokens_details: { cached_tokens: 128 },
          completion_tokens_details: { reasoning_tokens: 2809 },
        },
      },
    ],
    { model: 'grok-4', input: 10120, output: 4308, cached: 128, reasoning: 2809 },
  ],
  [
    'Anthropic, whose input leaves out what was cached',
    [
      {
        id: 'msg_01',
        type: 'message',
        model: 'claude-sonnet-4-5',
        content: [{ type: 'text', text: 'Hi' }],
        usage: {
          input_tokens: 21,
          cache_creation_input_tokens: 188,
          cache_read_input_tokens: 2000,
          output_tokens: 393,
        },
      },
    ],
    { model: 'claude-sonnet-4-5', input: 2209, output: 393, cached: 2000, reasoning: 0 },
  ],
  [
    'an Anthropic stream',
    [
      {
        type: 'message_start',
        message: {
          model: 'claude-sonnet-4-5',
          usage: { input_tokens: 25, cache_read_input_tokens: 100, output_tokens: 1 },
        },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'message_delta', delta: {}, usage: { output_tokens: 10 } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 15 } },
    ],
    { model: 'claude-sonnet-4-5', input: 125, output: 15, cached: 100, reasoning: 0 },
  ],
  [
    'an Anthropic stream whose end says what searching the web has added',
    [
      {
        type: 'message_start',
        message: { model: 'claude-opus-4', usage: { input_tokens: 2679, output_tokens: 3 } },
      },
      {
        type: 'message_delta',
        usage: {
          input_tokens: 10682,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: 510,
        },
      },
    ],
    { model: 'claude-opus-4', input: 10682, output: 510, cached: 0, reasoning: 0 },
  ],
  [
    'an Anthropic stream that was cut off, whose output is not known',
    [{ type: 'message_start', message: { usage: { input_tokens: 25, output_tokens: 1 } } }],
    null,
  ],
  [
    'Ollama',
    [
      { model: 'llama3.2', message: { role: 'assistant', content: 'Hi' }, done: false },
      {
        model: 'llama3.2',
        response: '',
        done: true,
        context: [1, 2, 3],
        prompt_eval_count: 26,
        eval_count: 298,
      },
    ],
    { model: 'llama3.2', input: 26, output: 298, cached: 0, reasoning: 0 },
  ],
  [
    'embeddings of Ollama',
    [{ model: 'all-minilm', embeddings: [[0.01]], prompt_eval_count: 8 }],
    { model: 'all-minilm', input: 8, output: 0, cached: 0, reasoning: 0 },
  ],
  ['an answer of seconds, not tokens', [{ usage: { type: 'duration', seconds: 12 } }], null],
  ['an error', [{ error: { message: 'overloaded', type: 'server_error' } }], null],
]
for (const [api, reports, usage] of answers) {
  test(`reads ${api}`, () => expect(total(...reports)).toEqual(usage))
}

describe('what cannot be a report', () => {
  const strange = [-1, 1.5, Number.NaN, Infinity, 1e300, '12', null, [], {}, true]

  test('counts for nothing, and leaves the rest', () => {
    for (const value of strange) {
      expect(readUsage({ usage: { prompt_tokens: value } })).toBeNull()
      expect(
        readUsage({ usage: { prompt_tokens: value ?? 'x', completion_tokens: 3 } }),
      ).toStrictEqual({ output: 3 })
      expect(readUsage({ eval_count: value, usage: value })).toBeNull()
    }
    for (const value of [...strange, 'usage', undefined]) expect(readUsage(value)).toBeNull()
  })

  test('is what a prototype holds', () => {
    const inherited = Object.create({ usage: { prompt_tokens: 9, completion_tokens: 9 } })
    expect(readUsage(inherited)).toBeNull()
    const json: unknown = JSON.parse('{"__proto__":{"usage":{"prompt_tokens":9}}}')
    expect(readUsage(json)).toBeNull()
  })

  test('is a part that is larger than the whole', () => {
    const usage = {
      prompt_tokens: 5,
      completion_tokens: 2,
      prompt_tokens_details: { cached_tokens: 50 },
      completion_tokens_details: { reasoning_tokens: 20 },
    }
    expect(total({ usage })).toEqual({ model: null, input: 5, output: 2, cached: 5, reasoning: 2 })
  })

  test('is a model’s name of any length, or half a character', () => {
    const usage = { prompt_tokens: 1 }
    expect(readUsage({ usage, model: 'm'.repeat(257) })).toEqual({ input: 1, output: 0 })
    expect(readUsage({ usage, model: 'a\ud800' })?.model).toBe('a\ufffd')
  })
})

describe('a number by its path', () => {
  const json = { usage: { credits: 7, parts: [{ n: 2.1 }], 'in all': 9, '0': 4 }, list: [1, 2] }
  const found: [path: string, units: number | null][] = [
    ['$.usage.credits', 7],
    ['$.usage.parts[0].n', 3],
    ["$.usage['in all']", 9],
    ["$['usage']['credits']", 7],
    ['$.list[1]', 2],
    ['$.list[2]', null],
    ['$.list.length', null],
    ['$.usage[0]', null],
    ['$.usage', null],
    ['$.toString', null],
    ['$.usage.__proto__', null],
    ['$', null],
    ['', null],
    ['usage.credits', null],
    ['$..credits', null],
    ['$.usage.*', null],
    ['$[?(@.a)]', null],
    ['$.usage.credits ', null],
  ]
  for (const [path, units] of found) {
    test(`${path || 'an empty path'} is ${units}`, () =>
      expect(readNumber(JSON.stringify(json), path)).toBe(units))
  }

  test('is nothing unless it can be charged', () => {
    for (const value of [
      '-1',
      '-0.5',
      '"5"',
      'null',
      'NaN',
      '1e999',
      '9007199254740992',
      '[5]',
      'true',
    ]) {
      expect(readNumber(`{"value":${value}}`, '$.value')).toBeNull()
    }
    expect(readNumber('{"value":0}', '$.value')).toBe(0)
    expect(readNumber('{"value":9007199254740991}', '$.value')).toBe(2 ** 53 - 1)
  })
})
