/**
 * How long a body of JSON stops everything else, by its shape: nothing else runs while it is read. The functions are the
 * product's own, from the source.
 */
import { prepareRequest } from '../../src/metering/request.ts'
import { parseEnvelope } from '../../src/proxy/request/envelope.ts'
import { hostileJson } from '../hostile-json.ts'
import { type Spread, spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import { type Bench, goal, type Section } from '../section.ts'

/** A body of 10 MiB, which is the most by default, then stops everything else for no longer than a busy moment does. */
const MS_PER_MIB_MAX = 6
const MIB = 1024 * 1024

const OPTIONS = { path: '/chat/completions', outputDefault: 1000, aliases: {} }

export async function measureParse({ settings }: Bench): Promise<Section> {
  const rows: { name: string; request: Spread; envelope: Spread; native: Spread }[] = []
  for (const { name, json } of hostileJson()) {
    const envelope = Buffer.from(`{"endpoint":"http://a.test/","body":${json}}`).toString()
    const measure = (work: () => unknown) => {
      const values = Array.from({ length: settings.rounds }, () => msPerMib(json, work))
      return spread(values)
    }
    rows.push({
      name,
      request: measure(() => prepareRequest(json, OPTIONS)),
      envelope: measure(() => parseEnvelope(envelope)),
      native: measure(() => tryToParse(json)),
    })
  }
  const worst = rows
    .flatMap(({ request, envelope }) => [request, envelope])
    .reduce((a, b) => (b.median > a.median ? b : a))
  return {
    title: 'Reading a body',
    markdown: `How many milliseconds a MiB of JSON stops everything else, in bodies of 10 MiB:

${table(
  ['', 'as a request', 'as an envelope', 'JSON.parse alone'],
  rows.map(({ name, ...figures }) => [
    name,
    ...[figures.request, figures.envelope, figures.native].map((one) => withSpread(one, 1)),
  ]),
)}

*As a request* is what a call to a metered upstream does with its body, *as an envelope* what \`POST /proxy\` does with one
around it.`,
    goals: [goal('Reading JSON of any shape, a MiB', MS_PER_MIB_MAX, worst, ' ms', 1)],
    charts: {},
  }
}

function msPerMib(json: string, work: () => unknown): number {
  const startedMs = performance.now()
  work()
  return ((performance.now() - startedMs) * MIB) / json.length
}

function tryToParse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}
