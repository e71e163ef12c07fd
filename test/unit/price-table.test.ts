/** What is taken from a price table of the form that LiteLLM publishes: exactly, or not at all. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { money } from '../../src/cli/output/format.ts'
import { changesOf } from '../../src/cli/prices/changes.ts'
import { readTable } from '../../src/cli/prices/litellm.ts'
import { findPreset, listPresets, presetFor } from '../../src/cli/prices/presets.ts'
import { PRICE_MAX } from '../../src/domain/upstream/price.ts'
import { UPSTREAM_NAME } from '../../src/domain/upstream.ts'
import { millionths, scaled } from '../../src/lib/text/decimal.ts'

/** The price of one model whose members are written so. */
function read(members: string) {
  const { prices, leftOut } = readTable(`{"m": {${members}}}`, 'table.json', {})
  return prices[0] ?? leftOut[0]?.reason
}

const CHAT = '"mode": "chat", "litellm_provider": "p"'

describe('a decimal', () => {
  test('is made whole exactly, or is said not to be whole', () => {
    const cases: [text: string, power: number, value: ReturnType<typeof scaled>][] = [
      ['1.5e-07', 12, 150_000], ['0.000000150', 12, 150_000], ['1.50E-7', 12, 150_000], ['2', 6, 2_000_000], ['0.1', 1, 1],
      ['0', 12, 0], ['0.0', 12, 0], ['-0.0', 12, 0], ['0e999999999', 6, 0], ['1e2', 0, 100], ['100e-2', 0, 1], ['1e+3', 0, 1000],
      ['1.5e-13', 12, 'inexact'], ['1e-999999999', 12, 'inexact'], ['0.30000000000000004', 12, 'inexact'],
      ['1e999999999', 12, 'large'], ['1e16', 0, 'large'], ['9007199254740993', 0, 'large'], ['9007199254740991', 0, 2 ** 53 - 1],
      ['-1', 0, null], ['', 0, null], ['1,5', 0, null], ['NaN', 0, null], ['0x10', 0, null], ['1e', 0, null], ['.5', 1, null], ['∞', 0, null],
    ] // biome-ignore format: a table
    for (const [text, power, value] of cases)
      expect([text, scaled(text, power)]).toEqual([text, value])
  })

  test('is the same however it is written', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 12n), fc.integer({ min: 0, max: 12 }), (value, places) => {
        const digits = String(value).padStart(places + 1, '0')
        const plain = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
        expect(scaled(plain, places)).toBe(Number(value))
        expect(scaled(`${value}e-${places}`, places)).toBe(Number(value))
        expect(scaled(`${plain}000e0`.replace(/^(\d+)000e0$/, '$1'), places)).toBe(Number(value))
      }),
    )
  })
})

