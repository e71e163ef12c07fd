/** Whatever an answer says, in whatever order and however often: what is known of it never shrinks, and adds up. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { picker } from '../../src/lib/json/member.ts'
import { askedBy } from '../../src/metering/dialects/asked.ts'
import { createReading } from '../../src/metering/dialects/reading.ts'
import { isNothing, merge, NOTHING } from '../../src/metering/dialects/said.ts'
import { DIALECTS, REPORT } from '../../src/metering/dialects/table.ts'
import { complete, type Reported } from '../../src/metering/usage.ts'

const count = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 1e12 }))
const odd = fc.oneof(
  { weight: 6, arbitrary: count },
  fc.constantFrom(null, '12', '7.0', -1, 1.5, 'x', [], {}, 1e300, true),
)
const some = (...names: string[]) =>
  fc.record(Object.fromEntries(names.map((name) => [name, odd])), { requiredKeys: [] })

const details = some('cached_tokens', 'audio_tokens', 'image_tokens', 'cache_write_tokens')
const usage = fc
  .tuple(
    some(
      'prompt_tokens', 'completion_tokens', 'total_tokens', 'input_tokens', 'output_tokens', 'cached_tokens',
      'cache_read_input_tokens', 'cache_creation_input_tokens', 'prompt_cache_hit_tokens', 'prompt_cache_miss_tokens',
      'inputTokens', 'outputTokens', 'cacheReadInputTokens', 'total_input_tokens', 'image_tokens', 'seconds',
    ), // biome-ignore format: a list
    fc.record(
      {
        prompt_tokens_details: details,
        input_tokens_details: details,
        completion_tokens_details: some('reasoning_tokens', 'audio_tokens'),
        cache_creation: some('ephemeral_5m_input_tokens', 'ephemeral_1h_input_tokens'),
        iterations: fc.array(some('input_tokens', 'output_tokens', 'cache_read_input_tokens'), {
          maxLength: 3,
        }),
        billed_units: some('input_tokens', 'output_tokens', 'search_units'),
      },
      { requiredKeys: [] },
    ),
  )
  .map((parts) => Object.assign({}, ...parts))
const messageUsage = some(
  'input_tokens',
  'output_tokens',
  'cache_read_input_tokens',
  'cache_creation_input_tokens',
)
const metadata = some(
  'promptTokenCount',
  'candidatesTokenCount',
  'thoughtsTokenCount',
  'toolUsePromptTokenCount',
  'cachedContentTokenCount',
  'totalTokenCount',
)
const model = fc.constantFrom('m', 'gemini-2.5-pro', '', 7)
/** Of one piece of work: a running stream in any dialect. */
const report = fc.oneof(
  { weight: 4, arbitrary: fc.record({ usage, model, choices: fc.constant([]) }) },
  fc.record({ usage }),
  fc.record({ type: fc.constant('message_start'), message: fc.record({ usage, model }) }),
  fc.record({ type: fc.constant('message_delta'), usage: messageUsage }),
  fc.record({ usageMetadata: metadata, modelVersion: model }),
  fc.record({ type: fc.constant('response.completed'), response: fc.record({ usage, id: fc.constant('r') }) }),
  some('prompt_eval_count', 'eval_count', 'tokens_evaluated', 'tokens_predicted'),
  fc.record({ meta: fc.record({ billed_units: some('input_tokens', 'output_tokens') }) }),
  fc.record({ choices: fc.array(fc.record({ usage }), { maxLength: 3 }) }),
  fc.record({ error: fc.constant({ message: 'x' }), usage }),
) // biome-ignore format: a table

function read(values: readonly unknown[]): Reported {
  const reading = createReading()
  for (const value of values) reading.take(value)
  return reading.usage()
}

const NUMBERS = ['input', 'output', 'cached', 'reasoning'] as const

/** Whether a number of the first is larger than in the second. What is a part of nothing known may yet turn out smaller. */
function shrinks(before: Reported, after: Reported): boolean {
  const fixed = NUMBERS.filter(
    (name) =>
      (name !== 'cached' || before.input !== undefined) &&
      (name !== 'reasoning' || before.output !== undefined),
  )
  return fixed.some((name) => (before[name] ?? -1) > (after[name] ?? -1))
}

