/**
 * `bun run soak`: runs dist/quota-proxy under a mixed load with faults for as long as it is told, and says whether its
 * memory and its open files stay flat and whether its books agree with what its clients were told. Exits with 1 if not.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { memory } from '../process-stats.ts'
import { freePort, openWorkspace, type Workspace } from '../workspace.ts'
import { callSomehow, type Holder, type Stage } from './calls.ts'
import { judge, type Sample } from './judge.ts'
import { startFaultyUpstream } from './upstream.ts'

const USAGE = `Usage: bun run soak [options]

Runs dist/quota-proxy (bun run build) under mixed load with faults: answers, streams, large bodies, WebSockets, upstreams that
fail, break off or never answer, clients that leave, wrong keys, an operator at work, backups, reloads. Exits with 1 if memory or open
files grow, or if the books do not agree with what clients were told.

  --minutes <n>      how long (default 30; 480 is eight hours)
  --rate <n>         calls a second (default 150)
  --json             print JSON
  --help             show this`

/** Enough for calls of keys to meet each other; one of them runs out on the way. */
const HOLDERS = 20
const SMALL_QUOTA = 500
const TOKEN = 'b7c1f0e2a9d84365soak'
const SAMPLES_MIN = 30
const SAMPLE_MS_MAX = 10_000
const OPERATOR_MS = 5_000
const BACKUPS = 4
/** A call that takes longer than this has hung. */
const END_MS_MAX = 90_000
const SOCKET_S_MAX = 60
const FAILURES_SHOWN = 10
const BINARY = join(import.meta.dir, '../../dist/quota-proxy')

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
type Admin = ReturnType<typeof adminOf>

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

    const samples: Sample[] = []
    const sampleMs = Math.min(SAMPLE_MS_MAX, (seconds * 1000) / SAMPLES_MIN)
    work.every(sampleMs, async () => {
      const files = readdirSync(`/proc/${server.pid}/fd`).length
      const sample = { atS: elapsedS(), residentMiB: memory(server.pid).residentMiB, files }
      samples.push(sample)
      progress(seconds, sample, counts)
    })
    work.every(OPERATOR_MS, () => operate(server.url, admin, settings))
    work.every((seconds * 1000) / (BACKUPS + 1), async () => {
      await admin('POST', '/admin/backups')
      await examine(admin)
    })

    const calls = await drive(
      callsPerSecond,
      () => elapsedS() < seconds,
      (number) => {
        const holder = holders[number % holders.length]
        if (!holder) return
        const call = callSomehow(stage, holder)
        work.keep(call.then((kind) => void increment(counts, kind)))
      },
    )
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

async function issue(admin: Admin): Promise<Holder[]> {
  const holders: Holder[] = []
  for (let i = 0; i < HOLDERS; i++) {
    const quota = i === 0 ? SMALL_QUOTA : 1_000_000_000
    const made = await admin('POST', '/admin/keys', { name: `soak-${i}`, quota })
    holders.push({ id: String(made['id']), key: String(made['key']), charged: 0, unknown: 0 })
  }
  return holders
}

/** What an operator does in a day, and a changed setting. */
async function operate(url: string, admin: Admin, settings: string): Promise<void> {
  writeFileSync(settings, `LOG_LEVEL=${Math.random() < 0.5 ? 'warn' : 'error'}\n`)
  const { id } = await admin('POST', '/admin/keys', { name: 'passing', quota: 1 })
  await admin('PATCH', `/admin/keys/${id}`, { quota: 2 })
  await admin('GET', '/admin/usage')
  await admin('GET', '/admin/calls?limit=100')
  await admin('DELETE', `/admin/keys/${id}`)
  const headers = { authorization: `Bearer ${TOKEN}` }
  await (await fetch(`${url}/metrics`, { headers })).text()
}

async function examine(admin: Admin): Promise<void> {
  const { ok, findings } = await admin('GET', '/admin/doctor')
  if (!ok) throw new Error(JSON.stringify(findings))
}

/** Begins calls at an even rate, however long each of them takes. Resolves with how many there were. */
async function drive(
  callsPerSecond: number,
  goesOn: () => boolean,
  begin: (number: number) => void,
): Promise<number> {
  const startedMs = performance.now()
  let calls = 0
  while (goesOn()) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * callsPerSecond)
    for (; calls < due; calls++) begin(calls)
    await Bun.sleep(5)
  }
  return calls
}

/** What is under way, and what of it has failed. */
function openWork() {
  const open = new Set<Promise<unknown>>()
  const failures: string[] = []
  const timers: Timer[] = []
  const keep = (work: Promise<unknown>) => {
    const one = work.catch((error) => void failures.push(String(error)))
    open.add(one)
    void one.then(() => open.delete(one))
  }
  return {
    keep,
    every: (ms: number, work: () => Promise<void>) =>
      timers.push(setInterval(() => keep(work()), ms)),
    /** Begins nothing new, waits for the rest and resolves with the first failures. */
    async end(): Promise<string[]> {
      for (const timer of timers) clearInterval(timer)
      await Promise.race([Promise.all([...open]), Bun.sleep(END_MS_MAX)])
      if (open.size > 0) failures.push(`${open.size} of what was begun has not ended`)
      return failures.slice(0, FAILURES_SHOWN)
    },
  }
}

function increment(counts: Record<string, number>, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1
}

/** Keys whose use is not what their clients were told, beyond the calls of which they do not know. */
async function compare(holders: readonly Holder[], admin: Admin) {
  const disagreeing: string[] = []
  for (const { id, charged, unknown } of holders) {
    const used = Number((await admin('GET', `/admin/keys/${id}`))['used'])
    if (used < charged || used > charged + unknown)
      disagreeing.push(`${id}: ${used} used, ${charged} told, ${unknown} unknown`)
  }
  return disagreeing
}

function adminOf(url: string) {
  return async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
}

function progress(
  seconds: number,
  { atS, residentMiB, files }: Sample,
  counts: Record<string, number>,
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
