/** The figures of bench/README.md are made by this code; a mistake in it would be published. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { asAskedRegularly } from '../../bench/load/probe.ts'
import { parseWrk } from '../../bench/load/wrk.ts'
import { readOptions } from '../../bench/options.ts'
import { parseTicks } from '../../bench/process-stats.ts'
import { barChart } from '../../bench/report/chart.ts'
import { differences, quantile, ratios, spread } from '../../bench/report/statistics.ts'
import { table } from '../../bench/report/table.ts'
import { goal } from '../../bench/section.ts'

const PARTS = ['call', 'flat', 'start', 'block']

const WRK_OUTPUT = `Running 2s test @ http://127.0.0.1:8787
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.30ms  812.00us  14.20ms   91.00%
    Req/Sec    27.90k     1.20k   30.11k    75.00%
  55801 requests in 2.00s, 24.05MB read
Requests/sec:  27887.45
Transfer/sec:     12.02MB
result {"requests":55801,"durationUs":2000936,"errors":0,"p50Us":2210,"p99Us":5120,"maxUs":14200}
`

test('the result of wrk is found in its output', () => {
  expect(parseWrk(WRK_OUTPUT)).toEqual({
    requests: 55801,
    durationUs: 2_000_936,
    errors: 0,
    p50Us: 2210,
    p99Us: 5120,
    maxUs: 14_200,
  })
})

test('output of wrk without a result is no result', () => {
  expect(parseWrk('unable to connect to 127.0.0.1:8787 Connection refused\n')).toBeNull()
})

test('CPU time is user and system time, whatever the process is called', () => {
  const rest = Array.from({ length: 38 }, () => '9').join(' ')
  expect(parseTicks(`42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 700 35 5 6 ${rest}`)).toBe(735)
})

test('the median is the middle value, and halfway between two', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
  expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 })
  expect(() => spread([])).toThrow()
})

test('a quantile has its share of the values on each side', () => {
  const values = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1 })
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
      const value = quantile(list, q)
      const place = (list.length - 1) * q
      expect(list.filter((one) => one < value).length).toBeLessThanOrEqual(Math.ceil(place))
      expect(list.filter((one) => one > value).length).toBeLessThanOrEqual(
        list.length - 1 - Math.floor(place),
      )
    }),
  )
})

test('a ratio is made within each round, so that a slow round does not count', () => {
  expect(spread(ratios([10, 30, 10], [5, 15, 5]))).toEqual({ median: 2, min: 2, max: 2 })
  expect(differences([3, 5], [1, 4])).toEqual([2, 1])
  expect(() => ratios([1, 2], [1])).toThrow()
})

test('a long wait counts for everybody who would have asked during it', () => {
  expect(asAskedRegularly(0.5)).toEqual([0.5])
  expect(asAskedRegularly(2)).toEqual([2])
  expect(asAskedRegularly(7)).toEqual([7, 5, 3, 1])
})

test('a target is missed when the median is beyond it, and only then', () => {
  const at = (median: number) => goal('a call', 1.25, { median, min: 1, max: 9 }, ' ×')
  expect(at(1.25)).toEqual({
    what: 'a call',
    target: '≤ 1.25 ×',
    value: '1.25 (1.00–9.00) ×',
    met: true,
  })
  expect(at(1.26).met).toBeFalse()
})

test('only a full run is published', () => {
  const published = (...args: string[]) => {
    const options = readOptions(args, PARTS)
    return options.kind === 'run' && options.published
  }
  expect(published()).toBeTrue()
  expect(published('--rounds', '7')).toBeTrue()
  expect(published('--quick')).toBeFalse()
  expect(published('--only', 'call')).toBeFalse()
})

test('options that cannot be meant are named', () => {
  const problem = (...args: string[]) => {
    const options = readOptions(args, PARTS)
    return options.kind === 'problem' ? options.problem : null
  }
  expect(problem('--only', 'call,speed')).toContain('"speed"')
  expect(problem('--rounds', '0')).toContain('--rounds')
  expect(problem('--seconds', '1.5')).toContain('--seconds')
  expect(problem('--fast')).toContain('--fast')
  expect(problem('--only', 'call,flat', '--seconds', '3')).toBeNull()
})

test('the columns of a table line up', () => {
  expect(
    table(
      ['', 'µs'],
      [
        ['nginx', '15.7'],
        ['quota-proxy', '103.7'],
      ],
    ),
  ).toBe(
    [
      '|             |    µs |',
      '| ----------- | ----: |',
      '| nginx       |  15.7 |',
      '| quota-proxy | 103.7 |',
    ].join('\n'),
  )
})

test('bars are as long as their values, and nothing in a chart is markup by accident', () => {
  const bars = [
    { label: 'a < b & c', value: 20, min: 18, max: 30 },
    { label: 'ours', value: 40, min: 39, max: 50, ours: true },
  ]
  const svg = barChart({ title: 'One & all', subtitle: '', unit: 'µs', bars })
  const [, short, long] = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, w]) =>
    Number(w),
  )
  expect(long).toBe(2 * (short ?? 0))
  expect(svg).toContain('>a &lt; b &amp; c</text>')
  expect(svg).toContain('>One &amp; all</title>')
})
