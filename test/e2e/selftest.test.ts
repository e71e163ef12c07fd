/**
 * The crash test: `quota-proxy selftest` finds nothing wrong with this build. And the proof that this means something:
 * each build below is broken in one place, and the same command must say so.
 */
import { afterAll, describe, expect, test } from 'bun:test'
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { Glob } from 'bun'
import { FAULTS, type Fault } from '../../src/selftest/audit.ts'
import type { Report } from '../../src/selftest/report.ts'
import { until } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'

const ROOT = resolve(import.meta.dir, '../..')
const NO_FAULTS = Object.fromEntries(Object.keys(FAULTS).map((fault) => [fault, 0]))

/** Longer than any run that is not stuck, on a machine with other work. */
const RUN_MS_MAX = 300_000

const kept = new Set<string>()
afterAll(() => {
  for (const directory of kept) rmSync(directory, { recursive: true, force: true })
})

async function selftest(args: readonly string[], command: readonly string[] = COMMAND) {
  const temporary = temporaryDirectory()
  const env = { TMPDIR: temporary }
  return { ...(await runCommand([...command, 'selftest', ...args], env, temporary)), temporary }
}

test(
  'under any load, and killed fifty times, it grants exactly what was granted and loses nothing',
  async () => {
    const { out, err, code } = await selftest([
      ...['--json', '--clients', '32', '--kills', '50', '--calls', '20000'],
    ])
    const report = JSON.parse(out) as Report
    expect(report.violations).toEqual([])
    expect(report).toMatchObject({ ok: true, faults: NO_FAULTS, kills: 50, directory: null })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    // An experiment in which nothing happens proves nothing.
    expect(report.calls).toBeGreaterThan(20_000)
    expect(report.granted).toBeGreaterThan(8_000)
    expect(report.refunded).toBeGreaterThan(500)
    expect(report.refused).toBeGreaterThan(500)
    expect(report.unknown).toBeGreaterThan(50)
    expect(report.restarts).toBeGreaterThan(30)
  },
  RUN_MS_MAX,
)

test(
  'it can be interrupted at any time and leaves neither a process nor a file',
  async () => {
    const temporary = temporaryDirectory()
    const child = Bun.spawn([...COMMAND, 'selftest', '--clients', '8'], {
      cwd: temporary,
      env: { PATH: process.env['PATH'] ?? '', TMPDIR: temporary },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    let url: string | undefined
    await until(() => {
      const log = [...new Glob('*/server-1.log').scanSync(temporary)][0]
      const text = log === undefined ? '' : readFileSync(join(temporary, log), 'utf8')
      url = /"url":"([^"]+)"/.exec(text)?.[1]
      return url !== undefined
    }, 30_000)
    expect((await fetch(`${url}healthz`)).status).toBe(200)

    child.kill('SIGINT')
    expect(await child.exited).toBe(1)
    expect(await new Response(child.stderr).text()).toBe('quota-proxy: interrupted\n')
    expect(await new Response(child.stdout).text()).toBe('')
    expect(readdirSync(temporary)).toEqual([])
    await expect(fetch(`${url}healthz`)).rejects.toThrow()
  },
  RUN_MS_MAX,
)

test('a wrong number is refused with exit code 2', async () => {
  for (const args of [
    ['--clients', '0'],
    ['--kills', '-1'],
    ['--calls', '1e5'],
    ['--seed', 'x'],
  ]) {
    const { out, err, code } = await selftest(args)
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toContain('must be a whole number')
  }
})

test(
  'for people it prints a table, and says that every promise was kept',
  async () => {
    const { out, err, code, temporary } = await selftest([
      ...['--clients', '4', '--kills', '1', '--calls', '500', '--keys', '4', '--seed', '42'],
    ])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    for (const name of ['calls', 'granted', 'refused', 'restarts']) {
      expect(out).toMatch(new RegExp(`^${name} +[1-9][0-9,]*  `, 'm'))
    }
    for (const fault of Object.keys(FAULTS)) expect(out).toMatch(new RegExp(`^${fault} +0  `, 'm'))
    expect(out).toContain('Every promise was kept')
    expect(out).toContain('seed 42')
    expect(readdirSync(temporary)).toEqual([])
  },
  RUN_MS_MAX,
)

