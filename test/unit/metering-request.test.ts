/** What a request asks for, what it may cost, and the two things that are changed in it. */
import { describe, expect, test } from 'bun:test'
import { type PrepareOptions, prepareRequest } from '../../src/metering/request.ts'

const prepare = (text: string, options: Partial<PrepareOptions> = {}) =>
  prepareRequest(text, { path: '/chat/completions', outputDefault: 1000, aliases: {}, ...options })

describe('the wish for usage', () => {
  const added: [how: string, before: string, after: string][] = [
    [
      'to a body without options, which keeps its numbers, twins, escapes and spaces',
      ' { "stream" : true, "seed": 9007199254740993, "x":1.0, "x":2, "y":"\\u0041\\/" } ',
      ' {"stream_options":{"include_usage":true}, "stream" : true, "seed": 9007199254740993, "x":1.0, "x":2, "y":"\\u0041\\/" } ',
    ],
    [
      'in the place of null',
      '{"stream":true,"stream_options": null }',
      '{"stream":true,"stream_options": {"include_usage":true} }',
    ],
    [
      'to empty options',
      '{"stream_options":{ },"stream":true}',
      '{"stream_options":{"include_usage":true },"stream":true}',
    ],
    [
      'to other options',
      '{"stream":true,"stream_options":{"include_obfuscation":false}}',
      '{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}',
    ],
    [
      'in the place of a no',
      '{"stream":true,"stream_options":{"a":{"include_usage":0},"include_usage" : false}}',
      '{"stream":true,"stream_options":{"a":{"include_usage":0},"include_usage" : true}}',
    ],
  ]
  for (const [how, before, after] of added) {
    test(`is added ${how}`, () => {
      const { body, hideUsage, stream } = prepare(before)
      expect({ body, hideUsage, stream }).toEqual({ body: after, hideUsage: true, stream: true })
    })
  }

  const body = '{"model":"m","stream":true}'
  const untouched: [when: string, text: string, options: Partial<PrepareOptions>][] = [
    ['the client has asked', '{"stream":true,"stream_options":{"include_usage":true}}', {}],
    ['nothing is streamed', '{"stream":false}', {}],
    ['the client does not say that it streams', '{"model":"m"}', {}],
    ['tokens are not metered', body, { outputDefault: null }],
    ['the API is Anthropic’s', body, { path: '/messages' }],
    ['the API is OpenAI’s Responses', body, { path: '/responses' }],
    ['the API is Ollama’s', body, { path: '/api/chat' }],
    ['the path only looks like it', body, { path: '/chat/completions/x/messages' }],
    ['the options are none', '{"stream":true,"stream_options":[]}', {}],
  ]
  for (const [when, text, options] of untouched) {
    test(`is not added when ${when}`, () => {
      const prepared = prepare(text, options)
      expect(prepared.body).toBe(text)
      expect(prepared.hideUsage).toBe(false)
    })
  }

  test('is added wherever completions are', () => {
    for (const path of ['/completions', '/beta/completions', '/deployments/x/chat/completions/']) {
      expect(prepare(body, { path }).hideUsage).toBe(true)
    }
  })
})

describe('the model', () => {
  test('is asked for by its alias, and nothing else is changed', () => {
    const aliases = { fast: 'vendor/"model"-1' }
    const text = '{"messages":[{"model":"fast"}], "model" : "fast" ,"n":1.0}'
    expect(prepare(text, { aliases, path: '/messages' })).toMatchObject({
      body: '{"messages":[{"model":"fast"}], "model" : "vendor/\\"model\\"-1" ,"n":1.0}',
      model: 'fast',
      upstreamModel: 'vendor/"model"-1',
    })
    expect(prepare('{"model":"slow"}', { aliases }).body).toBe('{"model":"slow"}')
    expect(prepare('{"model":"toString"}', { aliases }).upstreamModel).toBe('toString')
  })

  test('is asked for by its alias and with its usage', () => {
    const text = '{"model":"fast","stream":true,"stream_options":{}}'
    expect(prepare(text, { aliases: { fast: 'a-much-longer-name' } }).body).toBe(
      '{"model":"a-much-longer-name","stream":true,"stream_options":{"include_usage":true}}',
    )
  })

  test('has all its names shown, also those to fall back to', () => {
    const { model, models } = prepare('{"models":["b","c"],"model":"a"}')
    expect({ model, models }).toEqual({ model: 'a', models: ['a', 'b', 'c'] })
    expect(prepare('{"models":["b"]}').model).toBe('b')
    expect(prepare('{}')).toMatchObject({ model: null, models: [], ambiguous: false })
  })
})

