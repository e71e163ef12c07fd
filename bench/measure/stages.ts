/** Where the time of a call goes: each part of the data path alone, behind the same listener, under the same load. */
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { envelope } from '../load/traffic.ts'
import { type Spread, spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startStage } from '../servers/baseline.ts'
import { STAGE_KEY, STAGES, type Stage } from '../servers/stages.ts'

const CONNECTIONS = 64

const WHAT: Record<Stage, string> = {
  listen: 'the listener alone: parse the request, answer four bytes',
  authenticate: 'find the key: read its headers, hash it, look it up',
  match: 'read and check the body and the envelope, check the target, write the headers to send',
  charge: 'find the key, reserve, write the ledger entry and the rollup',
  forward:
    'match, then call the upstream by fetch with deadlines, read its answer, filter its headers',
  whole: 'the whole data path, without the request log',
}

export async function measureStages(bench: Bench): Promise<Section> {
  const { path, body } = envelope(bench.upstream)
  const traffic = { path, body, key: STAGE_KEY }
  const subjects: Subject[] = []
  for (const stage of STAGES) {
    const server = await startStage(bench.workspace, bench.upstream, stage)
    subjects.push({ name: stage, server, traffic })
  }
  await warmUp(bench, subjects)
  const { seconds } = bench.settings
  const samples = await measureRounds(bench, subjects, { connections: CONNECTIONS, seconds })
  for (const { server } of subjects) await server.stop()
  return report(samples.map((rounds) => spread(rounds.map(({ cpuUs }) => cpuUs))))
}

function report(costs: readonly Spread[]): Section {
  const [listen, , match, charge, forward] = costs.map(({ median }) => median)
  const own = (stage = 0) => stage - (listen ?? 0)
  const rows = STAGES.map((stage, i) => [
    stage,
    WHAT[stage],
    costs[i] ? withSpread(costs[i], 1) : '',
    i === 0 ? '' : own(costs[i]?.median).toFixed(1),
  ])
  return {
    title: 'Where the time goes',
    markdown: `${table(['Part', 'What it does', 'CPU, µs', 'above the listener'], rows)}

Each part is the product's own functions behind a listener of their own (bench/servers/stage-server.ts), from the source. They add
up: of a call's time above the listener, the charge with everything it writes is ${own(charge).toFixed(0)} µs, the envelope
${own(match).toFixed(0)} µs, and forwarding ${(own(forward) - own(match)).toFixed(0)} µs, most of which is \`fetch\` itself. The bare
proxy has no envelope, no key and no charge, and hands Bun two streams that never enter JavaScript.`,
    verdicts: [],
    charts: {},
  }
}
