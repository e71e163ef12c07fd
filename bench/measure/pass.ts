/** What passing a call through a mount costs: a POST and a GET, whole and streamed, with and without counted tokens. */
import { BARS, judge } from '../bars.ts'
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { BODY, PATH, STREAMED_BODY } from '../load/traffic.ts'
import type { Sample } from '../load/wrk.ts'
import { ratios, type Spread, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startBareProxy } from '../servers/baseline.ts'
import { mountChat, startQuotaProxy } from '../servers/quota-proxy.ts'

const CONNECTIONS = 64

/** The path of the API without its version, which is in the base URL of the upstreams. */
const REST = PATH.slice('/v1'.length)

/** `to` is the name of the row that it is compared with. */
type Passing = Subject & { readonly to: string }
type Row = Passing & { readonly samples: readonly Sample[] }

const BARE_WHOLE = 'bare proxy, reads first'
const BARE_STREAMED = 'bare proxy, streamed'
const BARE_GET = 'bare proxy, GET'
const OURS_WHOLE = 'quota-proxy'
const OURS_TOKENS = 'quota-proxy, tokens counted'
const OURS_STREAMED = 'quota-proxy, streamed, tokens counted'
const OURS_GET = 'quota-proxy, GET'

export async function measurePass(bench: Bench): Promise<Section> {
  const subjects = await start(bench)
  await warmUp(bench, subjects)
  const { seconds } = bench.settings
  const samples = await measureRounds(bench, subjects, { connections: CONNECTIONS, seconds })
  for (const server of new Set(subjects.map(({ server }) => server))) await server.stop()
  return report(subjects.map((subject, i) => ({ ...subject, samples: samples[i] ?? [] })))
}

async function start({ workspace, upstream, dataset }: Bench): Promise<readonly Passing[]> {
  const { dataDir, keysFile } = await dataset({ keys: 10, calls: 0 })
  const bare = await startBareProxy(workspace, upstream, 'stream')
  const readsFirst = await startBareProxy(workspace, upstream, 'read-first')
  const ours = await startQuotaProxy(workspace, 'pass', upstream, { DATA_DIR: dataDir })
  const plain = (await mountChat(ours, dataDir, upstream, 'none')) + REST
  const tokens = (await mountChat(ours, dataDir, upstream, 'tokens')) + REST
  const post = { body: BODY }
  const streamed = { body: STREAMED_BODY }
  const row = (
    name: string,
    server: Subject['server'],
    to: string,
    traffic: Subject['traffic'],
  ) => ({
    ...{ name, server, to },
    traffic: server === ours ? { ...traffic, keysFile: keysFile(10) } : traffic,
  })
  return [
    row(BARE_WHOLE, readsFirst, BARE_WHOLE, { path: PATH, ...post }),
    row(OURS_WHOLE, ours, BARE_WHOLE, { path: plain, ...post }),
    row(OURS_TOKENS, ours, BARE_WHOLE, { path: tokens, ...post }),
    row(BARE_STREAMED, bare, BARE_STREAMED, { path: PATH, ...streamed }),
    row('quota-proxy, streamed', ours, BARE_STREAMED, { path: plain, ...streamed }),
    row(OURS_STREAMED, ours, BARE_STREAMED, { path: tokens, ...streamed }),
    row(BARE_GET, bare, BARE_GET, { path: PATH }),
    row(OURS_GET, ours, BARE_GET, { path: plain }),
  ]
}

function report(rows: readonly Row[]): Section {
  const find = (name: string) => {
    const row = rows.find((one) => one.name === name)
    if (!row) throw new Error(`the row "${name}" is missing`)
    return row
  }
  const toBare = (row: Row) => ratio(row, find(row.to))
  return {
    title: 'Through a mount',
    markdown: `The same question to an upstream with a mount, answered whole, and as a stream of events; and a GET:

${table(
  ['', 'CPU µs/call', '× bare', 'calls/s', 'p50 ms', 'p99 ms'],
  rows.map((row) => [
    row.name,
    withSpread(middle(row.samples, cpu), 1),
    withSpread(toBare(row), 2),
    count(middle(row.samples, (sample) => sample.perSecond).median),
    middle(row.samples, (sample) => sample.p50Ms).median.toFixed(2),
    middle(row.samples, (sample) => sample.p99Ms).median.toFixed(2),
  ]),
)}

Each is compared with the bare proxy above it. That keeps its connections to the upstream, for a GET as well.`,
    verdicts: [
      judge(BARS.mountPost, toBare(find(OURS_WHOLE))),
      judge(BARS.mountTokens, toBare(find(OURS_TOKENS))),
      judge(BARS.mountStream, toBare(find(OURS_STREAMED))),
      judge(BARS.mountGet, toBare(find(OURS_GET))),
    ],
    charts: {},
  }
}

function cpu(sample: Sample): number {
  return sample.cpuUs
}

function ratio(row: Row, to: Row): Spread {
  return spread(ratios(row.samples.map(cpu), to.samples.map(cpu)))
}

function middle(samples: readonly Sample[], pick: (sample: Sample) => number): Spread {
  return spread(samples.map(pick))
}