describe('an entry', () => {
  test('is taken with every price that is counted here', () => {
    expect(
      read(`${CHAT}, "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-7,
        "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
        "output_cost_per_reasoning_token": 2e-5, "input_cost_per_audio_token": 0.00001, "output_cost_per_audio_token": 2e-05,
        "input_cost_per_image_token": 1e-05, "output_cost_per_image_token": 4e-05, "input_cost_per_request": 0.005`),
    ).toEqual({
      model: 'm', input: 3_000_000, output: 15_000_000, cached_input: 300_000, cache_write_5m: 3_750_000, cache_write_1h: 6_000_000,
      reasoning: 20_000_000, audio_input: 10_000_000, audio_output: 20_000_000, image_input: 10_000_000, image_output: 40_000_000,
      per_call: 5_000,
    }) // biome-ignore format: one price
  })

  test('of a long context keeps what has no price of its own there', () => {
    expect(
      read(`${CHAT}, "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-7,
        "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05`),
    ).toEqual({
      ...{ model: 'm', input: 3_000_000, output: 15_000_000, cached_input: 300_000 },
      long_context: {
        ...{ above: 200_000, input: 6_000_000, output: 22_500_000, cached_input: 300_000 },
        cache_write_1h: 12_000_000,
      },
    })
  })

  test('may have images, seconds or queries instead of tokens', () => {
    expect(read('"mode": "image_generation", "output_cost_per_image": 0.04')).toEqual({ model: 'm', input: 0, output: 0, per_image: 40_000 })
    expect(read('"mode": "image_generation", "input_cost_per_image": 0.04')).toMatchObject({ per_image: 40_000 })
    expect(read('"mode": "audio_transcription", "input_cost_per_second": 1e-4, "output_cost_per_second": 0.0001')).toMatchObject({ per_second: 100 })
    expect(read('"mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0.0')).toMatchObject({ per_call: 2_000, input: 0 })
    expect(read('"mode": "embedding", "input_cost_per_token": 2e-08')).toEqual({ model: 'm', input: 20_000, output: 0 })
    // The same image in tokens and as a whole is paid once.
    expect(read('"mode": "image_generation", "input_cost_per_token": 3e-7, "output_cost_per_image_token": 3e-05, "output_cost_per_image": 0.039')).toEqual({ model: 'm', input: 300_000, output: 30_000_000, image_output: 30_000_000 })
  }) // biome-ignore format: an entry a line

  test('is taken without the prices of tiers, batches and tools', () => {
    expect(
      read(`${CHAT}, "input_cost_per_token": "2.5e-06", "output_cost_per_token": 1e-05, "input_cost_per_token_batches": 1.25e-06,
        "input_cost_per_token_priority": 5e-6, "input_cost_per_token_above_272k_tokens_flex": 1e-6, "max_tokens": 4096,
        "search_context_cost_per_query": {"search_context_size_low": 0.03}, "supports_vision": true`),
    ).toEqual({ model: 'm', input: 2_500_000, output: 10_000_000 })
  })

  test('that cannot be taken exactly is left out with its reason', () => {
    const tokens = '"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06'
    const cases = [
      [`${CHAT}, "input_cost_per_token": 1.5e-13, "output_cost_per_token": 1e-06`, /input_cost_per_token of 1.5e-13 is finer/],
      [`${CHAT}, "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06`, /no.* a decimal number/],
      [`${CHAT}, "input_cost_per_token": "free", "output_cost_per_token": 1e-06`, /not a decimal number/],
      [`${CHAT}, "input_cost_per_token": 1e300, "output_cost_per_token": 1e-06`, /too large/],
      [`${CHAT}, "input_cost_per_token": 1.1, "output_cost_per_token": 1e-06`, /too large/],
      [`${CHAT}, "input_cost_per_token": 1e-06`, /no price for its output/],
      [`${CHAT}, ${tokens}, "input_cost_per_character": 1e-07`, /input_cost_per_character is nothing/],
      [`${CHAT}, ${tokens}, "input_cost_per_image": 0.001`, /input_cost_per_image is nothing/],
      [`${CHAT}, ${tokens}, "output_cost_per_video_per_second": 0.1`, /is nothing that is counted/],
      [`${CHAT}, ${tokens}, "tiered_pricing": []`, /more than two steps/],
      [`${CHAT}, ${tokens}, "input_cost_per_token_above_128k_tokens": 1e-06, "input_cost_per_token_above_200k_tokens": 1e-06`, /two lengths/],
      ['"mode": "audio_transcription", "input_cost_per_second": 1e-4, "output_cost_per_second": 0.0002', /says otherwise/],
      [CHAT, /no price for it/],
    ] as const // biome-ignore format: a table
    for (const [members, reason] of cases) expect(read(members)).toMatch(reason)
    expect(read(`${CHAT}, ${tokens}, "input_cost_per_character": 0.0`)).toMatchObject({
      model: 'm',
    })
  })
})

describe('a table', () => {
  const entry = (provider: string, cost = '1e-06') =>
    `{"litellm_provider": "${provider}", "input_cost_per_token": ${cost}, "output_cost_per_token": ${cost}}`
  const text = `{"sample_spec": {"input_cost_per_token": 0}, "gpt-4o": ${entry('openai')}, "groq/llama/x": ${entry('groq')},
    "openai/gpt-4o": ${entry('openai')}, "openai/gpt-5": ${entry('openai')}}`
  const names = (choice: object) => readTable(text, 't', choice).prices.map(({ model }) => model)

  test('is taken by provider and by name, with or without the provider before it', () => {
    expect(names({})).toEqual(['gpt-4o', 'groq/llama/x', 'openai/gpt-4o', 'openai/gpt-5'])
    expect(names({ provider: 'openai', stripPrefix: true })).toEqual(['gpt-4o', 'gpt-5'])
    expect(names({ match: '*gpt-5*' })).toEqual(['openai/gpt-5'])
    expect(names({ match: 'llama/*', stripPrefix: true })).toEqual(['llama/x'])
  })

  test('names the entry that contradicts another one', () => {
    const twice = `{"gpt-4o": ${entry('openai')}, "openai/gpt-4o": ${entry('openai', '2e-06')}}`
    const { prices, leftOut } = readTable(twice, 't', { stripPrefix: true })
    expect(prices).toMatchObject([{ model: 'gpt-4o', input: 1_000_000 }])
    expect(leftOut).toMatchObject([{ model: 'openai/gpt-4o' }])
  })

  test('that is none is refused in one sentence', () => {
    for (const bad of ['', '{', '[]', '{}', '"x"', 'null', '{"a": 1}', `{"m": ${entry('p')}, "n": []}`])
      expect(() => readTable(bad, 'table.json', {})).toThrow(/^table\.json is (?:not valid JSON|not a price table)[^.]*\.$/)
  }) // biome-ignore format: a list of texts
})

