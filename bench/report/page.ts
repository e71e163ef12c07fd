/** The report of a whole run: bench/README.md. Pure. */
import { ANSWER } from '../load/traffic.ts'
import type { Section, Settings } from '../section.ts'
import type { Machine } from './machine.ts'
import { count, table } from './table.ts'

/** Every figure that has a bar, and whether it is reached. */
export function renderBars(sections: readonly Section[]): string {
  const verdicts = sections.flatMap((section) => section.verdicts)
  const missed = verdicts.filter((one) => !one.reached).length
  if (verdicts.length === 0) return 'What was measured has no bars.'
  const summary =
    missed === 0 ? 'All are reached.' : `${missed} of ${verdicts.length} are not reached.`
  return `${table(
    ['', 'part', 'bar', 'measured', 'reached'],
    verdicts.map(({ what, part, bar, measured, reached }) => [
      what,
      part,
      bar,
      measured,
      reached ? 'yes' : '**no**',
    ]),
  )}

${summary} \`bun run bench --only <part>\` measures one part again.`
}

export function renderReport(
  machine: Machine,
  sections: readonly Section[],
  settings: Settings,
): string {
  return `# Benchmarks

<!-- Written by \`bun run bench\`; do not edit. -->

\`bun run bench\` measures all of this in one run on one machine. Ratios carry over to another machine, absolute figures do
not.

${machine.map(([name, value]) => `- ${name}: ${value}`).join('\n')}

## Bars

${renderBars(sections)}

${sections.map(({ title, markdown }) => `## ${title}\n\n${markdown}`).join('\n\n')}

${howItIsMeasured(settings)}

${AGAIN}
`
}

function howItIsMeasured(settings: Settings): string {
  return `## How it is measured

- Everything runs on this one machine over loopback: wrk with one thread, the proxy, and an upstream that answers with
  ${ANSWER.length} bytes of JSON. They share its cores, so calls per second and latency at full load are those of all three
  together, and a faster proxy is held up by the other two. CPU time per call is the figure to compare.
- A metered call goes through the compiled binary with everything on that is on by default: the key is looked up, the
  quota charged in a transaction, the ledger entry and the rollup written, quota headers set, and a line logged to a file.
  The key has one lifetime limit. Where nothing else is said the call is a \`POST /proxy\`.
- *Bare* is a \`Bun.serve\` with a \`fetch\` and nothing else. A figure with a bar is a ratio to it, or a difference, of the
  same run.
- CPU time is user and system time of the process, all threads and children, from \`/proc\`, over the calls that wrk
  counted. What the kernel writes to disk later on is not in it.
- Every server is warmed up first. Then the servers are measured in turn, ${settings.rounds} rounds of ${settings.seconds} s each, in
  alternating order. A figure is the median of its rounds, with the lowest and the highest in brackets; a ratio is
  made within each round, and the median is of these ratios.
- A part in which any request fails counts for nothing, and a run with such a part does not replace this page. Another
  program that fails is left out, and the page says why.
- Large databases are made by the binary's migrations and filled directly: ${count(settings.keys)} keys, or ${count(settings.calls)} calls
  with their rollups. \`quota-proxy doctor\` finds them in order.`
}

const AGAIN = `## Do it again

\`\`\`sh
apt-get install wrk openssl nginx-light libnginx-mod-http-lua haproxy caddy
bun run build
bun run bench --peers    # forty minutes, 4 GB of disk; installs Portkey and LiteLLM for the run; writes this page
bun run bench --quick    # minutes, smaller and noisier; writes to dist/bench instead
bun run bench --help
\`\`\`

Leave the machine alone meanwhile. \`TMPDIR\` chooses the disk of the databases.`
