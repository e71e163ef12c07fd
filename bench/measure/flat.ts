/** Whether a call costs the same when there are many keys, or many calls in the ledger. */

import { BARS, judge, type Verdict } from '../bars.ts'
import { DAYS } from '../data/dataset.ts'
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { envelope } from '../load/traffic.ts'
import type { Sample } from '../load/wrk.ts'
import { memory } from '../process-stats.ts'
import { barChart } from '../report/chart.ts'
import { ratios, type Spread, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startQuotaProxy } from '../servers/quota-proxy.ts'

const CONNECTIONS = 64

/** Keys of the small databases, and how many keys of a larger one are in use. */
const FEW = 10
const MANY = 1_000
/** No cache of a processor holds them. */
const MOST = 100_000

type Row = Subject & {
  readonly keys: number
  readonly calls: number
  readonly inUse: number
  readonly samples: readonly Sample[]
}

type Find = (keys: number, inUse: number, calls: number) => Row

export async function measureFlat(bench: Bench): Promise<Section> {
  const { keys, calls } = bench.settings
  const wanted = [
    { keys: FEW, calls: 0, inUse: [1, FEW] },
    { keys: MANY, calls: 0, inUse: [MANY] },
    { keys, calls: 0, inUse: [FEW, MANY, MOST] },
    { keys: MANY, calls, inUse: [FEW, MANY] },
  ]
  const started = []
  for (const { inUse, ...size } of wanted) started.push(await start(bench, size, inUse))
  const subjects = started.flatMap((one) => one.subjects)

  await warmUp(bench, subjects)
  const { seconds } = bench.settings
  const samples = await measureRounds(bench, subjects, { connections: CONNECTIONS, seconds })
  const rows = subjects.map((subject, i) => ({ ...subject, samples: samples[i] ?? [] }))
  const resident = new Map(rows.map(({ server }) => [server, memory(server.pid).residentMiB]))
  for (const { server } of started) await server.stop()
  return report(rows, (row) => resident.get(row.server) ?? 0)
}

async function start(
  { workspace, upstream, dataset }: Bench,
  size: { keys: number; calls: number },
  inUse: readonly number[],
) {
  const { dataDir, keysFile } = await dataset(size)
  const server = await startQuotaProxy(workspace, `${size.keys}-${size.calls}`, upstream, {
    DATA_DIR: dataDir,
    // What pruning costs is a question of its own.
    CALLS_MAX: '1000000000',
  })
  const subjects = inUse.map((used) => ({
    name: `${count(size.keys)} keys, ${count(used)} in use, ${count(size.calls)} calls`,
    server,
    traffic: { ...envelope(upstream), keysFile: keysFile(used) },
    ...size,
    inUse: used,
  }))
  return { server, subjects }
}

function report(rows: readonly Row[], residentMiB: (row: Row) => number): Section {
  const keys = Math.max(...rows.map((row) => row.keys))
  const find: Find = (exist, inUse, calls) => {
    const row = rows.find((one) => one.keys === exist && one.inUse === inUse && one.calls === calls)
    if (!row) throw new Error('a row is missing')
    return row
  }
  const reference = find(FEW, FEW, 0)
  const middle = (row: Row, pick: (sample: Sample) => number) =>
    spread(row.samples.map(pick)).median

  const figures = table(
    ['keys', 'in use', 'recorded', 'CPU µs/call', '× 10 keys', 'calls/s', 'p99 ms', 'MiB'],
    rows.map((row) => [
      count(row.keys),
      count(row.inUse),
      count(row.calls),
      withSpread(spread(cpu(row)), 1),
      withSpread(ratio(row, reference), 2),
      count(middle(row, (sample) => sample.perSecond)),
      middle(row, (sample) => sample.p99Ms).toFixed(2),
      residentMiB(row).toFixed(0),
    ]),
  )
  return {
    title: 'Many keys, many calls',
    markdown: `![CPU time of one call by the size of the database](flat.svg)\n\n${figures}\n\n${explain(keys)}`,
    verdicts: verdicts(find, keys, Math.max(...rows.map((row) => row.calls))),
    charts: { 'flat.svg': chart(rows) },
  }
}

function cpu(row: Row): number[] {
  return row.samples.map((sample) => sample.cpuUs)
}

function ratio(row: Row, to: Row): Spread {
  return spread(ratios(cpu(row), cpu(to)))
}

/** Like with like: the same number of keys in use on both sides, but for the worst case of all. */
function verdicts(find: Find, keys: number, calls: number): Verdict[] {
  const few = find(FEW, FEW, 0)
  const many = find(MANY, MANY, 0)
  const [all, used, recorded] = [keys, MANY, calls].map(count)
  const compare = (detail: string, row: Row, to: Row) => judge(BARS.flat, ratio(row, to), detail)
  return [
    judge(BARS.keysInUse, ratio(find(keys, MOST, 0), few)),
    compare(`${all} keys to ${FEW}, ${FEW} in use`, find(keys, FEW, 0), few),
    compare(`${all} keys to ${used}, ${used} in use`, find(keys, MANY, 0), many),
    compare(`${recorded} calls to none, ${FEW} keys in use`, find(MANY, FEW, calls), few),
    compare(`${recorded} calls to none, ${used} keys in use`, find(MANY, MANY, calls), many),
  ]
}

function explain(keys: number): string {
  return `Two things grow here. *How many keys exist* is the size of the tables, to be compared at the same number in use; the
keys in use are spread over the whole table, so in a large one each has pages of its own, which a small one shares.
*How many are in use at once* changes the work itself: calls of one key that arrive together share a statement. Each
call takes its key at random from those in use: with ${count(MOST)} of ${count(keys)}, hardly a call finds its key, its
counter or their pages where the one before left them.

Recorded calls are spread over all keys and ${DAYS} days, with their rollups; "none" is at the start. Rows with the same
keys and calls are of one process, so they share its memory. The files were in the page cache of the system.`
}

function chart(rows: readonly Row[]): string {
  return barChart({
    title: 'CPU time of one call by the size of the database',
    subtitle: 'microseconds, median of the rounds; the line is from the lowest to the highest',
    unit: 'µs',
    bars: rows.map((row) => {
      const { median, min, max } = spread(cpu(row))
      const calls = row.calls === 0 ? '' : `, ${short(row.calls)} calls`
      const label = `${short(row.keys)} keys, ${short(row.inUse)} in use${calls}`
      return { label, value: median, min, max, ours: true }
    }),
  })
}

function short(value: number): string {
  return value.toLocaleString('en-US', { notation: 'compact' })
}
