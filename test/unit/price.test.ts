/** Which price a call has, and what its parts cost. */
import { describe, expect, test } from 'bun:test'
import type { Price } from '../../src/domain/upstream/price.ts'
import { arePriced, costAtMost, type ModelNames, priceOf } from '../../src/metering/price/choice.ts'
import { costOf } from '../../src/metering/price/cost.ts'

const price = (model: string): Price => ({ model, input: 1, output: 1 })

/** The entry of a list of such names that a call has its price from; null if none. */
function chosen(models: readonly string[], names: ModelNames): string | null {
  return priceOf(models.map(price), names)?.model ?? null
}

describe('the price of a model that was asked for', () => {
  test('is the first glob in the list that fits', () => {
    const models = ['gpt-4o-mini*', 'gpt-4o*', '*']
    expect(chosen(models, { asked: 'gpt-4o-mini-2024' })).toBe('gpt-4o-mini*')
    expect(chosen(models, { asked: 'gpt-4o' })).toBe('gpt-4o*')
    expect(chosen(models, { asked: 'o3' })).toBe('*')
    expect(chosen(models.slice(0, 2), { asked: 'o3' })).toBeNull()
    expect(chosen(['*', 'gpt-4o*'], { asked: 'gpt-4o' })).toBe('*')
  })

  test('is that of its very name, wherever it stands', () => {
    expect(chosen(['*', 'gpt-4o*', 'gpt-4o'], { asked: 'gpt-4o' })).toBe('gpt-4o')
    expect(chosen(['gpt-4o*', 'gpt-4o-mini'], { asked: 'gpt-4o-mini' })).toBe('gpt-4o-mini')
    expect(chosen(['*', 'odd[1]'], { asked: 'odd[1]' })).toBe('odd[1]')
  })

  test('is that of its name without a version, if no other name fits', () => {
    for (const version of ['-2024-08-06', '-20250514', '@20250514', '-0613', '-001', '-latest', '-08-2024', '-2411', '-05-20']) {
      expect(chosen(['*', 'model'], { asked: `model${version}` })).toBe('model')
      expect(chosen(['model', `model${version}`], { asked: `model${version}` })).toBe(`model${version}`)
    } // biome-ignore format: a list of versions
    for (const other of [
      'model-mini',
      'model-5',
      'model-32k',
      'model-pro',
      'model-2024-08',
      'models',
    ])
      expect(chosen(['model'], { asked: other })).toBeNull()
    expect(chosen(['', '*'], { asked: '-latest' })).toBe('*')
  })

  test('may stand under the name that clients use, after that of the upstream', () => {
    const names = { asked: 'gpt-4o-mini', alias: 'fast' }
    expect(chosen(['fast'], names)).toBe('fast')
    expect(chosen(['fast', 'gpt-4o-mini'], names)).toBe('gpt-4o-mini')
    expect(chosen(['*', 'gpt-*', 'fast'], names)).toBe('fast')
    expect(chosen(['fa*', 'gpt-*'], names)).toBe('fa*')
  })

  test('has a glob whose * crosses slashes, as names of models have them', () => {
    expect(chosen(['*llama*'], { asked: 'meta-llama/Llama-3/x-llama' })).not.toBeNull()
    expect(chosen(['meta-llama/*'], { asked: 'meta-llama/a/b' })).not.toBeNull()
    expect(chosen(['*'], { asked: 'meta-llama/Llama-3' })).not.toBeNull()
    expect(chosen(['meta-llama'], { asked: 'meta-llama/Llama-3' })).toBeNull()
  })

  test('is that of a model that the name may stand for, the dearest if there are several', () => {
    expect(chosen(['gpt-4o-2024*'], { asked: 'gpt-4o' })).toBe('gpt-4o-2024*')
    expect(chosen(['text-embedding-3-large'], { asked: 'embed' })).toBe('text-embedding-3-large')
    const names = { asked: 'sonnet', answered: 'some-model' }
    const prices = [price('claude-sonnet-4'), { ...price('claude-sonnet-5'), output: 2 }]
    expect(priceOf(prices, names)?.model).toBe('claude-sonnet-5')
    expect(priceOf(prices, { ...names, answered: 'claude-sonnet-4-20250514' })?.model).toBe(
      'claude-sonnet-4',
    )
    const others = [
      ['gpt-5', 'gpt-5-mini'], ['gpt-5-pro', 'gpt-4o*'], ['gpt-4', 'gpt-4-1'], ['o', 'o3'], ['net', 'claude-sonnet-4'],
    ] as const // biome-ignore format: a table
    for (const [asked, model] of others) expect(chosen([model], { asked })).toBeNull()
  })

  test('that nobody names is that of every model', () => {
    expect(chosen(['gpt*', '*'], { asked: null })).toBe('*')
    expect(chosen(['gpt*'], { asked: null, answered: null })).toBeNull()
    expect(priceOf([], { asked: 'gpt-4o' })).toBeNull()
  })
})

