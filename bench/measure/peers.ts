/** What a call through quota-proxy costs beside one through programs that others run in its place, or would have to extend. */
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { BODY, PATH } from '../load/traffic.ts'
import type { Sample } from '../load/wrk.ts'
import { caddy } from '../peers/caddy.ts'
import { haproxy } from '../peers/haproxy.ts'
import { litellm } from '../peers/litellm.ts'
import { nginx, nginxLua } from '../peers/nginx.ts'
import type { Peer, PeerSetup } from '../peers/peer.ts'
import { portkey } from '../peers/portkey.ts'
import { memory } from '../process-stats.ts'
import { barChart } from '../report/chart.ts'
import { ratios, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startBareProxy } from '../servers/baseline.ts'
import { mountChat, startQuotaProxy } from '../servers/quota-proxy.ts'

const PEERS: readonly Peer[] = [nginx, haproxy, caddy, nginxLua, portkey, litellm]

/**
 * The calls that are under way when wrk stops have cost time and are not counted; of one that takes ten milliseconds of CPU
 * more would be too many.
 */
const CONNECTIONS = 16

/** A bar may be so many times as long as that of the bare proxy; then it is cut off, or the others could not be told apart. */
const BARS_MAX = 8

/** As much as a reason needs. */
const LINE_CHARS_MAX = 200

type Row = {
  readonly name: string
  readonly note: string
  readonly ours: boolean
  readonly samples: readonly Sample[]
  readonly residentMiB: number
}
type Entry = Subject & Pick<Row, 'note' | 'ours'>
type Skip = { readonly name: string; readonly reason: string }

export async function measurePeers(bench: Bench): Promise<Section> {
  const skipped: Skip[] = []
  const skip = ({ name }: { name: string }, error: unknown) => {
    const reason = summary(error)
    bench.say(`  ${name} is skipped: ${reason}`)
    skipped.push({ name, reason })
  }
  const own = await startOwn(bench)
  const subjects = [...own, ...(await startPeers(bench, skip))]
  const isOut = ({ name }: Subject) => skipped.some((one) => one.name === name)
  const onFailure = (subject: Subject, error: unknown) => {
    // Without what they are compared with, the others say nothing.
    if (own.some(({ name }) => name === subject.name)) throw error
    skip(subject, error)
  }
  await warmUp(bench, subjects, onFailure)
  const load = { connections: CONNECTIONS, seconds: bench.settings.seconds }
  const left = subjects.filter((subject) => !isOut(subject))
  const samples = await measureRounds(bench, left, load, onFailure)
  const rows = left
    .map((entry, i) => ({ ...entry, samples: samples[i] ?? [] }))
    .filter((row) => !isOut(row))
    .map((row) => ({ ...row, residentMiB: memory(row.server.pid).residentMiB }))
  for (const server of new Set(subjects.map(({ server }) => server))) await server.stop()
  return report(rows, skipped)
}

async function startOwn({ workspace, upstream, dataset }: Bench): Promise<Entry[]> {
  const { dataDir, keysFile } = await dataset({ keys: 10, calls: 0 })
  const bare = await startBareProxy(workspace, upstream, 'read-first')
  const ours = await startQuotaProxy(workspace, 'peers', upstream, { DATA_DIR: dataDir })
  const through = async (meter: 'none' | 'tokens') => {
    const path = (await mountChat(ours, dataDir, upstream, meter)) + PATH.slice('/v1'.length)
    return { server: ours, ours: true, traffic: { path, body: BODY, keysFile: keysFile(10) } }
  }
  const note = 'A `Bun.serve` with a `fetch`, which reads the body first.'
  return [
    {
      ...{ name: 'bare proxy', note, ours: false, server: bare },
      traffic: { path: PATH, body: BODY },
    },
    {
      ...(await through('none')),
      name: 'quota-proxy',
      note: 'Looks a key up, charges on disk, refuses, refunds, keeps a ledger and sums, writes a log.',
    },
    {
      ...(await through('tokens')),
      name: 'quota-proxy, tokens counted',
      note: 'The same, and settles by what the answer reports.',
    },
  ]
}

async function startPeers(
  { workspace, upstream, settings, dataset }: Bench,
  skip: (peer: Peer, error: unknown) => void,
): Promise<Entry[]> {
  const { keysFile } = await dataset({ keys: 10, calls: 0 })
  const setup: PeerSetup = {
    ...{ workspace, upstream, keysFile: keysFile(10), install: settings.peers },
    say: (line) => console.error(line),
  }
  const entries: Entry[] = []
  for (const peer of PEERS) {
    try {
      const started = await peer.start(setup)
      if (started.ok) {
        const { label, server, traffic } = started
        entries.push({ name: label, note: peer.note, ours: false, server, traffic })
      } else skip(peer, started.reason)
    } catch (error) {
      skip(peer, error)
    }
  }
  return entries
}

function report(rows: readonly Row[], skipped: readonly Skip[]): Section {
  const bare = rows[0]
  if (!bare) throw new Error('the bare proxy is missing')
  const sorted = rows.toSorted((a, b) => median(a, cpu) - median(b, cpu))
  return {
    title: 'Beside others',
    markdown: `![CPU time of one call](cpu-per-call.svg)

One question, answered whole, over ${CONNECTIONS} connections; every program has one worker:

${table(
  ['', 'CPU µs/call', '× bare', 'calls/s', 'p50 ms', 'p99 ms', 'MiB'],
  sorted.map((row) => [
    row.name,
    withSpread(spread(row.samples.map(cpu)), 1),
    withSpread(spread(ratios(row.samples.map(cpu), bare.samples.map(cpu))), 2),
    count(median(row, (sample) => sample.perSecond)),
    median(row, (sample) => sample.p50Ms).toFixed(2),
    median(row, (sample) => sample.p99Ms).toFixed(2),
    row.residentMiB.toFixed(0),
  ]),
)}

What each of them does with a call:

${sorted.map(({ name, note }) => `- ${name}: ${note}`).join('\n')}
${skipped.map(({ name, reason }) => `- ${name}: not measured. ${reason}`).join('\n')}`.trimEnd(),
    verdicts: [],
    charts: { 'cpu-per-call.svg': chart(sorted, median(bare, cpu)) },
  }
}

function cpu({ cpuUs }: Sample): number {
  return cpuUs
}

function median({ samples }: Row, pick: (sample: Sample) => number): number {
  return spread(samples.map(pick)).median
}

/** What it is and where it ends: between the two a program may have said much. */
function summary(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const ends = lines.length > 1 ? [lines.at(0), lines.at(-1)] : lines
  return ends.map((line) => line?.trim().slice(0, LINE_CHARS_MAX)).join(' ')
}

function chart(rows: readonly Row[], bareUs: number): string {
  return barChart({
    title: 'CPU time of one call',
    subtitle: 'microseconds, median of the rounds; the line is from the lowest to the highest',
    unit: 'µs',
    cutAt: BARS_MAX * bareUs,
    bars: rows.map((row) => {
      const { median, min, max } = spread(row.samples.map(cpu))
      return { label: row.name, value: median, min, max, ours: row.ours }
    }),
  })
}
