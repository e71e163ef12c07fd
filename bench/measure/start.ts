/** How long it takes from the start of the binary to its first answer, how large it is, and what it holds while idle. */
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { BARS, judge } from '../bars.ts'
import { memory } from '../process-stats.ts'
import { spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { BINARY, startQuotaProxy } from '../servers/quota-proxy.ts'

/** Until what the start has left behind is collected. */
const IDLE_MS = 5_000

export async function measureStart(bench: Bench): Promise<Section> {
  const firstMs: number[] = []
  const againMs: number[] = []
  const idleMiB: number[] = []
  const dataDir = join(bench.workspace.directory, 'start')
  for (let run = 1; run <= bench.settings.starts; run++) {
    rmSync(dataDir, { recursive: true, force: true })
    firstMs.push(await startOnce(bench, dataDir))
    againMs.push(await startOnce(bench, dataDir))
    bench.say(
      `  start ${run}: ${firstMs.at(-1)?.toFixed(0)} ms, again ${againMs.at(-1)?.toFixed(0)} ms`,
    )
  }
  await startOnce(bench, dataDir, async (pid) => {
    await Bun.sleep(IDLE_MS)
    idleMiB.push(memory(pid).residentMiB)
  })

  const first = spread(firstMs)
  const again = spread(againMs)
  const idle = spread(idleMiB)
  const binaryMiB = statSync(BINARY).size / 2 ** 20
  return {
    title: 'Start',
    markdown: `${table(
      ['', ''],
      [
        ['first start, in an empty directory', `${withSpread(first, 0)} ms`],
        ['start on an existing database', `${withSpread(again, 0)} ms`],
        [`resident memory, idle for ${IDLE_MS / 1000} s`, `${idle.median.toFixed(0)} MiB`],
        ['size of the binary', `${binaryMiB.toFixed(0)} MiB`],
      ],
    )}

From the creation of the process to the first answer of \`/healthz\`, asked for every millisecond;
${bench.settings.starts} runs of each. The binary was in the page cache of the system.`,
    verdicts: [judge(BARS.start, first), judge(BARS.idleMemory, idle)],
    charts: {},
  }
}

/** `then` is done while the server runs. */
async function startOnce(
  { workspace, upstream }: Bench,
  dataDir: string,
  then?: (pid: number) => Promise<void>,
): Promise<number> {
  const startedMs = performance.now()
  const server = await startQuotaProxy(workspace, 'start', upstream, { DATA_DIR: dataDir })
  const tookMs = performance.now() - startedMs
  await then?.(server.pid)
  await server.stop()
  return tookMs
}
