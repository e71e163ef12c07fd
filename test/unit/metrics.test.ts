/** What the metrics keep in plain numbers, and the text that they are written as. */
import { expect, test } from 'bun:test'
import { createCallCounts } from '../../src/modules/metrics/calls.ts'
import { type Metric, writeExposition } from '../../src/modules/metrics/exposition.ts'
import { createHistogram } from '../../src/modules/metrics/histogram.ts'
import { createKeyCalls } from '../../src/modules/metrics/key-calls.ts'
import { createLag } from '../../src/modules/metrics/lag.ts'
import { parseMetrics } from '../support/metrics.ts'

const PERIOD_MS = 100

test('a histogram counts a value under every bound that it does not exceed', () => {
  const bounds = [1, 2, 5, 10, 20, 50, 100]
  const values = [0, 1, 1.5, 2, 2.1, 5, 9, 10, 11, 99, 100, 101, 1e9]
  const histogram = createHistogram(bounds, { upstream: 'api' })
  for (const value of values) histogram.observe(value)
  const expected = [...bounds, Number.POSITIVE_INFINITY].map((bound) => [
    bound === Number.POSITIVE_INFINITY ? '+Inf' : bound,
    values.filter((value) => value <= bound).length,
  ])
  const samples = histogram.read()
  const buckets = samples.filter(({ suffix }) => suffix === '_bucket')
  expect(buckets.map(({ labels, value }) => [labels['le'], value])).toEqual(expected as never)
  expect(samples.slice(-2)).toEqual([
    { suffix: '_sum', labels: { upstream: 'api' }, value: values.reduce((a, b) => a + b) },
    { suffix: '_count', labels: { upstream: 'api' }, value: values.length },
  ])
})

test('the lag is that of the last minute: its median, its worst hundredth and its worst', () => {
  const lag = createLag()
  expect([0.5, 0.99, 1].map((share) => lag.quantile(share, 0))).toEqual([0, 0, 0])
  for (let n = 1; n <= 200; n++) lag.observe(n * PERIOD_MS, n)
  const now = 200 * PERIOD_MS
  expect([0.5, 0.99, 1].map((share) => lag.quantile(share, now))).toEqual([100, 198, 200])
  // A minute later only the newest one of them is still within it.
  expect(lag.quantile(0.5, now + 60_000)).toBe(200)
  expect(lag.quantile(1, now + 60_001)).toBe(0)
  expect([lag.count, lag.sumMs]).toEqual([200, 20_100])
})

test('a pause is forgotten after a minute, though the process has been running for an hour', () => {
  const lag = createLag()
  const periods = 36_000
  for (let n = 0; n < periods; n++) lag.observe(n * PERIOD_MS, n === periods - 599 ? 500 : 1)
  const now = periods * PERIOD_MS
  expect(lag.quantile(1, now)).toBe(500)
  lag.observe(now, 1)
  lag.observe(now + PERIOD_MS, 1)
  expect(lag.quantile(1, now + PERIOD_MS)).toBe(1)
})

test('whatever a label says, the text is what Prometheus reads', async () => {
  const labels = { upstream: 'a"b\\c\nd', code: '' }
  const metrics: Metric[] = [
    { name: 'quota_proxy_calls_total', read: () => [{ labels, value: 1 }] },
    { name: 'quota_proxy_holds_open', read: async () => [] },
    {
      name: 'quota_proxy_buffer_bytes',
      read: () => [{ labels: {}, value: Number.POSITIVE_INFINITY }],
    },
  ]
  const text = await writeExposition(metrics)
  expect(text).toContain('\nquota_proxy_calls_total{upstream="a\\"b\\\\c\\nd",code=""} 1\n')
  expect(text).toEndWith('\nquota_proxy_buffer_bytes +Inf\n')
  const { families } = parseMetrics(text)
  expect(families.map(({ name, type, series }) => [name, type, series.length])).toEqual([
    ['quota_proxy_calls_total', 'counter', 1],
    ['quota_proxy_holds_open', 'gauge', 0],
    ['quota_proxy_buffer_bytes', 'gauge', 1],
  ])
})

test('calls that end alike are counted together, and no others', async () => {
  const units = { requests: 1, tokens: 0, cost: 0 }
  const sums = { latencyMs: 2, upstreamMs: 1, reserved: units, charged: units, estimated: false }
  const call = { keyId: null, ...sums }
  const calls = createCallCounts(() => 0)
  const ends = [
    { upstream: 'a', outcome: 'answered', code: null, status: 200, estimated: false },
    { upstream: 'a', outcome: 'answered', code: null, status: 204 },
    { upstream: 'a', outcome: 'answered', code: null, status: 404 },
    { upstream: 'b', outcome: 'answered', code: null, status: 200 },
    { upstream: 'a', outcome: 'refused', code: 'invalid_api_key', status: 401 },
    { upstream: 'a', outcome: 'refused', code: 'overloaded', status: 429 },
  ]
  for (const end of ends) calls.count({ ...call, ...end })
  const total = calls.metrics.find(({ name }) => name === 'quota_proxy_calls_total')
  const samples = (await total?.read()) ?? []
  expect(
    samples.map(({ labels, value }) => `${Object.values(labels).join(' ')} ${value}`).toSorted(),
  ).toEqual([
    'a answered  2xx 2',
    'a answered  4xx 1',
    'a refused invalid_api_key 4xx 1',
    'a refused overloaded 4xx 1',
    'b answered  2xx 1',
  ])
})

test('an upstream that is gone has no series any more, and comes back from zero', async () => {
  const units = { requests: 1, tokens: 0, cost: 0 }
  const end = { keyId: null, latencyMs: 2, upstreamMs: 1, outcome: 'answered', code: null, status: 200 }
  const calls = createCallCounts(() => 0)
  const names = Array.from({ length: 60 }, (_, i) => `u${i}`)
  const count = (upstream: string) => calls.count({ ...end, upstream, reserved: units, charged: units, estimated: false })
  const series = async () => (await Promise.all(calls.metrics.map(({ read }) => read()))).flat()
  count('')
  const before = (await series()).length
  for (const name of names) count(name)
  expect((await series()).length).toBeGreaterThan(before + 60 * 50)
  calls.keepOnly(['u7'])
  const kept = new Set((await series()).map(({ labels }) => labels['upstream']))
  expect(kept).toEqual(new Set(['', 'u7']))
  calls.keepOnly([])
  expect((await series()).length).toBe(before)
  // A call that ends later than its upstream.
  count('u7')
  const total = calls.metrics.find(({ name }) => name === 'quota_proxy_calls_total')
  expect((await total?.read())?.find(({ labels }) => labels['upstream'] === 'u7')?.value).toBe(1)
  calls.keepOnly([])
  expect((await series()).length).toBe(before)
}) // biome-ignore format: long lines

test('only so many keys have series of their own as are set, and fewer after it is lowered', async () => {
  let max = 2
  const keyCalls = createKeyCalls(() => max)
  const read = async () =>
    (await keyCalls.metric.read()).map(({ labels, value }) => [labels['key'], value])
  for (const key of ['a', 'b', 'c', 'd', 'a']) keyCalls.count(key, 'answered')
  expect(await read()).toEqual([
    ['a', 2],
    ['b', 1],
    ['other', 2],
  ])
  max = 1
  for (const key of ['b', 'a']) keyCalls.count(key, 'answered')
  expect(await read()).toEqual([
    ['b', 1],
    ['other', 1],
  ])
  max = 0
  keyCalls.count('b', 'answered')
  expect(await read()).toEqual([])
})