describe('a report', () => {
  test('never shrinks, whatever comes after it', () => {
    fc.assert(
      fc.property(fc.array(report), (values) => {
        const reading = createReading()
        for (const value of values) {
          const before = reading.usage()
          reading.take(value)
          expect(shrinks(before, reading.usage())).toBe(false)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('has parts that are within the whole, and numbers that are exact', () => {
    fc.assert(
      fc.property(fc.array(report, { maxLength: 5 }), (values) => {
        const all = complete(read(values))
        if (!all) return
        const { input, output, cached, reasoning, parts = {} } = all
        const { cacheWritten5m = 0, cacheWritten1h = 0, audioInput = 0, imageInput = 0 } = parts
        const ofInput = cached + cacheWritten5m + cacheWritten1h + audioInput + imageInput
        expect(ofInput).toBeLessThanOrEqual(input)
        const ofOutput = reasoning + (parts.audioOutput ?? 0) + (parts.imageOutput ?? 0)
        expect(ofOutput).toBeLessThanOrEqual(output)
        for (const number of [input, output, cached, reasoning, ...Object.values(parts)])
          expect(Number.isSafeInteger(number) && number >= 0).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test('says the same when it is read twice', () => {
    fc.assert(
      fc.property(report, (value) => expect(read([value, value])).toEqual(read([value]))),
      { numRuns: 1000 },
    )
  })

  test('says the same whatever stands beside it, and by the members alone that are looked for', () => {
    const noise = fc.dictionary(
      fc.string({ maxLength: 6 }).map((name) => `x${name}`),
      fc.jsonValue({ maxDepth: 2 }),
    )
    const pick = picker(REPORT)
    fc.assert(
      fc.property(report, noise, noise, (value, before, after) => {
        const text = JSON.stringify({ ...before, ...value, ...after })
        const alone = read([JSON.parse(JSON.stringify(value))])
        expect(read([JSON.parse(text)])).toEqual(alone)
        expect(read([pick(text)])).toEqual(alone)
      }),
      { numRuns: 1000 },
    )
  })

  test('of running counts says the last, in whatever order its chunks are read', () => {
    const counts = fc.array(fc.tuple(count, count), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(counts, fc.boolean(), (pairs, isText) => {
        const [input, output] = [0, 1].map((i) => Math.max(...pairs.map((pair) => pair[i] ?? 0)))
        const of = (number = 0) => (isText ? `${number}` : number)
        const values = pairs.map(([prompt, completion]) => ({
          choices: [],
          usage: { prompt_tokens: of(prompt), completion_tokens: of(completion) },
        }))
        expect(read(values)).toEqual({ input: input ?? 0, output: output ?? 0 })
        expect(read(values.toReversed())).toEqual({ input: input ?? 0, output: output ?? 0 })
      }),
    )
  })
})

test('the responses of a realtime session are added up, each once, in any order', () => {
  const small = fc.integer({ min: 0, max: 1e6 })
  const responses = fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1 }), i: small, o: small }), {
    minLength: 1,
    selector: ({ id }) => id,
  })
  fc.assert(
    fc.property(responses, fc.infiniteStream(fc.nat(99)), (all, order) => {
      const again = [...order.take(20)].map((at) => all[at % all.length])
      const events = [...again, ...all, ...again].map((one) => ({
        type: 'response.done',
        response: { id: one?.id, usage: { input_tokens: one?.i, output_tokens: one?.o } },
      }))
      expect(read(events)).toEqual({
        input: all.reduce((sum, { i }) => sum + i, 0),
        output: all.reduce((sum, { o }) => sum + o, 0),
      })
    }),
  )
}) // biome-ignore format: rows

test('nothing throws, whatever is read', () => {
  const value = fc.oneof(
    fc.anything(),
    fc.jsonValue(),
    fc.record({ usage: fc.anything(), response: fc.anything(), message: fc.anything() }),
    fc.record({ choices: fc.anything(), error: fc.anything(), usageMetadata: fc.anything() }),
    fc.record({ usage: fc.record({ iterations: fc.anything(), billed_units: fc.anything() }) }),
  )
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), (values) => {
      const reading = createReading()
      for (const one of values) reading.take(one)
      for (const [name, number] of Object.entries(reading.usage()))
        if (NUMBERS.some((known) => known === name)) expect(number).toBeWithin(0, 1e12 + 1)
      reading.failed()
      for (const name of reading.unknown() ?? []) expect(name).toMatch(/^[\x21-\x7e]{1,64}$/)
    }),
    { numRuns: 1000 },
  )
})

test('whoever is not asked would have said nothing', () => {
  const members = [...new Set(DIALECTS.flatMap(({ members }) => members))]
  const inUsage = [...new Set(DIALECTS.flatMap(({ usageMembers = [] }) => usageMembers))]
  const named = fc.dictionary(fc.constantFrom(...members, 'type', 'task', 'model'), fc.anything(), {
    maxKeys: 4,
  })
  const strange = fc.dictionary(fc.constantFrom(...inUsage, 'output_tokens', 'x'), odd, {
    maxKeys: 4,
  })
  const answer = fc.oneof(
    report,
    fc.tuple(named, fc.oneof(usage, strange)).map(([rest, usage]) => ({ ...rest, usage })),
    fc.record({
      usage: fc.oneof(messageUsage, strange),
      type: fc.constantFrom('message_delta', 'response.done'),
    }),
    fc.record({ usage, data: fc.array(fc.record({ b64_json: fc.constant('') })) }),
  )
  const before = { input: 5, cached: 3, written: 9, output: 1 }
  fc.assert(
    fc.property(answer, (answer) => {
      const asked = askedBy(answer as Record<string, unknown>)
      for (const [index, { read, piece }] of DIALECTS.entries()) {
        if (asked & (1 << index)) continue
        expect([index, piece?.(answer) ?? null]).toEqual([index, null])
        expect([index, isNothing(read?.(answer, NOTHING) ?? NOTHING)]).toEqual([index, true])
        expect(merge(before, read?.(answer, before) ?? NOTHING)).toEqual(before)
      }
    }),
    { numRuns: 3000 },
  )
})
