/** What a call by envelope costs, beside proxies that do nothing else. */
import { BARS, judge } from '../bars.ts'
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { BODY, envelope, PATH } from '../load/traffic.ts'
import type { Sample } from '../load/wrk.ts'
import { memory } from '../process-stats.ts'
import { differences, ratios, type Spread, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startBareProxy } from '../servers/baseline.ts'
import { startQuotaProxy } from '../servers/quota-proxy.ts'

const FULL = 64
const LOW = 1

export async function measureCall(bench: Bench): Promise<Section> {
  const subjects = await start(bench)
  await warmUp(bench, subjects)
  bench.say(`  ${FULL} connections`)
  const { seconds } = bench.settings
  const full = await measureRounds(bench, subjects, { connections: FULL, seconds })
  bench.say(`  ${LOW} connection`)
  const low = await measureRounds(bench, subjects, { connections: LOW, seconds })
  const rows = subjects.map((subject, i) => ({
    ...subject,
    full: full[i] ?? [],
    low: low[i] ?? [],
    memory: memory(subject.server.pid),
  }))
  for (const { server } of subjects) await server.stop()
  return report(rows)
}

async function start({ workspace, upstream, dataset }: Bench): Promise<readonly Subject[]> {
  const { dataDir, keysFile } = await dataset({ keys: 10, calls: 0 })
  const plain = { path: PATH, body: BODY }
  return [
    {
      name: 'bare proxy',
      server: await startBareProxy(workspace, upstream, 'stream'),
      traffic: plain,
    },
    {
      name: 'bare proxy, reads first',
      server: await startBareProxy(workspace, upstream, 'read-first'),
      traffic: plain,
    },
    {
      name: 'quota-proxy, envelope',
      server: await startQuotaProxy(workspace, 'call', upstream, { DATA_DIR: dataDir }),
      traffic: { ...envelope(upstream), keysFile: keysFile(10) },
    },
  ]
}

type Pick = (sample: Sample) => number

type Row = Subject & {
  readonly full: readonly Sample[]
  readonly low: readonly Sample[]
  readonly memory: { readonly residentMiB: number; readonly peakMiB: number }
}

function report(rows: readonly Row[]): Section {
  const [bare, bodyFirst, ours] = rows
  if (!bare || !bodyFirst || !ours) throw new Error('a server is missing')
  const added = (pick: Pick) => spread(differences(ours.low.map(pick), bare.low.map(pick)))
  const p50 = added((sample) => sample.p50Ms)
  const p99 = added((sample) => sample.p99Ms)
  return {
    title: 'An envelope',
    markdown: `${FULL} connections, as fast as the answers come:

${fullTable(rows, bare, bodyFirst)}

${LOW} connection, so that no call waits for another:

${lowTable(rows)}

quota-proxy adds ${withSpread(p50, 3)} ms at p50 and ${withSpread(p99, 3)} ms at p99 to the bare proxy.

The *bare proxy* is \`fetch(upstream, { method, headers, body })\` in a \`Bun.serve\`. Handing on the request's stream costs Bun
more than reading a small body first, so there is one of each; quota-proxy reads it. Neither looks at keys, counts, or
writes anything.`,
    verdicts: [
      judge(BARS.envelope, ratio(ours, bodyFirst)),
      judge(BARS.addedP50, p50),
      judge(BARS.addedP99, p99),
    ],
    charts: {},
  }
}

function fullTable(rows: readonly Row[], bare: Row, bodyFirst: Row): string {
  return table(
    ['', 'CPU µs/call', '× bare', '× reads first', 'calls/s', 'p50 ms', 'p99 ms', 'MiB', 'peak'],
    rows.map((row) => [
      row.name,
      withSpread(middle(row.full, cpu), 1),
      withSpread(ratio(row, bare), 2),
      withSpread(ratio(row, bodyFirst), 2),
      count(middle(row.full, (sample) => sample.perSecond).median),
      middle(row.full, (sample) => sample.p50Ms).median.toFixed(2),
      middle(row.full, (sample) => sample.p99Ms).median.toFixed(2),
      row.memory.residentMiB.toFixed(0),
      row.memory.peakMiB.toFixed(0),
    ]),
  )
}

function lowTable(rows: readonly Row[]): string {
  return table(
    ['', 'p50 ms', 'p99 ms'],
    rows.map(({ name, low }) => {
      const p50 = middle(low, (sample) => sample.p50Ms)
      const p99 = middle(low, (sample) => sample.p99Ms)
      return [name, withSpread(p50, 3), withSpread(p99, 3)]
    }),
  )
}

function cpu(sample: Sample): number {
  return sample.cpuUs
}

function ratio(row: Row, to: Row): Spread {
  return spread(ratios(row.full.map(cpu), to.full.map(cpu)))
}

function middle(samples: readonly Sample[], pick: Pick): Spread {
  return spread(samples.map(pick))
}