test('a merge changes prices where they stand, and a replacement takes the others away', () => {
  const price = (model: string, input = 1) => ({ model, input, output: 1 })
  const before = [price('a'), price('b'), price('*')]
  const wanted = [price('b', 2), price('c'), price('a')]
  const merged = changesOf(before, wanted, false)
  expect(merged.after).toEqual([price('a'), price('b', 2), price('*'), price('c')])
  expect(merged).toMatchObject({ added: [{ model: 'c' }], changed: [{ model: 'b' }], removed: [], unchanged: 2 })
  const replaced = changesOf(before, wanted, true)
  expect(replaced).toMatchObject({ after: wanted, removed: [{ model: '*' }], unchanged: 1 })
}) // biome-ignore format: two outcomes

describe('a preset', () => {
  test('has a day, a page, and prices that the API takes, each model once', () => {
    for (const { name, as_of, source, currency, prices } of listPresets()) {
      expect(name).toMatch(UPSTREAM_NAME)
      expect([as_of, source, currency].join(' ')).toMatch(
        /^\d{4}-\d\d-\d\d https:\/\/\S+ [A-Z]{3}$/,
      )
      expect(new Set(prices.map(({ model }) => model)).size).toBe(prices.length)
      for (const { model, long_context, ...amounts } of prices) {
        expect(model).not.toMatch(/[*?[{\\!]/)
        for (const amount of Object.values({ ...amounts, ...long_context })) {
          expect(Number.isSafeInteger(amount) && amount >= 0 && amount <= PRICE_MAX).toBe(true)
        }
      }
    }
  })

  test('writes the cache at 1.25 and 2 times, and reads it at a tenth of the input of each Claude since the fourth', () => {
    const claude = findPreset('anthropic').prices.filter(({ model }) => /-4/.test(model))
    expect(claude.length).toBeGreaterThan(5)
    for (const one of claude.flatMap(({ long_context, ...price }) => [price, ...(long_context ? [long_context] : [])])) {
      expect([one.cache_write_5m, one.cache_write_1h, one.cached_input]).toEqual([one.input * 1.25, one.input * 2, one.input / 10])
      if ('above' in one) expect(one.above).toBe(200_000)
    }
  }) // biome-ignore format: one rule

  test('is found by the host of a base URL', () => {
    expect(presetFor('https://api.openai.com/v1')).toBe('openai')
    expect(presetFor('https://api.anthropic.com')).toBe('anthropic')
    expect(presetFor('https://api.openai.com.example/v1')).toBeNull()
    expect(presetFor('no url')).toBeNull()
    expect(() => findPreset('nobody')).toThrow('There are: openai,')
  })
})

test('millionths are written exactly, with two decimals at least, and for people with commas', () => {
  for (const [value, text] of [
    [0, '0.00'], [1, '0.000001'], [-1, '-0.000001'], [1_500_000, '1.50'], [10_000_000, '10.00'], [1_230_000, '1.23'], [1_234_000, '1.234'],
    [Number.MAX_SAFE_INTEGER, '9007199254.740991'],
  ] as const) {
    expect(millionths(value)).toBe(text)
    expect(money(value).replaceAll(',', '')).toBe(text)
    expect(scaled(text.replace('-', ''), 6)).toBe(Math.abs(value))
  } // biome-ignore format: a table
  expect(money(-1_234_567_500_000)).toBe('-1,234,567.50')
})