/** Change by change: a text that stands in the file once, and what to put in its place. */
type Break = {
  readonly name: string
  readonly file: string
  readonly changes: readonly (readonly [from: string, to: string])[]
  readonly fault: Fault
}

const BREAKS: readonly Break[] = [
  {
    name: 'charges without asking whether there is room',
    file: 'db/sqlite/charge.ts',
    changes: [['used + ?1 <= max(0, amount + credited)', 'TRUE']],
    fault: 'oversold',
  },
  {
    name: 'answers before it has committed',
    file: 'db/sqlite/ledger.ts',
    changes: [
      ["client.run('BEGIN IMMEDIATE')", "client.inTransaction || client.run('BEGIN IMMEDIATE')"],
      [
        "client.run('COMMIT')",
        "setTimeout(() => client.inTransaction && client.run('COMMIT'), 100)",
      ],
    ],
    fault: 'lost',
  },
  {
    name: 'ends a hold without an entry',
    file: 'db/sqlite/ledger.ts',
    changes: [['entries.write(ended, settlement)', '']],
    fault: 'lost',
  },
  {
    name: 'refunds twice',
    file: 'db/sqlite/ledger.ts',
    changes: [
      [
        'job.answer = charger.correct(ended, settlement.charged)',
        'job.answer = charger.correct(ended, settlement.charged); charger.correct(ended, settlement.charged)',
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
    file: 'db/sqlite/entries.ts',
    changes: [["client.run('DELETE FROM holds')", '']],
    fault: 'leaked',
  },
  {
    name: 'charges nothing for what a crash has interrupted',
    file: 'db/sqlite/entries.ts',
    changes: [["'interrupted', NULL, requests, requests", "'interrupted', NULL, requests, 0"]],
    fault: 'unbalanced',
  },
  {
    name: 'refuses the last unit',
    file: 'db/sqlite/ledger.ts',
    changes: [
      [
        'together?.[i] ?? charger.chargeAlone(job.claim)',
        "together?.[i] ?? (group.length > 1 ? { ok: false, balances: [], refusal: { code: 'insufficient_quota', message: '' } } : charger.chargeAlone(job.claim))",
      ],
    ],
    fault: 'short',
  },
  {
    name: 'sends a call again when the upstream breaks off',
    file: 'proxy/send/forward.ts',
    changes: [
      [
        "return { ok: false, failure: deadline.cause() ?? 'upstream_error' }",
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
        'void forward(target.outbound, startDeadline(request.signal, target.patience))\n    const admission = await admit(',
      ],
      [
        "import { authenticate } from './authenticate.ts'",
        "import { authenticate } from './authenticate.ts'\nimport { startDeadline } from './send/deadline.ts'\nimport { forward } from './send/forward.ts'",
      ],
    ],
    fault: 'double',
  },
]

// A binary cannot be broken like this.
describe.skipIf(process.env['TARGET'] === 'binary')('a build that', () => {
  for (const { name, file, changes, fault } of BREAKS) {
    test(
      `${name} is caught: ${fault}`,
      async () => {
        const copy = brokenCopy(file, changes)
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

function brokenCopy(file: string, changes: Break['changes']): string {
  const copy = temporaryDirectory()
  cpSync(join(ROOT, 'src'), join(copy, 'src'), { recursive: true })
  for (const name of ['drizzle', 'node_modules', 'package.json', 'tsconfig.json']) {
    symlinkSync(join(ROOT, name), join(copy, name))
  }
  const path = join(copy, 'src', file)
  let text = readFileSync(path, 'utf8')
  for (const [from, to] of changes) {
    expect(text.split(from), `${file} holds this once: ${from}`).toHaveLength(2)
    text = text.replace(from, () => to)
  }
  writeFileSync(path, text)
  return copy
}
