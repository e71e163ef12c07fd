/**
 * The crash test with replicas: `quota-proxy selftest --database` finds nothing wrong with this build, on a PostgreSQL that is
 * killed as well. That it would is shown by test/broken/broken-replicas.test.ts.
 */
import { afterAll, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { FAULTS } from '../../src/selftest/audit.ts'
import type { Report } from '../../src/selftest/report.ts'
import { until } from '../support/books.ts'
import { newDatabase, sql, startPostgres } from '../support/postgres.ts'
import { RUN_MS_MAX, selftest } from '../support/selftest.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'

const server = await startPostgres()
const hook = Bun.serve({
  port: 0,
  // Seconds; a recovery from a crash may take some.
  idleTimeout: 120,
  async fetch() {
    await server.end()
    await server.start()
    return new Response()
  },
})

afterAll(async () => {
  await hook.stop(true)
  await server.stop()
})

const LEFT = `SELECT (SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace)
  + (SELECT count(*)::int FROM pg_proc WHERE pronamespace = 'public'::regnamespace) AS n`

test(
  'three replicas that share a database grant exactly what was granted, though any of them and the database are killed',
  async () => {
    const database = await newDatabase(server)
    const { out, err, code, temporary } = await selftest([
      ...['--json', '--database', database, '--clients', '6', '--calls', '600', '--keys', '8'],
      ...['--kills', '3', '--seconds', '2', '--kill-database', `curl -fsS ${hook.url}`],
    ])
    const report = JSON.parse(out) as Report
    expect(report.violations).toEqual([])
    const faults = Object.fromEntries(Object.keys(FAULTS).map((fault) => [fault, 0]))
    expect(report).toMatchObject({ ok: true, faults, kills: 3, replicas: 3, directory: null })
    expect(code).toBe(0)
    expect(err).toMatch(/^Fills the empty database 127\.0\.0\.1:\d+\/test_\w+, and drops .+\n$/)
    // An experiment in which nothing happens proves nothing.
    expect(report.database_kills).toBeGreaterThan(0)
    expect(report.granted).toBeGreaterThan(250)
    expect(report.refused).toBeGreaterThan(30)
    expect(report.unknown).toBeGreaterThan(0)
    expect(report.restarts).toBeGreaterThan(1)
    expect(readdirSync(temporary)).toEqual([])
    expect(await sql(database, LEFT)).toEqual([{ n: 0 }])
  },
  RUN_MS_MAX,
)

test(
  'it can be interrupted at any time, and leaves the database as empty as it was',
  async () => {
    const database = await newDatabase(server)
    const temporary = temporaryDirectory()
    const child = Bun.spawn([...COMMAND, 'selftest', '--database', database, '--clients', '4'], {
      cwd: temporary,
      env: { PATH: process.env['PATH'] ?? '', TMPDIR: temporary },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    await until(async () => Number((await sql(database, LEFT))[0]?.['n']) > 20, 60_000)
    child.kill('SIGINT')
    expect(await child.exited).toBe(1)
    expect(await new Response(child.stderr).text()).toEndWith('quota-proxy: interrupted\n')
    expect(readdirSync(temporary)).toEqual([])
    expect(await sql(database, LEFT)).toEqual([{ n: 0 }])
  },
  RUN_MS_MAX,
)

test('a database in which something is, is refused with exit code 2 and left as it is', async () => {
  const database = await newDatabase(server)
  await sql(database, 'CREATE TABLE keys AS SELECT 1 AS one')
  const { out, err, code } = await selftest(['--database', database])
  expect({ out, code }).toEqual({ out: '', code: 2 })
  expect(err).toContain('The database is not empty: it has 1 tables and sequences, such as keys.')
  expect(await sql(database, 'SELECT * FROM keys')).toEqual([{ one: 1 }])
})

const REFUSED: readonly (readonly [readonly string[], string])[] = [
  [['--database', './quota.db'], '--database must be postgres://'],
  [['--database', 'postgres://nobody:hunter22@127.0.0.1:1/none'], 'The database cannot be used: '],
  [['--replicas', '5'], '--replicas, --seconds and --kill-database need --database.'],
  [['--database', 'postgres://localhost/x', '--replicas', '0'], 'must be a whole number'],
]

for (const [args, said] of REFUSED) {
  test(`"selftest ${args.join(' ')}" is refused with exit code 2`, async () => {
    const { out, err, code } = await selftest(args)
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toContain(said)
    expect(err).not.toContain('hunter22')
  })
}
