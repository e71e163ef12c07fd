/** How long the event loop is away: while old calls are pruned from a large ledger, and while SQLite checkpoints its log. */
import { Database } from 'bun:sqlite'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Dataset } from '../data/dataset.ts'
import { probe } from '../load/probe.ts'
import { WARM_UP_S } from '../load/rounds.ts'
import { envelope, MODERATE } from '../load/traffic.ts'
import { type Load, measure, type Traffic } from '../load/wrk.ts'
import { quantile } from '../report/statistics.ts'
import { count, table } from '../report/table.ts'
import type { Bench, Section, Settings } from '../section.ts'
import { startQuotaProxy } from '../servers/quota-proxy.ts'
import type { Server } from '../workspace.ts'

const KEYS = 1_000

const FULL = { connections: 64 }

/** Housekeeping begins a minute after the start; a little later it is at work for certain. */
const PRUNING_FROM_MS = 61_000

/** Two phases and the warm-up fit into the minute before the housekeeping begins. */
const PHASE_S_MAX = 20

type Phase = {
  readonly name: string
  readonly perSecond: number
  readonly waitsMs: readonly number[]
  /** What is known to have happened during it. */
  readonly note: string
}

export async function measureBlock(bench: Bench): Promise<Section> {
  const dataset = await bench.dataset({ keys: KEYS, calls: bench.settings.calls })
  const phases = [
    ...(await prunePhases(bench, dataset)),
    await memoryPhase(bench),
    await checkpointPhase(bench, dataset),
  ]
  return {
    title: 'Pauses',
    markdown: `${table(
      ['', 'calls/s', 'p50 ms', 'p99.9 ms', 'longest ms', 'meanwhile'],
      phases.map(({ name, perSecond, waitsMs, note }) => [
        name,
        count(perSecond),
        quantile(waitsMs, 0.5).toFixed(2),
        quantile(waitsMs, 0.999).toFixed(1),
        quantile(waitsMs, 1).toFixed(1),
        note,
      ]),
    )}

How long \`/healthz\` took, asked for every 2 ms on a connection of its own; a wait counts once for each time that it
spans. The ledger holds ${count(bench.settings.calls)} calls. At full load clients, upstream and proxy compete for the same
cores, and a wait holds whatever the system lets run first: the pauses of a row are what it has over the row that it is
to be compared with, *pruning* with *moderate load* and *log on disk* with *in memory*.`,
    verdicts: [],
    charts: {},
  }
}

async function prunePhases(bench: Bench, dataset: Dataset): Promise<Phase[]> {
  const { workspace, upstream, settings } = bench
  const server = await startQuotaProxy(workspace, 'prune', upstream, {
    DATA_DIR: dataset.dataDir,
    // Far below what is there, so that there is always more to prune.
    CALLS_MAX: String(Math.round(settings.calls / 100)),
  })
  const startedMs = performance.now()
  const traffic = { ...envelope(upstream), keysFile: dataset.keysFile(KEYS) }
  const seconds = phaseSeconds(settings)
  await measure(workspace, server, traffic, { ...FULL, seconds: WARM_UP_S })
  const idle = await phase(bench, 'no load', server, seconds)
  const load = { traffic, load: { ...MODERATE, seconds } }
  const moderate = await phase(bench, 'moderate load', server, seconds, load)

  const leftMs = startedMs + PRUNING_FROM_MS - performance.now()
  bench.say(`  waiting ${Math.round(Math.max(0, leftMs) / 1000)} s for the housekeeping to begin`)
  await Bun.sleep(Math.max(0, leftMs))
  const before = oldestCall(dataset)
  const pruning = await phase(bench, 'moderate load, pruning', server, seconds, load)
  const pruned = oldestCall(dataset) - before
  await server.stop()
  if (pruned === 0) throw new Error('nothing was pruned')
  return [idle, moderate, { ...pruning, note: `${count(pruned / seconds)} calls/s pruned` }]
}

/** The control of the checkpoints: the same load with no file at all. */
async function memoryPhase(bench: Bench): Promise<Phase> {
  const { workspace, upstream, settings } = bench
  const adminToken = crypto.randomUUID()
  const server = await startQuotaProxy(workspace, 'memory', upstream, {
    DATA_DIR: join(workspace.directory, 'memory'),
    DATABASE_URL: ':memory:',
    ADMIN_TOKEN: adminToken,
  })
  const keysFile = join(workspace.directory, 'memory-keys.txt')
  writeFileSync(keysFile, (await issueKeys(server, adminToken, KEYS)).join('\n'))
  const traffic = { ...envelope(upstream), keysFile }
  const seconds = phaseSeconds(settings)
  await measure(workspace, server, traffic, { ...FULL, seconds: WARM_UP_S })
  const load = { traffic, load: { ...FULL, seconds } }
  const result = await phase(bench, 'full load, in memory', server, seconds, load)
  await server.stop()
  return result
}

async function checkpointPhase(bench: Bench, dataset: Dataset): Promise<Phase> {
  const { workspace, upstream, settings } = bench
  const env = { DATA_DIR: dataset.dataDir, CALLS_MAX: '1000000000' }
  const server = await startQuotaProxy(workspace, 'checkpoint', upstream, env)
  const traffic = { ...envelope(upstream), keysFile: dataset.keysFile(KEYS) }
  const seconds = phaseSeconds(settings)
  await measure(workspace, server, traffic, { ...FULL, seconds: WARM_UP_S })
  const before = await checkpoints(dataset)
  const load = { traffic, load: { ...FULL, seconds } }
  const result = await phase(bench, 'full load, log on disk', server, seconds, load)
  const made = (await checkpoints(dataset)) - before
  await server.stop()
  return { ...result, note: `${count(made)} checkpoints` }
}

async function phase(
  { workspace, say }: Bench,
  name: string,
  server: Server,
  seconds: number,
  work?: { readonly traffic: Traffic; readonly load: Load },
): Promise<Phase> {
  const [waitsMs, sample] = await Promise.all([
    probe(server.url, seconds),
    work ? measure(workspace, server, work.traffic, work.load) : null,
  ])
  say(`  ${name}: longest wait ${quantile(waitsMs, 1).toFixed(1)} ms`)
  return { name, perSecond: sample?.perSecond ?? 0, waitsMs, note: '' }
}

function phaseSeconds({ seconds }: Settings): number {
  return Math.min(2 * seconds, PHASE_S_MAX)
}

async function issueKeys(server: Server, adminToken: string, number: number): Promise<string[]> {
  const keys: string[] = []
  while (keys.length < number) {
    const response = await fetch(`${server.url}/admin/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'bench', quota: 1_000_000_000 }),
    })
    if (response.status !== 201) throw new Error(`no key was issued: ${await response.text()}`)
    keys.push(((await response.json()) as { key: string }).key)
  }
  return keys
}

function oldestCall({ file }: Dataset): number {
  const db = new Database(file, { readonly: true, strict: true })
  const row = db.query<{ seq: number }, []>('SELECT min(seq) AS seq FROM calls').get()
  db.close()
  return row?.seq ?? 0
}

/** SQLite counts in the header of its log how often it was begun anew, once a checkpoint (sqlite.org/fileformat.html#walformat). */
async function checkpoints({ file }: Dataset): Promise<number> {
  const header = await Bun.file(`${file}-wal`).slice(0, 32).arrayBuffer()
  return new DataView(header).getUint32(12)
}
