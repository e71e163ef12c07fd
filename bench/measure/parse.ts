/**
 * How long a body of JSON stops everything else, by its shape: nothing else runs while it is read. The functions are the
 * product's own, from the source.
 */
import { prepareRequest } from '../../src/metering/request.ts'
import { parseEnvelope } from '../../src/proxy/request/envelope.ts'
import { hostileJson } from '../data/hostile-json.ts'
import { ratios, spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import { type Bench, goal, type Section } from '../section.ts'

/** To the plain text. It would take JSON.parse two hundred times as long, of some shapes. */
const RATIO_MAX = 20
/** The system counts the processor's time in steps of some milliseconds. */
const PLAIN_TIMES = 10
const MIB = 1024 * 1024

const OPTIONS = { path: '/chat/completions', outputDefault: 1000, aliases: {} }

export async function measureParse({ settings }: Bench): Promise<Section> {
  const plain = JSON.stringify(
    Array(50_000).fill({ role: 'user', content: 'Some ordinary text. '.repeat(9) }),
  )
  const rows = []
  for (const { name, json } of hostileJson()) {
    const envelope = Buffer.from(`{"endpoint":"http://a.test/","body":${json}}`).toString()
    const rounds = Array.from({ length: settings.rounds }, () => ({
      plain: msPerMib(plain, () => repeat(PLAIN_TIMES, () => JSON.parse(plain))) / PLAIN_TIMES,
      request: msPerMib(json, () => prepareRequest(json, OPTIONS)),
      envelope: msPerMib(json, () => parseEnvelope(envelope)),
      native: msPerMib(json, () => tryToParse(json)),
    }))
    const of = (pick: (round: (typeof rounds)[number]) => number) => rounds.map(pick)
    const toPlain = (values: readonly number[]) =>
      spread(
        ratios(
          values,
          of((one) => one.plain),
        ),
      )
    rows.push({
      name,
      ms: [of((one) => one.request), of((one) => one.envelope), of((one) => one.native)].map(
        spread,
      ),
      ratios: [of((one) => one.request), of((one) => one.envelope)].map(toPlain),
    })
  }
  const worst = rows.flatMap(({ ratios }) => ratios).reduce((a, b) => (b.median > a.median ? b : a))
  return {
    title: 'Reading a body',
    markdown: `How many milliseconds a MiB of JSON stops everything else, in bodies of 10 MiB:

${table(
  ['', 'as a request', 'as an envelope', 'JSON.parse alone', '× plain', '× plain'],
  rows.map(({ name, ms, ratios }) => [
    name,
    ...ms.map((one) => withSpread(one, 1)),
    ...ratios.map(({ median }) => median.toFixed(1)),
  ]),
)}

*As a request* is what a call to a metered upstream does with its body, *as an envelope* what \`POST /proxy\` does with one
around it; *× plain* is each of the two to what JSON.parse takes for a plain text in the same round.`,
    goals: [
      goal('Reading JSON of any shape, to JSON.parse of a plain text', RATIO_MAX, worst, ' ×', 1),
    ],
    charts: {},
  }
}

/** By the processor's time of this thread, which is no longer if others are busy. */
function msPerMib(json: string, work: () => unknown): number {
  // What the round before has left behind, and the making of the text, is not to be cleared away in this one.
  Bun.gc(true)
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (((user + system) / 1000) * MIB) / json.length
}

function repeat(times: number, work: () => unknown): void {
  for (let i = 0; i < times; i++) work()
}

function tryToParse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}
