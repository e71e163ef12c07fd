/** What calls feel of a backup: of a large database, at a moderate load, with all that a backup does. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { WARM_UP_S } from '../load/rounds.ts'
import { envelope } from '../load/traffic.ts'
import { measure, type Sample } from '../load/wrk.ts'
import { differences, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import { type Bench, goal, type Section } from '../section.ts'
import { startQuotaProxy } from '../servers.ts'
import type { Server } from '../workspace.ts'

const KEYS = 1_000

/** About two thousand calls a second on any machine that is not slow: an eighth of what one takes. */
const MODERATE = { connections: 32, pauseMs: 15 }

/** What the design allows. */
const ADDED_MS_MAX = 50

/** Short, so that even a quick backup spans some of them. */
const WINDOW_S = 3

type Backup = { readonly bytes: number; readonly seconds: number }

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

  const [without, during]: [Sample[], Sample[]] = [[], []]
  const backups: Backup[] = []
  for (let round = 1; round <= settings.rounds; round++) {
    without.push(await windowOf())
    const startedMs = performance.now()
    const seen = { ended: false }
    const backup = backUp(server, adminToken).finally(() => {
      seen.ended = true
    })
    const windows: Sample[] = []
    while (!seen.ended) windows.push(await windowOf())
    const { bytes } = await backup
    backups.push({ bytes, seconds: (performance.now() - startedMs) / 1000 })
    // The worst window of each: a mean would hide a pause in the midst of quiet ones.
    const worst = windows.toSorted((one, other) => other.p99Ms - one.p99Ms)[0]
    if (worst) during.push(worst)
    say(
      `  round ${round}: p99 ${without.at(-1)?.p99Ms} ms, then ${windows.map(({ p99Ms }) => p99Ms).join(', ')} ms`,
    )
    // What a backup leaves to be written to the disk is over before the next round.
    await Bun.sleep(WINDOW_S * 1000)
  }
  await server.stop()
  rmSync(join(dataset.dataDir, 'backups'), { recursive: true })

  const p99s = (samples: readonly Sample[]) => samples.map(({ p99Ms }) => p99Ms)
  const added = spread(differences(p99s(during), p99s(without)))
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
    goals: [goal('p99 added by a backup', ADDED_MS_MAX, added, ' ms', 1)],
    charts: {},
  }
}

async function backUp(server: Server, adminToken: string): Promise<{ bytes: number }> {
  const response = await fetch(`${server.url}/admin/backups`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}` },
    // It ends when it ends.
    signal: null,
  })
  if (response.status !== 201) throw new Error(`no backup was made: ${await response.text()}`)
  return (await response.json()) as { bytes: number }
}
