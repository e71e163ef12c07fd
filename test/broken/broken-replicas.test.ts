/**
 * The proof that the test of replicas means something: each build below is broken in one place, and `quota-proxy selftest
 * --database` must say so. Of the sources alone: a binary cannot be broken like this.
 */
import { expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Fault } from '../../src/selftest/audit.ts'
import type { Report } from '../../src/selftest/report.ts'
import { brokenCopy, type Changes } from '../support/broken.ts'
import { newDatabase, sql } from '../support/postgres.ts'
import { RUN_MS_MAX, selftest } from '../support/selftest.ts'

type Break = {
  readonly name: string
  readonly file: string
  readonly changes: Changes
  readonly kills: number
  readonly fault: Fault
}

const BREAKS: readonly Break[] = [
  {
    name: 'charges without asking whether there is room',
    file: 'drizzle/postgres/0001_ledger.sql',
    changes: [
      ['coalesce(v_other[v_p] + v_used[v_place[v_p]] + v_n <= v_room[v_p], true)', 'true'],
      [' OR c.used + d.u - d.b <= greatest(0, c.amount + c.credited)', ' OR true'],
    ],
    kills: 0,
    fault: 'oversold',
  },
  {
    name: 'leaves the calls of a replica alone whose lease has run out',
    file: 'src/db/postgres/ledger/orphans.ts',
    changes: [
      ["rows.map((row) => entry(row, 'interrupted', row))", '[...rows.slice(0, 0)] as Entry[]'],
    ],
    kills: 3,
    fault: 'leaked',
  },
]

// Both wait for leases to run out most of the time.
for (const { name, file, changes, kills, fault } of BREAKS) {
  test.concurrent(
    `a build that ${name} is caught: ${fault}`,
    async () => {
      const copy = brokenCopy(file, changes)
      const database = await newDatabase()
      const { out, code } = await selftest(
        [
          ...['--json', '--database', database, '--clients', '8', '--kills', `${kills}`],
          ...['--calls', '500', '--keys', '8', '--seconds', '3'],
        ],
        [process.execPath, join(copy, 'src/main.ts')],
      )
      const report = JSON.parse(out) as Report
      expect({ code, ok: report.ok }).toEqual({ code: 1, ok: false })
      expect(report.faults[fault], report.violations.join('\n')).toBeGreaterThan(0)
      // What went wrong can be looked at.
      const [kept] = await sql<{ n: number }>(database, 'SELECT count(*)::int AS n FROM keys')
      expect(kept?.n).toBeGreaterThan(0)
      rmSync(report.directory ?? '', { recursive: true, force: true })
    },
    RUN_MS_MAX,
  )
}
