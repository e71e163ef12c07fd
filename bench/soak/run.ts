/**
 * `bun run soak`: runs dist/quota-proxy under a mixed load with faults for as long as it is told, and says whether its
 * memory and its open files stay flat and whether its books agree with what its clients were told. Exits with 1 if not.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { memory } from '../process-stats.ts'
import { BINARY } from '../servers/quota-proxy.ts'
import { freePort, openWorkspace, type Server, type Workspace } from '../workspace.ts'
import { callSomehow, type Stage } from './calls.ts'
import { judge, type Sample } from './judge.ts'
import { adminOf, compare, examine, issue, operate, TOKEN } from './operator.ts'
import { startFaultyUpstream } from './upstream.ts'
import { drive, openWork, type Work } from './work.ts'

const USAGE = `Usage: bun run soak [options]

Runs dist/quota-proxy (bun run build) under mixed load with faults: answers, streams, large bodies, WebSockets, upstreams that
fail, break off or never answer, clients that leave, wrong keys, an operator at work, backups, reloads. Exits with 1 if memory or open
files grow, or if the books do not agree with what clients were told.

  --minutes <n>      how long (default 30; 480 is eight hours)
  --rate <n>         calls a second (default 150)
  --json             print JSON
  --help             show this`

const SAMPLES_MIN = 30
const SAMPLE_MS_MAX = 10_000
const OPERATOR_MS = 5_000
const BACKUPS = 4
const SOCKET_S_MAX = 60

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '150' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const [minutes, rate] = [Number(values.minutes), Number(values.rate)]
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
if (!(minutes > 0 && minutes <= 10_080 && rate >= 1 && rate <= 5_000)) {
  console.error('--minutes must be from 0 to 10080 (a week), and --rate from 1 to 5000.')
  process.exit(2)
}

const result = await soak(minutes * 60, rate)
console.log(values.json ? JSON.stringify(result) : render(result))
process.exit(result.ok ? 0 : 1)

type Result = Awaited<ReturnType<typeof soak>>

async function soak(seconds: number, callsPerSecond: number) {
  const workspace = openWorkspace()
  const upstream = startFaultyUpstream()
  try {
    const { server, settings } = await start(workspace, upstream.host)
    const admin = adminOf(server.url)
    const stage: Stage = { url: server.url, upstream: upstream.host }
    await admin('POST', '/admin/upstreams', {
      ...{ name: 'soak', base_url: `http://${upstream.host}`, mount: '/v1' },
      websocket_seconds_max: SOCKET_S_MAX,
    })
    const holders = await issue(admin)
    const counts: Record<string, number> = {}
    const work = openWork()
    const startedMs = performance.now()
    const elapsedS = () => (performance.now() - startedMs) / 1000
    const samples = sampleRegularly(work, server, seconds, elapsedS, counts)
    work.every(OPERATOR_MS, () => operate(server.url, admin, settings))
    work.every((seconds * 1000) / (BACKUPS + 1), async () => {
      await admin('POST', '/admin/backups')
      await examine(admin)
    })

    const goesOn = () => elapsedS() < seconds
    const calls = await drive(callsPerSecond, goesOn, (number) => {
      const holder = holders[number % holders.length]
      if (!holder) return
      work.keep(callSomehow(stage, holder).then((kind) => void increment(counts, kind)))
    })
    await work.end()
    work.keep(examine(admin))
    const failures = await work.end()

    const disagreeing = await compare(holders, admin)
    const trend = judge(samples)
    const ok = trend.flat && failures.length === 0 && disagreeing.length === 0
    return { ok, seconds, calls, counts, trend, disagreeing, failures }
  } finally {
    await workspace.close()
    await upstream.stop()
  }
}

/** The samples to come; they are complete when the work has ended. */
function sampleRegularly(
  work: Work,
  { pid }: Server,
  seconds: number,
  elapsedS: () => number,
  counts: Readonly<Record<string, number>>,
): readonly Sample[] {
  const samples: Sample[] = []
  work.every(Math.min(SAMPLE_MS_MAX, (seconds * 1000) / SAMPLES_MIN), async () => {
    const files = readdirSync(`/proc/${pid}/fd`).length
    const sample = { atS: elapsedS(), residentMiB: memory(pid).residentMiB, files }
    samples.push(sample)
    progress(seconds, sample, counts)
  })
  return samples
}

async function start(workspace: Workspace, upstream: string) {
  const port = freePort()
  const dataDir = join(workspace.directory, 'data')
  const settings = join(workspace.directory, 'settings')
  mkdirSync(dataDir, { mode: 0o700 })
  writeFileSync(settings, 'LOG_LEVEL=warn\n')
  const server = await workspace.serve(
    'quota-proxy',
    `http://127.0.0.1:${port}`,
    [BINARY, 'serve'],
    {
      PORT: String(port),
      DATA_DIR: dataDir,
      ADMIN_TOKEN: TOKEN,
      CONFIG_FILE: settings,
      // The database stays as large as it is after a few minutes, and entries are pruned all the while.
      CALLS_MAX: '20000',
      PROXY_EGRESS_ALLOW: upstream,
    },
  )
  return { server, settings }
}

function increment(counts: Record<string, number>, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1
}

function progress(
  seconds: number,
  { atS, residentMiB, files }: Sample,
  counts: Readonly<Record<string, number>>,
): void {
  const calls = Object.values(counts).reduce((sum, count) => sum + count, 0)
  process.stderr.write(
    `${atS.toFixed(0)} of ${seconds.toFixed(0)} s: ${calls} calls, ${residentMiB.toFixed(0)} MiB, ${files} files\n`,
  )
}

function render({ ok, seconds, calls, counts, trend, disagreeing, failures }: Result): string {
  const lines = [
    `${calls} calls in ${(seconds / 60).toFixed(1)} minutes: ${Object.entries(counts)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`,
    `memory: ${trend.medianMiB.toFixed(0)} MiB, ${trend.growthMiB.toFixed(1)} MiB more at the end than after the warm-up`,
    `files: ${trend.filesAtFirst} after the warm-up, ${trend.filesAtLast} at the end`,
    `keys that disagree with their clients: ${disagreeing.length === 0 ? 'none' : disagreeing.join('; ')}`,
    `failures: ${failures.length === 0 ? 'none' : failures.join('; ')}`,
    ok ? 'All is flat, and the books balance.' : 'NOT WELL.',
  ]
  return lines.join('\n')
}
