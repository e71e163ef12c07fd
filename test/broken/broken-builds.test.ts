/**
 * The proof that the crash test means something: each build below is broken in one place, and `quota-proxy selftest` must say
 * so. Of the sources alone: a binary cannot be broken like this.
 */
import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Fault } from '../../src/selftest/audit.ts'
import type { Report } from '../../src/selftest/report.ts'
import { brokenCopy, type Changes } from '../support/broken.ts'
import { RUN_MS_MAX, selftest } from '../support/selftest.ts'

type Break = {
  readonly name: string
  /** Below `src`. */
  readonly file: string
  readonly changes: Changes
  readonly fault: Fault
}

const BREAKS: readonly Break[] = [
  {
    name: 'charges without asking whether there is room',
    file: 'db/sqlite/ledger/charge.ts',
    changes: [['used + ?1 <= max(0, amount + credited)', 'TRUE']],
    fault: 'oversold',
  },
  {
    name: 'answers before it has committed',
    file: 'db/sqlite/transact.ts',
    changes: [
      [
        "client.query('BEGIN IMMEDIATE').run()",
        "client.inTransaction || client.run('BEGIN IMMEDIATE')",
      ],
      [
        "client.query('COMMIT').run()",
        // One timer at a time: were there one for each transaction, one of them would commit in every turn.
        "const own = client as { due?: unknown }; own.due ??= setTimeout(() => { own.due = undefined; if (client.inTransaction) client.run('COMMIT') }, 100)",
      ],
    ],
    fault: 'lost',
  },
  {
    name: 'ends a hold without an entry',
    file: 'db/sqlite/ledger/engine.ts',
    changes: [['entries.write(hold, settlement)', '']],
    fault: 'lost',
  },
  {
    name: 'refunds twice',
    file: 'db/sqlite/ledger/engine.ts',
    changes: [
      [
        'addCorrection(corrections, hold, settlement.charged)',
        'addCorrection(corrections, hold, settlement.charged); addCorrection(corrections, hold, settlement.charged)',
      ],
    ],
    fault: 'oversold',
  },
  {
    name: 'does not refund',
    file: 'quota/charge-policy.ts',
    changes: [['if (status === null || status >= 500) return NO_UNITS', '']],
    fault: 'unexpected',
  },
  {
    name: 'forgets at the start what a crash has left open',
    file: 'db/sqlite/ledger/interrupted.ts',
    changes: [["client.run('DELETE FROM holds')", '']],
    fault: 'leaked',
  },
  {
    name: 'charges nothing for what a crash has interrupted',
    file: 'db/sqlite/ledger/interrupted.ts',
    changes: [["'interrupted', NULL, requests, requests", "'interrupted', NULL, requests, 0"]],
    fault: 'unbalanced',
  },
  {
    name: 'refuses the last unit',
    file: 'db/sqlite/ledger/engine.ts',
    changes: [
      [
        'together?.[i] ?? charger.chargeAlone(job.claim)',
        "together?.[i] ?? (group.length > 1 ? { ok: false, changed: false, balances: [], refusal: { code: 'insufficient_quota', message: '' } } : charger.chargeAlone(job.claim))",
      ],
    ],
    fault: 'short',
  },
  {
    name: 'sends a call again when the upstream breaks off',
    file: 'proxy/send/forward.ts',
    changes: [
      [
        'return { ok: false, failure: cause ?? failureOf(errorCode(error)) }',
        "return 'again' in outbound ? { ok: false, failure: 'upstream_error' } : forward({ ...outbound, again: 1 } as Outbound, deadline)",
      ],
    ],
    fault: 'double',
  },
  {
    name: 'reaches the upstream before the charge',
    file: 'proxy/handle.ts',
    changes: [
      [
        'const admission = await admit(',
        'void forward(target.outbound as never, startDeadline(received.request.signal, target.timeouts, { leaving: options.leaving, key: key.seq, upstream: key.name }))\n    const admission = await admit(',
      ],
      [
        "import { resolve } from './resolve.ts'",
        "import { resolve } from './resolve.ts'\nimport { startDeadline } from './send/deadline.ts'\nimport { forward } from './send/forward.ts'",
      ],
    ],
    fault: 'double',
  },
]

describe('a build that', () => {
  for (const { name, file, changes, fault } of BREAKS) {
    test(
      `${name} is caught: ${fault}`,
      async () => {
        const copy = brokenCopy(`src/${file}`, changes)
        const { out, err, code } = await selftest(
          ['--json', '--clients', '16', '--kills', '3', '--calls', '2000', '--keys', '20'],
          [process.execPath, join(copy, 'src/main.ts')],
        )
        expect({ code, err }).toEqual({ code: 1, err: '' })
        const report = JSON.parse(out) as Report
        expect(report.ok).toBeFalse()
        expect(report.faults[fault], report.violations.join('\n')).toBeGreaterThan(0)
        expect(existsSync(join(report.directory ?? '', 'data/quota.db'))).toBeTrue()
      },
      RUN_MS_MAX,
    )
  }
})