describe('the price of an answer', () => {
  test('is that of the model that did the work', () => {
    const names = { asked: 'gpt-4o-mini', answered: 'gpt-5-pro' }
    expect(chosen(['gpt-4o-mini*', 'gpt-5-pro*'], names)).toBe('gpt-5-pro*')
    expect(chosen(['gpt-4o-mini', 'gpt-5-pro*'], names)).toBe('gpt-5-pro*')
    expect(chosen(['gpt-4o-mini', 'gpt-5-pro'], { ...names, answered: 'gpt-5-pro-2025-10-06' })).toBe('gpt-5-pro')
    expect(chosen(['gpt-4o', 'gpt-4o-mini*'], { asked: 'gpt-4o', answered: 'gpt-4o-mini' })).toBe('gpt-4o-mini*')
    expect(chosen(['auto', 'cheap', 'dear'], { asked: 'auto', answered: 'dear' })).toBe('dear')
  }) // biome-ignore format: a list of names

  test('is that of the model that was asked for where the answer has none', () => {
    const names = { asked: 'gpt-4o-mini', alias: 'fast', answered: 'gpt-4o-mini-2024' }
    expect(chosen(['fast'], names)).toBe('fast')
    expect(chosen(['fast', '*'], names)).toBe('fast')
    expect(chosen(['fast', 'gpt-*'], names)).toBe('fast')
    expect(chosen(['my-deployment', '*'], { asked: 'my-deployment', answered: 'gpt-4o' })).toBe('my-deployment')
    expect(chosen(['my-*', '*'], { asked: 'my-deployment', answered: 'gpt-4o' })).toBe('my-*')
    expect(chosen(['gpt-4o', '*'], { asked: 'gpt-4o', answered: 'gpt-4o-2024-08-06' })).toBe('gpt-4o')
    expect(chosen(['gpt-4o*'], { asked: null, answered: 'gpt-4o-2024-08-06' })).toBe('gpt-4o*')
    expect(chosen(['x'], { asked: 'y', answered: 'z' })).toBeNull()
  }) // biome-ignore format: a list of names

  test('is never the cheaper one of a model that a fallback has replaced', () => {
    const names = { asked: 'cheap', fallbacks: ['dear'], answered: 'dear' }
    expect(chosen(['cheap', '*'], names)).toBe('*')
    expect(chosen(['cheap', 'dear'], names)).toBe('dear')
    expect(chosen(['cheap'], names)).toBe('cheap')
  })
})

describe('a request that names models to fall back to', () => {
  const prices: Price[] = [
    { model: 'cheap', input: 1_000_000, output: 1_000_000 },
    { model: 'dear*', input: 9_000_000, output: 50_000_000 },
  ]

  test('reserves what the dearest of them costs', () => {
    const usage = { input: 10, output: 10 }
    expect(costAtMost(prices, { asked: 'cheap' }, usage)).toBe(20)
    expect(costAtMost(prices, { asked: 'cheap', fallbacks: ['dear-1', 'cheap'] }, usage)).toBe(590)
    expect(costAtMost(prices, { asked: 'other', fallbacks: ['cheap'] }, usage)).toBe(20)
  })

  test('is priced only if each of them is', () => {
    expect(arePriced(prices, { asked: 'cheap', fallbacks: ['dear-1'] })).toBeTrue()
    expect(arePriced(prices, { asked: 'cheap', fallbacks: ['dear-1', 'gpt-5'] })).toBeFalse()
    expect(arePriced(prices, { asked: 'gpt-5', alias: 'cheap' })).toBeTrue()
    expect(arePriced(prices, { asked: null })).toBeFalse()
    expect(arePriced([], { asked: 'cheap' })).toBeFalse()
  })
})

