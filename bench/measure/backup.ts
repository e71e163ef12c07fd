/** What calls feel of a backup: of a large database, at a moderate load, with all that a backup does. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { BARS, judge } from '../bars.ts'
import type { Dataset } from '../data/dataset.ts'
import { WARM_UP_S } from '../load/rounds.ts'
import { envelope, MODERATE } from '../load/traffic.ts'
import { measure, type Sample } from '../load/wrk.ts'
import { differences, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startQuotaProxy } from '../servers/quota-proxy.ts'
import type { Server } from '../workspace.ts'

const KEYS = 1_000

/** Short, so that even a quick backup spans some of them. */
const WINDOW_S = 2

/** Ten times what it takes; past it, it hangs. */
const BACKUP_MS_MAX = 600_000

type Backup = { readonly bytes: number; readonly seconds: number }

type Round = {
  /** Just before the backup. */
  readonly without: Sample
  /** Of the windows that the backup spans. */
  readonly worst: Sample
  readonly backup: Backup
}

export async function measureBackup(bench: Bench): Promise<Section> {
  const { workspace, upstream, settings, say } = bench
  const dataset = await bench.dataset({ keys: KEYS, calls: settings.calls })
  const adminToken = crypto.randomUUID()
  const server = await startQuotaProxy(workspace, 'backup', upstream, {
    DATA_DIR: dataset.dataDir,
    ADMIN_TOKEN: adminToken,
    CALLS_MAX: '1000000000',
    BACKUP_KEEP: '1',
  })
  const traffic = { ...envelope(upstream), keysFile: dataset.keysFile(KEYS) }
  const load = { ...MODERATE, seconds: WINDOW_S }
  const windowOf = () => measure(workspace, server, traffic, load)
  await measure(workspace, server, traffic, { ...MODERATE, seconds: WARM_UP_S })

  const rounds: Round[] = []
  for (let round = 1; round <= settings.rounds; round++) {
    const without = await windowOf()
    const { windows, backup } = await windowsDuring(() => backUp(server, adminToken), windowOf)
    // The worst window of each: a mean would hide a pause in the midst of quiet ones.
    const worst = windows.reduce((one, other) => (other.p99Ms > one.p99Ms ? other : one))
    rounds.push({ without, worst, backup })
    const seen = windows.map(({ p99Ms }) => p99Ms).join(', ')
    say(`  round ${round}: p99 ${without.p99Ms} ms, then ${seen} ms`)
    // What a backup leaves to be written to the disk is over before the next round.
    await Bun.sleep(WINDOW_S * 1000)
  }
  await server.stop()
  rmSync(join(dataset.dataDir, 'backups'), { recursive: true })
  return report(rounds, dataset)
}

async function windowsDuring(
  startBackup: () => Promise<{ bytes: number }>,
  windowOf: () => Promise<Sample>,
): Promise<{ windows: Sample[]; backup: Backup }> {
  const startedMs = performance.now()
  const seen = { ended: false }
  const made = startBackup().finally(() => {
    seen.ended = true
  })
  // Its failure is met below, when the window that it falls into has ended.
  made.catch(() => {})
  const windows: Sample[] = []
  do windows.push(await windowOf())
  while (!seen.ended)
  const { bytes } = await made
  return { windows, backup: { bytes, seconds: (performance.now() - startedMs) / 1000 } }
}

function report(rounds: readonly Round[], dataset: Dataset): Section {
  const without = rounds.map((round) => round.without)
  const during = rounds.map((round) => round.worst)
  const backups = rounds.map((round) => round.backup)
  const p99s = (samples: readonly Sample[]) => samples.map(({ p99Ms }) => p99Ms)
  const rows = [
    ['without', without],
    ['during a backup, worst window', during],
  ] as const
  return {
    title: 'Backups',
    markdown: `${table(
      ['', 'calls/s', 'p50 ms', 'p99 ms'],
      rows.map(([name, samples]) => [
        name,
        count(spread(samples.map(({ perSecond }) => perSecond)).median),
        withSpread(spread(samples.map(({ p50Ms }) => p50Ms)), 2),
        withSpread(spread(p99s(samples)), 1),
      ]),
    )}

A backup of ${Math.round(dataset.fileMiB)} MiB took ${spread(backups.map(({ seconds }) => seconds)).median.toFixed(0)} s
and made a file of ${Math.round((backups[0]?.bytes ?? 0) / 2 ** 20)} MiB: copied, packed, restored and compared, while
clients, upstream, proxy and backup shared the cores of this machine. Latencies are those of windows of ${WINDOW_S} s; of those
that a backup spans, the one with the highest p99 counts.`,
    verdicts: [judge(BARS.backup, spread(differences(p99s(during), p99s(without))))],
    charts: {},
  }
}

async function backUp(server: Server, adminToken: string): Promise<{ bytes: number }> {
  const response = await fetch(`${server.url}/admin/backups`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}` },
    signal: AbortSignal.timeout(BACKUP_MS_MAX),
  })
  if (response.status !== 201) throw new Error(`no backup was made: ${await response.text()}`)
  return (await response.json()) as { bytes: number }
}
