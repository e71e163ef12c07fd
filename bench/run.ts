/**
 * `bun run bench`: measures quota-proxy beside others on this machine, and writes bench/README.md. Only loopback is used;
 * all processes end and all temporary files go with it, also when it is interrupted.
 */
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createDataset, type Dataset, type Size } from './data/dataset.ts'
import { type Options, readOptions, usage } from './options.ts'
import { PARTS } from './parts.ts'
import { describeMachine } from './report/machine.ts'
import { renderBars, renderReport } from './report/page.ts'
import type { Bench, Section } from './section.ts'
import { startUpstream } from './servers/baseline.ts'
import { BINARY } from './servers/quota-proxy.ts'
import { openWorkspace, type Workspace } from './workspace.ts'

/** The largest databases, their logs and the log files, with room to spare. */
const DISK_BYTES_MIN = 5 * 1024 ** 3

process.exit(await main(process.argv.slice(2)))

async function main(args: readonly string[]): Promise<number> {
  const known = Object.keys(PARTS)
  const options = readOptions(args, known)
  if (options.kind !== 'run') {
    const problem = options.kind === 'help' ? '' : `${options.problem}\n\n`
    console.log(problem + usage(known))
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
    return (await measureAll(workspace, options)) ? 0 : 1
  } catch (error) {
    // The processes that were ended fail whoever waits for them.
    if (interrupted) await new Promise(() => {})
    console.error(error instanceof Error ? error.message : error)
    return 1
  } finally {
    await workspace.close()
  }
}

/** False if a part has failed. The others are reported all the same, but not in the place of a whole page. */
async function measureAll(workspace: Workspace, options: Options): Promise<boolean> {
  const { settings, parts, published } = options
  const startedMs = performance.now()
  const say = (line: string) => {
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    console.log(`${String(seconds).padStart(5)} s  ${line}`)
  }
  const machine = describeMachine(new Date())
  for (const [name, value] of machine) say(`${name}: ${value}`)

  const upstream = await startUpstream(workspace)
  const dataset = rememberDatasets(workspace, say)
  const bench: Bench = { workspace, upstream, settings, say, dataset }
  const sections: Section[] = []
  let isWhole = true
  for (const [name, measurePart] of Object.entries(PARTS)) {
    if (!parts.includes(name)) continue
    say(name)
    const section = await measurePart(bench).catch((error) => {
      // The processes that were ended at an interruption fail whoever waits for them.
      if (workspace.isClosed()) throw error
      isWhole = false
      return failure(name, error)
    })
    console.log(`\n## ${section.title}\n\n${section.markdown}\n`)
    sections.push(section)
  }
  console.log(`${renderBars(sections)}\n`)

  const directory = resolve(import.meta.dir, published && isWhole ? '.' : '../dist/bench')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'README.md'), renderReport(machine, sections, settings))
  for (const [file, svg] of sections.flatMap(({ charts }) => Object.entries(charts)))
    writeFileSync(join(directory, file), svg)
  say(`wrote ${join(directory, 'README.md')}`)
  return isWhole
}

function failure(part: string, error: unknown): Section {
  const text = error instanceof Error ? error.message : String(error)
  const markdown = `This part has failed:\n\n\`\`\`\n${text.trim()}\n\`\`\``
  return { title: part, markdown, verdicts: [], charts: {} }
}

/** Each is made when it is first asked for. */
function rememberDatasets(workspace: Workspace, say: Bench['say']): Bench['dataset'] {
  const datasets = new Map<string, Dataset>()
  return async (size: Size) => {
    const name = `keys-${size.keys}-calls-${size.calls}`
    const known = datasets.get(name)
    if (known) return known
    const made = await createDataset(workspace, name, size)
    const what = `${size.keys} keys, ${size.calls} calls, ${Math.round(made.fileMiB)} MiB`
    say(`  filled a database: ${what}`)
    datasets.set(name, made)
    return made
  }
}

/** One sentence that says what to do; null if everything is there. */
function whatIsMissing(): string | null {
  if (process.platform !== 'linux') return 'The benchmark reads /proc, so it runs on Linux only.'
  const tools = ['wrk', 'openssl'].filter((tool) => !Bun.which(tool))
  if (tools.length > 0) {
    return `The benchmark needs ${tools.join(' and ')}: apt-get install ${tools.join(' ')}`
  }
  if (!existsSync(BINARY)) return 'The benchmark measures dist/quota-proxy: bun run build'
  const { bavail, bsize } = statfsSync(tmpdir())
  if (bavail * bsize < DISK_BYTES_MIN) {
    return `The benchmark needs 5 GiB of disk in ${tmpdir()}; set TMPDIR to a directory with more.`
  }
  return null
}
