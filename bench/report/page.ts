/** The report of a whole run: bench/README.md and what stands beside it. */
import { readFileSync, statfsSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { ANSWER } from '../load/traffic.ts'
import type { Section, Settings } from '../section.ts'
import { BINARY, findNginx } from '../servers.ts'
import { count, table } from './table.ts'

export type Machine = readonly (readonly [string, string])[]

/** Above this somebody else is using the machine. */
const BUSY = 0.5

/** Names of what statfs(2) answers. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'XFS',
  2435016766: 'Btrfs',
  16914836: 'tmpfs (memory: checkpoints cost nothing here)',
  2035054128: 'overlayfs',
  801189825: 'ZFS',
}

/** To be asked before the run, which is a load itself. */
export function describeMachine(at: Date): Machine {
  const processors = cpus()
  const load = loadavg()[0] ?? 0
  return [
    ['Date', at.toISOString().slice(0, 10)],
    ['quota-proxy', `${said(BINARY, '--version').replace('quota-proxy ', '')}${changes()}`],
    ['CPU', `${processors[0]?.model.trim()}, ${processors.length} cores`],
    ['Memory', `${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['System', `${distribution()}, Linux ${release()}`],
    ['File system of the databases', FILE_SYSTEMS[statfsSync(tmpdir()).type] ?? 'another'],
    ['Bun of the bare proxy and the upstream', Bun.version],
    ['nginx', said(findNginx() ?? 'nginx', '-v').replace(/^.*nginx\//, '')],
    ['wrk', said('wrk', '-v').replace(/^wrk (\S+).*/, '$1')],
    ['Load before the run', `${load.toFixed(2)}${load > BUSY ? ' (the machine was busy)' : ''}`],
  ]
}

export function renderReport(
  machine: Machine,
  sections: readonly Section[],
  settings: Settings,
): string {
  const goals = sections.flatMap((section) => section.goals)
  const missed = goals.filter((one) => !one.met).length
  const summary = missed === 0 ? 'All are met.' : `${missed} of ${goals.length} are missed.`
  return `# Benchmarks

<!-- Written by \`bun run bench\`; do not edit. -->

\`bun run bench\` measures all of this in one run on one machine. Ratios carry over to another machine, absolute figures do
not.

${machine.map(([name, value]) => `- ${name}: ${value}`).join('\n')}

## Targets

${table(
  ['', 'target', 'measured', ''],
  goals.map(({ what, target, value, met }) => [what, target, value, met ? 'met' : '**missed**']),
)}

${summary}

${sections.map(({ title, markdown }) => `## ${title}\n\n${markdown}`).join('\n\n')}

## How it is measured

- Everything runs on this one machine over loopback: wrk with one thread, the proxy, and an upstream that answers with
  ${ANSWER.length} bytes of JSON. They share its cores, so calls per second and latency at full load are those of all three
  together, and a faster proxy is held up by the other two. CPU time per call is the figure to compare.
- A metered call is \`POST /proxy\` through the compiled binary with everything on that is on by default: the key is
  looked up, the quota charged in a transaction, the ledger entry and the rollup written, quota headers set, and a line
  logged to a file. The key has one lifetime limit.
- CPU time is user and system time of the process, all threads and children, from \`/proc\`, over the calls that wrk
  counted. What the kernel writes to disk later on is not in it.
- Every server is warmed up first. Then the servers are measured in turn, ${settings.rounds} rounds of ${settings.seconds} s each, in
  alternating order. A figure is the median of its rounds, with the lowest and the highest in brackets; a ratio is
  made within each round, and the median is of these ratios.
- A run in which any request fails counts for nothing: it stops with an error.
- Large databases are made by the binary's migrations and filled directly: ${count(settings.keys)} keys, or ${count(settings.calls)} calls
  with their rollups. \`quota-proxy doctor\` finds them in order.

## Do it again

\`\`\`sh
apt-get install wrk nginx-light
bun run build
bun run bench            # a quarter of an hour, 3 GB of disk; writes this page
bun run bench --quick    # minutes, smaller and noisier; writes to dist/bench instead
bun run bench --help
\`\`\`

Leave the machine alone meanwhile. \`TMPDIR\` chooses the disk of the databases.
`
}

/** What a program says about its version, wherever it says it. */
function said(command: string, flag: string): string {
  const { stdout, stderr } = Bun.spawnSync([command, flag])
  return `${stdout}${stderr}`.trim().split('\n')[0] ?? ''
}

/** The commit in the binary does not tell whether the sources were changed after it. */
function changes(): string {
  const sources = [':/src', ':/package.json', ':/bun.lock']
  const git = Bun.spawnSync(['git', 'status', '--porcelain', ...sources], {
    cwd: import.meta.dir,
    stderr: 'ignore',
  })
  return git.stdout.length > 0 ? ', with changes that are not committed' : ''
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
    return name ?? 'unknown distribution'
  } catch {
    return 'unknown distribution'
  }
}