describe('a body that an upstream might read otherwise', () => {
  const bodies = [
    '{"model":"allowed","model":"forbidden","stream":true}',
    '{"model":"allowed","\\u006dodel":"forbidden"}',
    '{"model":"allowed","Model":"forbidden"}',
    '{"MODEL":"forbidden"}',
    '{"stream":false,"\u017ftream":true}',
    '{"max_to\u212aens":100000}',
    '{"stream":true,"stream_options":{},"stream_options":{}}',
    '{"max_tokens":1,"max_tokens":100000}',
    '{"model":["forbidden"]}',
    '{"models":"forbidden"}',
    '{"models":[{"name":"forbidden"}]}',
    '{"model":"forbidden","temperature":NaN}',
    '{"model":"forbidden",}',
    '\ufeff{"model":"forbidden"}',
    '{"model":"forbidden"',
    '[{"model":"forbidden"}]',
    'null',
    'model=forbidden',
  ]
  for (const text of bodies) {
    test(`is called ambiguous and passed on as it is: ${JSON.stringify(text)}`, () => {
      const prepared = prepare(text, { aliases: { allowed: 'x', forbidden: 'y' } })
      expect(prepared).toMatchObject({ body: text, ambiguous: true, hideUsage: false })
    })
  }

  test('is one in which what matters is longer than any client has written it', () => {
    const list = (length: number) => `[${Array(length).fill('"m"').join(',')}]`
    expect(prepare(`{"models":${list(999)}}`)).toMatchObject({ ambiguous: false, model: 'm' })
    const long = [
      `{"models":${list(1000)}}`,
      `{"model":"m","options":{"a":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}}`,
      `{"model":"${'m'.repeat(64 * 1024)}"}`,
      `{"model":"m","n":1${'0'.repeat(64 * 1024)}}`,
    ]
    for (const text of long) {
      const { ambiguous, model, body } = prepare(text, { aliases: { m: 'x' } })
      expect({ ambiguous, model, isSame: body === text }).toEqual({
        ambiguous: true,
        model: null,
        isSame: true,
      })
    }
  })

  test('is none, however much it holds that does not matter', () => {
    const members = Array.from({ length: 100_000 }, (_, i) => `"a${i}":[{}]`).join(',')
    const text = `{${members},"model":"m","max_tokens":5}`
    const { ambiguous, upstreamModel, body, estimate } = prepare(text, { aliases: { m: 'x' } })
    expect({ ambiguous, upstreamModel, output: estimate.output }).toEqual({
      ambiguous: false,
      upstreamModel: 'x',
      output: 5,
    })
    expect(body === `{${members},"model":"x","max_tokens":5}`).toBe(true)
  })

  test('is none if the twins are of members that are not read', () => {
    expect(prepare('{"model":"a","x":1,"x":2,"messages":[{"model":1,"model":2}]}').ambiguous).toBe(
      false,
    )
    expect(prepare('').ambiguous).toBe(false)
  })
})

describe('the estimate', () => {
  const output = (text: string, options: Partial<PrepareOptions> = {}) =>
    prepare(text, options).estimate.output

  test('of the input is a quarter of the body’s bytes, rounded up', () => {
    expect(prepare('{"a":1}').estimate.input).toBe(2)
    expect(prepare('{"a":"üüü"}').estimate.input).toBe(4)
    expect(prepare('not JSON at all').estimate).toEqual({ input: 4, output: 1000 })
    expect(prepare('').estimate).toEqual({ input: 0, output: 0, allowed: 0 })
  })

  test('of the output is the most that the request allows', () => {
    expect(output('{"max_tokens":50}')).toBe(50)
    expect(output('{"max_completion_tokens":60,"max_tokens":50}')).toBe(60)
    expect(output('{"max_output_tokens":70}', { path: '/responses' })).toBe(70)
    expect(output('{"options":{"num_predict":80}}', { path: '/api/chat' })).toBe(80)
    expect(output('{"max_tokens":50,"n":3}')).toBe(150)
    expect(output('{"n":2}')).toBe(2000)
    expect(output('{"max_tokens":0}')).toBe(0)
  })

  test('of the output is the default where the request sets no bound that can be one', () => {
    for (const bound of ['-1', '1.5', '"50"', 'null', '1e300', '[]']) {
      expect(output(`{"max_tokens":${bound},"n":${bound},"options":${bound}}`)).toBe(1000)
    }
  })

  test('says what the request allows, unless it sets no bound', () => {
    const allowed = (text: string, options: Partial<PrepareOptions> = {}) =>
      prepare(text, options).estimate.allowed
    expect(allowed('{"max_tokens":50,"n":3}')).toBe(150)
    expect(allowed('{"max_tokens":0}')).toBe(0)
    expect(allowed('{"n":3}')).toBeUndefined()
    expect(allowed('{"input":"x"}', { path: '/embeddings' })).toBe(0)
  })

  test('of the output is nothing for embeddings', () => {
    expect(output('{"input":"x"}', { path: '/embeddings' })).toBe(0)
    expect(output('{"input":"x"}', { path: '/api/embed' })).toBe(0)
  })

  test('stays a number that sums can hold', () => {
    expect(output('{"max_tokens":1000000000000,"n":1000000000000}')).toBe(1e12)
  })

  test('is nothing where tokens are not metered', () => {
    expect(prepare('{"max_tokens":5}', { outputDefault: null }).estimate).toEqual({
      ...{ input: 0, output: 0, allowed: 0 },
    })
  })
})
