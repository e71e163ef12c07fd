/** What was measured of both engines, as a section of the page. */
import { BARS, judge } from '../../bars.ts'
import type { Sample } from '../../load/wrk.ts'
import { ratios, type Spread, spread } from '../../report/statistics.ts'
import { count, table, withSpread } from '../../report/table.ts'
import type { Section } from '../../section.ts'
import type { Server } from '../../workspace.ts'
import type { Site } from './site.ts'

export type Row = {
  readonly name: string
  readonly site: Site
  readonly servers: readonly Server[]
  readonly keys: number
  readonly path: string
  /** The row on SQLite that it is compared with. */
  readonly to: string
  readonly samples: PostgresSample[]
}

/** Of all servers together; `databaseUs` is the CPU time of PostgreSQL. */
export type PostgresSample = Sample & { readonly databaseUs: number; readonly transactions: number }

/** Of calls that come one after the other; ms. */
export type Single = {
  readonly sqlite: Sample
  readonly postgres: Sample
  readonly roundTripMs: number
}

export type Edge = { readonly amount: number; readonly granted: number }

export function report(rows: readonly Row[], single: Single, edge: Edge): Section {
  const find = (name: string) => {
    const row = rows.find((one) => one.name === name)
    if (!row) throw new Error(`the row "${name}" is missing`)
    return row
  }
  const toSqlite = (row: Row) => ratioOf(row, find(row.to))
  const addedMs = single.postgres.p50Ms - single.sqlite.p50Ms
  return {
    title: 'PostgreSQL',
    markdown: `64 connections, as fast as the answers come; the database is on the same two processors:

${table(
  [
    '',
    'CPU µs/call',
    '× SQLite',
    'database µs/call',
    'transactions/call',
    'calls/s',
    'p50 ms',
    'p99 ms',
  ],
  rows.map((row) => cells(row, toSqlite(row))),
)}

Two clients of two replicas exhaust a key of ${count(edge.amount)}: granted ${count(edge.granted)}, oversold ${Math.max(0, edge.granted - edge.amount)}.

One call after the other: p50 ${single.sqlite.p50Ms.toFixed(2)} ms on SQLite and ${single.postgres.p50Ms.toFixed(2)} ms on PostgreSQL, where one question
and its answer (\`SELECT 1\`) take ${single.roundTripMs.toFixed(2)} ms.`,
    verdicts: [
      judge(BARS.postgresCpu, toSqlite(find('PostgreSQL, 100 keys'))),
      judge(
        BARS.postgresTransactions,
        middle(find('PostgreSQL, 100 keys'), (one) => one.transactions),
      ),
      judge(BARS.postgresP50, spread([addedMs / single.roundTripMs])),
      judge(BARS.postgresOversold, spread([Math.max(0, edge.granted - edge.amount)])),
    ],
    charts: {},
  }
}

function cells(row: Row, toSqlite: Spread): string[] {
  const isSqlite = row.site.database === null
  return [
    row.name,
    withSpread(
      middle(row, (one) => one.cpuUs),
      1,
    ),
    withSpread(toSqlite, 2),
    isSqlite
      ? ''
      : withSpread(
          middle(row, (one) => one.databaseUs),
          1,
        ),
    isSqlite ? '' : middle(row, (one) => one.transactions).median.toFixed(3),
    count(middle(row, (one) => one.perSecond).median),
    middle(row, (one) => one.p50Ms).median.toFixed(2),
    middle(row, (one) => one.p99Ms).median.toFixed(2),
  ]
}

function ratioOf(row: Row, to: Row): Spread {
  return spread(
    ratios(
      row.samples.map(({ cpuUs }) => cpuUs),
      to.samples.map(({ cpuUs }) => cpuUs),
    ),
  )
}

function middle({ samples }: Row, pick: (sample: PostgresSample) => number): Spread {
  return spread(samples.map(pick))
}