describe('a cost', () => {
  const usage = (input: number, output: number, cached = 0) => ({ input, output, cached })
  const plain = { model: '*', input: 1_000_000, output: 5_000_000 }

  test('is in micro-units, rounded up', () => {
    const prices = { model: '*', input: 2_500_000, output: 10_000_000 }
    expect(costOf(prices, usage(1000, 100))).toBe(3500)
    expect(costOf({ ...prices, input: 1 }, usage(1, 0))).toBe(1)
    expect(costOf({ ...prices, input: 1, output: 1, cachedInput: 1 }, usage(3, 4, 1))).toBe(1)
    expect(costOf(prices, usage(0, 0))).toBe(0)
  })

  test('has a price of its own for what came from the cache', () => {
    const prices = { model: '*', input: 1_000_000, cachedInput: 100_000, output: 0 }
    expect(costOf(prices, usage(100, 0, 60))).toBe(46)
    expect(costOf({ model: '*', input: 1_000_000, output: 0 }, usage(100, 0, 60))).toBe(100)
    expect(costOf({ ...prices, cachedInput: 0 }, usage(100, 0, 100))).toBe(0)
  })

  test('has prices of their own for what was written to the cache, for either time', () => {
    const claude = { input: 600_010, output: 5, cached: 0, reasoning: 0 }
    const parts = { cacheWritten5m: 200_000, cacheWritten1h: 400_000 }
    const writes = { ...plain, cacheWrite5m: 1_250_000, cacheWrite1h: 2_000_000 }
    expect(costOf(writes, { ...claude, parts })).toBe(1_050_035)
    expect(costOf(plain, { ...claude, parts })).toBe(600_035)
    expect(costOf({ ...plain, cacheWrite5m: 1_250_000 }, { ...claude, parts })).toBe(750_035)
    expect(costOf({ ...plain, cacheWrite1h: 2_000_000 }, { ...claude, parts })).toBe(1_000_035)
    expect(costOf({ ...writes, cachedInput: 100_000 }, { ...claude, input: 700_010, cached: 100_000, parts })).toBe(1_060_035)
  }) // biome-ignore format: one price a line

  test('has prices of their own for thought, sound and images', () => {
    const parts = { audioInput: 10, imageInput: 20, audioOutput: 30, imageOutput: 40 }
    const all = { input: 100, output: 200, reasoning: 50, parts }
    expect(costOf(plain, all)).toBe(1100)
    expect(costOf({ ...plain, reasoning: 6_000_000 }, all)).toBe(1150)
    expect(costOf({ ...plain, audioInput: 10_000_000, imageInput: 3_000_000 }, all)).toBe(1230)
    expect(costOf({ ...plain, audioOutput: 20_000_000, imageOutput: 0 }, all)).toBe(1350)
  })

  test('counts calls, images and seconds beside tokens', () => {
    const things = { ...plain, perCall: 5_000, perImage: 40_000, perSecond: 100 }
    expect(costOf(things, { input: 10, output: 0, parts: { images: 3, seconds: 7.2 } })).toBe(125_810)
    expect(costOf(things, { input: 0, output: 0 })).toBe(5_000)
  }) // biome-ignore format: one price a line

  test('has other prices above a length of input, for all of the call', () => {
    const gemini = {
      ...plain,
      cachedInput: 100_000,
      longContext: { above: 200_000, input: 2_000_000, output: 9_000_000, cacheWrite5m: 3_000_000 },
    }
    expect(costOf(gemini, usage(200_000, 10))).toBe(200_050)
    expect(costOf(gemini, usage(200_001, 10))).toBe(400_092)
    // A part that the second set does not name costs what the whole does there.
    expect(costOf(gemini, usage(200_001, 10, 200_001))).toBe(400_092)
    expect(costOf(gemini, { ...usage(300_000, 0), parts: { cacheWritten5m: 300_000 } })).toBe(900_000)
  }) // biome-ignore format: one price a line

  test('counts no token twice, even where the parts are more than the whole', () => {
    const prices = { model: '*', input: 1_000_000, cachedInput: 0, output: 0 }
    expect(costOf(prices, usage(10, 0, 50))).toBe(0)
    const parts = { cacheWritten5m: 80, audioInput: 80 }
    const dear = { ...plain, cachedInput: 0, cacheWrite5m: 2_000_000, audioInput: 9_000_000 }
    expect(costOf(dear, { ...usage(100, 0, 50), parts })).toBe(100)
  })

  test('is exact where the product is not', () => {
    const prices = { model: '*', input: 1_000_000, output: 1 }
    // 10^16 + 1, which as a double is 10^16.
    expect(costOf(prices, usage(10_000_000_000, 1))).toBe(10_000_000_001)
    expect(costOf({ ...prices, input: 1e12 }, usage(1e12, 0))).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('of what is no number of things is nothing', () => {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, -5]) {
      const parts = { audioInput: odd, images: odd, seconds: odd }
      const things = { ...plain, perImage: 7, perSecond: 7 }
      expect(costOf(things, { input: odd, output: odd, cached: odd, reasoning: odd, parts })).toBe(0)
    }
  }) // biome-ignore format: one price a line
})
