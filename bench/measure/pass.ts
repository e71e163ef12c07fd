/** What passing a call through to a named upstream costs, whole and streamed, and what counting its tokens adds. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { BODY, PATH, STREAMED_BODY } from '../load/traffic.ts'
import type { Sample } from '../load/wrk.ts'
import { ratios, type Spread, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import { type Bench, goal, type Section } from '../section.ts'
import { startBareProxy, startQuotaProxy } from '../servers.ts'
import type { Server } from '../workspace.ts'

const CONNECTIONS = 64

/** What the design allows. */
const METERING_RATIO_MAX = 1.15

type Row = Subject & { readonly samples: readonly Sample[] }

export async function measurePass(bench: Bench): Promise<Section> {
  const subjects = await start(bench)
  await warmUp(bench, subjects)
  const { seconds } = bench.settings
  const samples = await measureRounds(bench, subjects, { connections: CONNECTIONS, seconds })
  for (const server of new Set(subjects.map(({ server }) => server))) await server.stop()
  return report(subjects.map((subject, i) => ({ ...subject, samples: samples[i] ?? [] })))
}

async function start({ workspace, upstream, dataset }: Bench): Promise<readonly Subject[]> {
  const { dataDir, keysFile } = await dataset({ keys: 10, calls: 0 })
  const bare = await startBareProxy(workspace, upstream, 'stream')
  const ours = await startQuotaProxy(workspace, 'pass', upstream, { DATA_DIR: dataDir })
  for (const kind of ['none', 'tokens']) await addUpstream(ours, dataDir, upstream, kind)
  const keys = { keysFile: keysFile(10) }
  return [BODY, STREAMED_BODY].flatMap((body, i) => {
    const how = i === 0 ? 'whole' : 'streamed'
    const rest = PATH.slice('/v1'.length)
    return [
      { name: `bare proxy, ${how}`, server: bare, traffic: { path: PATH, body } },
      {
        name: `quota-proxy, ${how}`,
        server: ours,
        traffic: { path: `/u/none${rest}`, body, ...keys },
      },
      {
        name: `quota-proxy, ${how}, tokens counted`,
        server: ours,
        traffic: { path: `/u/tokens${rest}`, body, ...keys },
      },
    ]
  })
}

async function addUpstream(server: Server, dataDir: string, upstream: Server, kind: string) {
  const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
  const response = await fetch(`${server.url}/admin/upstreams`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: kind,
      base_url: `${upstream.url}/v1`,
      credential: { secret: 'sk-bench' },
      meter: { kind },
    }),
  })
  if (!response.ok) throw new Error(`the upstream was refused: ${await response.text()}`)
}

function report(rows: readonly Row[]): Section {
  const [bareWhole, plainWhole, countedWhole, bareStream, plainStream, countedStream] = rows
  if (!bareWhole || !plainWhole || !countedWhole || !bareStream || !plainStream || !countedStream)
    throw new Error('a subject is missing')
  const bareOf = (row: Row) => (rows.indexOf(row) < 3 ? bareWhole : bareStream)
  const what = 'Counting tokens'
  return {
    title: 'Passing through',
    markdown: `The same question through \`/u/{name}\`, answered whole, and as a stream of events:

${table(
  ['', 'CPU µs/call', '× bare', 'calls/s', 'p50 ms', 'p99 ms'],
  rows.map((row) => [
    row.name,
    withSpread(middle(row.samples, cpu), 1),
    withSpread(ratio(row, bareOf(row)), 2),
    count(middle(row.samples, (sample) => sample.perSecond).median),
    middle(row.samples, (sample) => sample.p50Ms).median.toFixed(2),
    middle(row.samples, (sample) => sample.p99Ms).median.toFixed(2),
  ]),
)}`,
    goals: [
      goal(`${what}, whole`, METERING_RATIO_MAX, ratio(countedWhole, plainWhole), ' ×'),
      goal(`${what}, streamed`, METERING_RATIO_MAX, ratio(countedStream, plainStream), ' ×'),
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
