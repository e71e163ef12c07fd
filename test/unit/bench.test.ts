/** The figures of bench/README.md are made by this code; a mistake in it would be published. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { BARS, judge } from '../../bench/bars.ts'
import { asAskedRegularly } from '../../bench/load/probe.ts'
import { luaScript, parseWrk } from '../../bench/load/wrk.ts'
import { readOptions, usage } from '../../bench/options.ts'
import { PARTS } from '../../bench/parts.ts'
import { cpuUs, parseTicks } from '../../bench/process-stats.ts'
import { barChart } from '../../bench/report/chart.ts'
import { renderBars } from '../../bench/report/page.ts'
import { differences, quantile, ratios, spread } from '../../bench/report/statistics.ts'
import { table } from '../../bench/report/table.ts'

const KNOWN = ['call', 'flat', 'start', 'block']

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

const RATIO = { part: 'call', what: 'a call', max: 1.25, unit: ' ×', digits: 2 }

test('a bar is missed when the median is beyond it, and only then', () => {
  const at = (median: number) => judge(RATIO, { median, min: 1, max: 9 }, 'at night')
  expect(at(1.25)).toEqual({
    part: 'call',
    what: 'a call, at night',
    bar: '≤ 1.25 ×',
    measured: '1.25 (1.00–9.00) ×',
    reached: true,
  })
  expect(at(1.26).reached).toBeFalse()
})

test('what is worth reaching beyond a bar stands beside it, and decides nothing', () => {
  const verdict = judge({ ...RATIO, aim: 1.1 }, { median: 1.2, min: 1, max: 2 })
  expect(verdict.bar).toBe('≤ 1.25 ×, aim 1.1 ×')
  expect(verdict.reached).toBeTrue()
})

test('every bar can be measured by itself', () => {
  const known = Object.keys(PARTS)
  expect(Object.values(BARS).filter(({ part }) => !known.includes(part))).toEqual([])
  for (const part of known) expect(usage(known)).toContain(part)
})

test('the table of bars tells which are not reached, and how many', () => {
  const verdicts = [1, 2].map((median) => judge(RATIO, { median, min: 1, max: 2 }))
  const shown = renderBars([{ title: '', markdown: '', verdicts, charts: {} }])
  expect(shown).toMatch(
    /^\| a call +\| +call \| +≤ 1\.25 × \| +1\.00 \(1\.00–2\.00\) × \| +yes \|$/m,
  )
  expect(shown).toMatch(/2\.00 \(1\.00–2\.00\) × \| +\*\*no\*\* \|$/m)
  expect(shown).toContain('1 of 2 are not reached.')
})

test('CPU time is that of all that a process has started, however deep', async () => {
  const busy = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read line'
  const child = Bun.spawn(['bash', '-c', `(bash -c '${busy}'; true); true`], {
    stdin: 'pipe',
    stdout: 'pipe',
  })
  for await (const _ of child.stdout) break
  const usedUs = cpuUs(child.pid)
  child.stdin.write('\n')
  child.stdin.end()
  await child.exited
  expect(usedUs).toBeGreaterThanOrEqual(50_000)
})

test('a call with a body is a POST, without one a GET, and carries its headers', () => {
  const post = luaScript({ path: '/a', body: '{}', headers: { 'x-one': 'two' } })
  expect(post).toContain("wrk.method = 'POST'")
  expect(post).toContain('wrk.headers[ [==[x-one]==] ] = [==[two]==]')
  const get = luaScript({ path: '/a' })
  expect(get).not.toMatch(/wrk\.method|wrk\.body|Content-Type/)
})

test('only a full run is published', () => {
  const published = (...args: string[]) => {
    const options = readOptions(args, KNOWN)
    return options.kind === 'run' && options.published
  }
  expect(published()).toBeTrue()
  expect(published('--rounds', '7')).toBeTrue()
  expect(published('--peers')).toBeTrue()
  expect(published('--quick')).toBeFalse()
  expect(published('--only', 'call')).toBeFalse()
})

test('options that cannot be meant are named', () => {
  const problem = (...args: string[]) => {
    const options = readOptions(args, KNOWN)
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

test('a bar beyond the cut is drawn no longer than the cut, with a gap, and says its value', () => {
  const bars = [
    { label: 'short', value: 20, min: 18, max: 30 },
    { label: 'long', value: 9_000, min: 8_000, max: 9_500 },
  ]
  const svg = barChart({ title: '', subtitle: '', unit: 'µs', bars, cutAt: 40 })
  const [, short, long] = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, w]) =>
    Number(w),
  )
  expect(long).toBe(2 * (short ?? 0))
  expect(svg.match(/class="gap"/g)).toHaveLength(1)
  expect(svg).toContain('>9,000 µs</text>')
})
