/** Sums of all keys by spans of time, key, upstream, model and tag, compared with sums taken call by call. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { NOT_METERED } from '../../src/domain/call.ts'
import type { UsageDimension, UsageFilter } from '../../src/domain/usage.ts'
import { spansOf } from '../../src/modules/usage/spans.ts'
import {
  addKey,
  current,
  ONE,
  openTestStore,
  READ_ENGINES,
  type TestKey,
  type TestStore,
} from '../support/store.ts'

const START = Date.UTC(2026, 2, 28)
const HOUR = 3_600_000

type Call = {
  readonly at: number
  readonly key: number
  readonly upstream: string
  readonly model: string | null
  readonly tokens: number
}

const TAGS = [['a', 'b'], ['b'], []]

async function make(store: TestStore, key: TestKey, call: Call): Promise<void> {
  const { at, upstream, model, tokens } = call
  const reservation = await store.ledger.reserve({
    ...{ key: await current(store, key), at, upstream, requestId: 'req_1', units: ONE },
  })
  if (!reservation.ok) throw new Error('refused')
  const charged = { ...ONE, tokens }
  const rest = { outcome: 'answered', status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 } as const
  const metered = { ...NOT_METERED, model, estimated: tokens % 2 === 1 }
  await store.ledger.settle(reservation.hold, { ...rest, charged, metered })
}

const calls = fc.array(
  fc.record({
    at: fc.integer({ min: 0, max: 96 * 4 }).map((quarter) => START + (quarter * HOUR) / 4),
    key: fc.integer({ min: 0, max: 2 }),
    upstream: fc.constantFrom('', 'one', 'two'),
    model: fc.constantFrom(null, 'small', 'large'),
    tokens: fc.integer({ min: 0, max: 9 }),
  }),
  { maxLength: 40 },
)

const question = fc.record({
  by: fc.constantFrom<(UsageDimension | null)[]>(null, 'key', 'upstream', 'model', 'tag'),
  span: fc.constantFrom('hour' as const, 'day' as const, 'month' as const),
  zone: fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Shanghai'),
  filter: fc.record({
    upstream: fc.option(fc.constant('one'), { nil: undefined }),
    model: fc.option(fc.constant('small'), { nil: undefined }),
    tag: fc.option(fc.constant('b'), { nil: undefined }),
  }),
})

function valuesOf(call: Call, by: UsageDimension | null): string[] {
  if (by === null) return ['']
  if (by === 'key') return [`key ${call.key}`]
  if (by === 'tag') return TAGS[call.key]?.length ? (TAGS[call.key] ?? []) : ['']
  return [call[by] ?? '']
}

function fits({ upstream, model, tag }: UsageFilter, call: Call): boolean {
  return (
    (upstream === undefined || call.upstream === upstream) &&
    (model === undefined || call.model === model) &&
    (tag === undefined || (TAGS[call.key] ?? []).includes(tag))
  )
}

test.each(READ_ENGINES)('every sum is that of its calls: %s', async (engine) => {
  await fc.assert(
    fc.asyncProperty(calls, question, async (made, { by, span, zone, filter }) => {
      const store = await openTestStore(engine)
      const keys: TestKey[] = []
      for (const tags of TAGS) keys.push(await addKey(store, [{}], 0, { tags }))
      for (const call of made) await make(store, keys[call.key] as TestKey, call)
      const range = { from: START, to: START + 96 * HOUR + 1 }
      const spans = spansOf(span, range, zone)
      const groups = await store.reads('operator').usage.groups(filter, spans, by)
      const expected = new Map<string, number[]>()
      for (const call of made.filter((one) => fits(filter, one))) {
        // What is kept are hours, which belong to the span that they begin in.
        const hour = call.at - (call.at % HOUR)
        const from = spans.find((one) => hour >= one.from && hour < one.to)?.from
        for (const value of valuesOf(call, by)) {
          const place = `${from} ${value}`
          const [n = 0, tokens = 0, estimated = 0] = expected.get(place) ?? []
          expected.set(place, [n + 1, tokens + call.tokens, estimated + (call.tokens % 2)])
        }
      }
      const shown = groups.map(({ from, value, key, calls: n, tokens, estimated }) => {
        const name = key ? `key ${keys.findIndex(({ id }) => id === key.id)}` : value
        return [`${from} ${name}`, [n, tokens, estimated]] as [string, number[]]
      })
      expect(new Map(shown)).toEqual(expected)
      expect(shown.length).toBe(expected.size)
      await store.close()
    }),
    { numRuns: 12 },
  )
})
