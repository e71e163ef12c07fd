/** Every figure that the benchmark is judged by, with the bar that it has to reach. The only place where bars are stated. */
import type { Spread } from './report/statistics.ts'
import { withSpread } from './report/table.ts'

export type Bar = {
  /** What `--only` takes to measure it. */
  readonly part: string
  readonly what: string
  /** The most that it may be, in `unit`. */
  readonly max: number
  readonly unit: string
  readonly digits: number
  /** What is worth reaching beyond the bar. */
  readonly aim?: number
}

const RATIO = { unit: ' ×', digits: 2 }
const MS = { unit: ' ms', digits: 2 }
const MIB = { unit: ' MiB', digits: 0 }

export const BARS = {
  mountPost: { part: 'pass', what: 'POST through a mount, to bare that reads first', max: 2, ...RATIO, aim: 1.7 },
  mountTokens: { part: 'pass', what: 'POST through a mount, tokens counted', max: 2, ...RATIO },
  mountStream: { part: 'pass', what: 'POST through a mount, streamed and tokens counted, to bare streamed', max: 2, ...RATIO },
  mountGet: { part: 'pass', what: 'GET through a mount, to a bare GET', max: 2, ...RATIO },
  envelope: { part: 'call', what: 'envelope, to bare that reads first', max: 2.2, ...RATIO },
  addedP50: { part: 'call', what: 'added at one connection, p50', max: 0.1, unit: ' ms', digits: 3 },
  addedP99: { part: 'call', what: 'added at one connection, p99', max: 1, ...MS },
  keysInUse: { part: 'flat', what: '100,000 keys in use at once, to 10', max: 1.5, ...RATIO },
  flat: { part: 'flat', what: 'a larger database', max: 1.1, ...RATIO },
  start: { part: 'start', what: 'first start to first answer', max: 120, unit: ' ms', digits: 0 },
  idleMemory: { part: 'start', what: 'resident memory, idle', max: 70, ...MIB },
  backup: { part: 'backup', what: 'p99 added by a backup, worst window', max: 50, unit: ' ms', digits: 1 },
  parse: { part: 'parse', what: 'JSON of any shape, to JSON.parse of a plain text', max: 20, unit: ' ×', digits: 1 },
  ask: { part: 'ask', what: 'p99 added by questions', max: 5, ...MS },
  crowdP99: { part: 'crowd', what: 'p99 of calls beside a crowd', max: 50, ...MS },
  crowdAdded: { part: 'crowd', what: 'p99 added by a crowd', max: 50, ...MS },
  postgresCpu: { part: 'postgres', what: 'CPU of a call on PostgreSQL, to SQLite', max: 1.25, ...RATIO },
  postgresTransactions: { part: 'postgres', what: 'transactions a call under load', max: 0.2, unit: '', digits: 3 },
  postgresP50: { part: 'postgres', what: 'added p50 of single calls, to a round trip', max: 1, ...RATIO },
  postgresOversold: { part: 'postgres', what: 'oversold by two replicas', max: 0, unit: '', digits: 0 },
  crowdMemory: { part: 'crowd', what: 'memory beside a crowd', max: 400, ...MIB },
} as const satisfies Record<string, Bar> // biome-ignore format: one row a bar

/** A bar beside what was measured. */
export type Verdict = {
  readonly part: string
  readonly what: string
  readonly bar: string
  readonly measured: string
  readonly reached: boolean
}

/** The median decides. `detail` tells apart several figures with the same bar. */
export function judge(bar: Bar, value: Spread, detail = ''): Verdict {
  const { part, max, unit, digits, aim } = bar
  return {
    part,
    what: detail === '' ? bar.what : `${bar.what}, ${detail}`,
    bar: `≤ ${max}${unit}${aim === undefined ? '' : `, aim ${aim}${unit}`}`,
    measured: `${withSpread(value, digits)}${unit}`,
    reached: value.median <= max,
  }
}
