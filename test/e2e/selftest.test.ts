/**
 * The crash test: `quota-proxy selftest` finds nothing wrong with this build. That it would is shown by
 * test/broken/broken-builds.test.ts.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { FAULTS } from '../../src/selftest/audit.ts'
import type { Report } from '../../src/selftest/report.ts'
import { until } from '../support/books.ts'
import { RUN_MS_MAX, selftest } from '../support/selftest.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'

const NO_FAULTS = Object.fromEntries(Object.keys(FAULTS).map((fault) => [fault, 0]))

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
