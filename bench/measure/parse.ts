/**
 * How long a body of JSON stops everything else, by its shape: nothing else runs while it is read. The functions are the
 * product's own, from the source.
 */
import { prepareRequest } from '../../src/metering/request.ts'
import { parseEnvelope } from '../../src/proxy/request/envelope.ts'
import { BARS, judge } from '../bars.ts'
import { hostileJson, type Shape } from '../data/hostile-json.ts'
import { ratios, type Spread, spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'

/** The system counts the processor's time in steps of some milliseconds. */
const PLAIN_TIMES = 10
const MIB = 1024 * 1024

const OPTIONS = { path: '/chat/completions', outputDefault: 1000, aliases: {} }

type Row = {
  readonly name: string
  /** As a request, as an envelope, by JSON.parse alone. */
  readonly ms: readonly Spread[]
  /** Of the first two, to JSON.parse of a plain text in the same round. */
  readonly toPlain: readonly Spread[]
}

export async function measureParse({ settings }: Bench): Promise<Section> {
  const plain = JSON.stringify(
    Array(50_000).fill({ role: 'user', content: 'Some ordinary text. '.repeat(9) }),
  )
  const rows: Row[] = []
  for (const shape of hostileJson()) rows.push(measureShape(shape, plain, settings.rounds))
  return report(rows)
}

function measureShape({ name, json }: Shape, plain: string, rounds: number): Row {
  const envelope = Buffer.from(`{"endpoint":"http://a.test/","body":${json}}`).toString()
  const plains: number[] = []
  const requests: number[] = []
  const envelopes: number[] = []
  const natives: number[] = []
  for (let round = 0; round < rounds; round++) {
    plains.push(msPerMib(plain, () => repeat(PLAIN_TIMES, () => JSON.parse(plain))) / PLAIN_TIMES)
    requests.push(msPerMib(json, () => prepareRequest(json, OPTIONS)))
    envelopes.push(msPerMib(json, () => parseEnvelope(envelope)))
    natives.push(msPerMib(json, () => tryToParse(json)))
  }
  return {
    name,
    ms: [requests, envelopes, natives].map((values) => spread(values)),
    toPlain: [requests, envelopes].map((values) => spread(ratios(values, plains))),
  }
}

function report(rows: readonly Row[]): Section {
  const worst = rows.flatMap((row) => row.toPlain).reduce((a, b) => (b.median > a.median ? b : a))
  return {
    title: 'Reading a body',
    markdown: `How many milliseconds a MiB of JSON stops everything else, in bodies of 10 MiB:

${table(
  ['', 'as a request', 'as an envelope', 'JSON.parse alone', '× plain', '× plain'],
  rows.map(({ name, ms, toPlain }) => [
    name,
    ...ms.map((one) => withSpread(one, 1)),
    ...toPlain.map(({ median }) => median.toFixed(1)),
  ]),
)}

*As a request* is what a call to a metered upstream does with its body, *as an envelope* what \`POST /proxy\` does with one
around it; *× plain* is each of the two to what JSON.parse takes for a plain text in the same round.`,
    verdicts: [judge(BARS.parse, worst)],
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
