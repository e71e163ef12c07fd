/**
 * `bun run bench`: measures quota-proxy beside others on this machine, and writes bench/README.md. Only loopback is used;
 * all processes end and all temporary files go with it, also when it is interrupted.
 */
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createDataset, type Dataset, type Size } from './dataset.ts'
import { measureAsk } from './measure/ask.ts'
import { measureBackup } from './measure/backup.ts'
import { measureBlock } from './measure/block.ts'
import { measureCall } from './measure/call.ts'
import { measureCrowd } from './measure/crowd.ts'
import { measureFlat } from './measure/flat.ts'
import { measureParse } from './measure/parse.ts'
import { measurePass } from './measure/pass.ts'
import { measureStages } from './measure/stages.ts'
import { measureStart } from './measure/start.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { describeMachine, renderReport } from './report/page.ts'
import type { Bench, Section } from './section.ts'
import { BINARY, findNginx, startUpstream } from './servers.ts'
import { openWorkspace, type Workspace } from './workspace.ts'

const PARTS = {
  call: measureCall,
  pass: measurePass,
  parse: measureParse,
  stages: measureStages,
  flat: measureFlat,
  start: measureStart,
  backup: measureBackup,
  block: measureBlock,
  ask: measureAsk,
  crowd: measureCrowd,
} as const

/** The largest databases, their logs and the log files, with room to spare. */
const DISK_BYTES_MIN = 5 * 1024 ** 3

process.exit(await main(process.argv.slice(2)))

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args, Object.keys(PARTS))
  if (options.kind !== 'run') {
    console.log(options.kind === 'help' ? USAGE : `${options.problem}\n\n${USAGE}`)
    return options.kind === 'help' ? 0 : 2
  }
  const missing = whatIsMissing()
  if (missing) {
    console.error(missing)
    return 2
  }
  const workspace = openWorkspace()
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      interrupted = true
      void workspace.close().then(() => process.exit(130))
    })
  }
  try {
    await measureAll(workspace, options)
    return 0
  } catch (error) {
    // The processes that were ended fail whoever waits for them.
    if (interrupted) await new Promise(() => {})
    console.error(error instanceof Error ? error.message : error)
    return 1
  } finally {
    await workspace.close()
  }
}

async function measureAll(workspace: Workspace, options: Options): Promise<void> {
  const { settings, parts, published } = options
  const startedMs = performance.now()
  const say = (line: string) => {
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    console.log(`${String(seconds).padStart(5)} s  ${line}`)
  }
  const machine = describeMachine(new Date())
  for (const [name, value] of machine) say(`${name}: ${value}`)

  const datasets = new Map<string, Dataset>()
  const bench: Bench = {
    workspace,
    upstream: await startUpstream(workspace),
    settings,
    say,
    async dataset(size: Size) {
      const name = `keys-${size.keys}-calls-${size.calls}`
      const known = datasets.get(name)
      if (known) return known
      const made = await createDataset(workspace, name, size)
      say(
        `  filled a database: ${size.keys} keys, ${size.calls} calls, ${Math.round(made.fileMiB)} MiB`,
      )
      datasets.set(name, made)
      return made
    },
  }
  const sections: Section[] = []
  for (const [name, measurePart] of Object.entries(PARTS)) {
    if (!parts.includes(name)) continue
    say(name)
    const section = await measurePart(bench)
    console.log(`\n## ${section.title}\n\n${section.markdown}\n`)
    sections.push(section)
  }

  const directory = resolve(import.meta.dir, published ? '.' : '../dist/bench')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'README.md'), renderReport(machine, sections, settings))
  for (const [file, svg] of sections.flatMap(({ charts }) => Object.entries(charts)))
    writeFileSync(join(directory, file), svg)
  say(`wrote ${join(directory, 'README.md')}`)
}

/** One sentence that says what to do; null if everything is there. */
function whatIsMissing(): string | null {
  if (process.platform !== 'linux') return 'The benchmark reads /proc, so it runs on Linux only.'
  if (!Bun.which('wrk') || !findNginx()) {
    return 'The benchmark needs wrk and nginx: apt-get install wrk nginx-light'
  }
  if (!existsSync(BINARY)) return 'The benchmark measures dist/quota-proxy: bun run build'
  const { bavail, bsize } = statfsSync(tmpdir())
  if (bavail * bsize < DISK_BYTES_MIN) {
    return `The benchmark needs 5 GiB of disk in ${tmpdir()}; set TMPDIR to a directory with more.`
  }
  return null
}
