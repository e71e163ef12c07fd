/**
 * `bun bench/drivers/run.ts`: compares drivers of PostgreSQL, and prints Markdown for docs/adr/0023-postgres-driver.md. It
 * starts a server of its own, and PgBouncer where that is installed, asks them in each way that we would, and takes about
 * fifteen minutes. Each measurement is a process that is ended when it takes too long. Exits with 1 if a driver that was
 * measured is not right. `--statements` makes it shorter; `--part` takes one of cost, tls and storm, `--only` drivers, and `--way`
 * ways, whose names begin so.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { hasPgbouncer, startPgbouncer } from '../../test/support/pgbouncer.ts'
import { sql, startPostgres } from '../../test/support/postgres.ts'
import {
  PASSWORD,
  type SecurePostgres,
  securePostgres,
  WRONG_HOST,
} from '../../test/support/secure-postgres.ts'
import { endRun } from '../../test/support/server.ts'
import { spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import { openWorkspace, type Workspace } from '../workspace.ts'
import type { Case, Result } from './case.ts'
import { type Cost, FUNCTION } from './cpu.ts'
import { DRIVERS, POSTGRES_PATH, type Target } from './drivers.ts'
import type { Outcome } from './outcome.ts'
import { silentPort } from './silent.ts'
import type { Attempt, Refusals } from './tls.ts'

const POSTGRES = 'postgres@3.4.9'
const CASE = resolve(import.meta.dir, 'case.ts')
const STORM_S_MAX = 400
const COST_S_MAX = 60
const ROUNDS = 3
/** `bystanders` lost their connection; no error is wrong for them. */
const COLUMNS = [
  'asked',
  'answered',
  'failed',
  'bystanders',
  'wrong',
  'hung',
  'torn',
  'strangers',
  'uncaught',
] as const

const { values } = parseArgs({
  options: {
    statements: { type: 'string', default: '20000' },
    only: { type: 'string', default: '' },
    way: { type: 'string', default: '' },
    part: { type: 'string', default: '' },
  },
})
const statements = Number(values.statements)
if (!(statements >= 100 && statements <= 1_000_000)) {
  console.error('--statements must be from 100 to 1000000.')
  process.exit(2)
}
const workspace = openWorkspace()
const stops: (() => Promise<void>)[] = []
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => void end().then(() => process.exit(130)))
try {
  process.exitCode = (await compare()) ? 0 : 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await end()
}

async function end(): Promise<void> {
  await workspace.close()
  await Promise.all(stops.map((stop) => stop()))
  await endRun()
}

type Stage = {
  readonly direct: Target
  readonly storms: Readonly<Record<string, Target>>
  readonly attempts: readonly Attempt[]
  readonly postgresPath: string
}

async function compare(): Promise<boolean> {
  const stage = await setUp()
  const drivers = Object.keys(DRIVERS).filter((name) => name.startsWith(values.only))
  const isAsked = (part: string) => part.startsWith(values.part)
  if (isAsked('cost')) await costs(stage, drivers)
  const careful = !isAsked('tls') || (await refusals(stage, drivers))
  const right = !isAsked('storm') || (await storms(stage, drivers))
  return right && careful
}

async function setUp(): Promise<Stage> {
  const secure = await securePostgres()
  // A server that speaks no TLS.
  const plain = await startPostgres()
  stops.push(secure.server.stop, plain.stop)
  const { port } = secure.server
  const direct = targetAt(port, { mode: 'disable' })
  const ca = readFileSync(secure.caFile, 'utf8')
  await sql(secure.url(), FUNCTION)
  if (!hasPgbouncer)
    console.error('There is no pgbouncer (Debian package pgbouncer): that part is left out.')
  const user = { user: direct.user, password: PASSWORD }
  const storms = {
    plain: direct,
    'TLS, verify-full': targetAt(port, { mode: 'verify-full', ca }),
    ...(hasPgbouncer && {
      PgBouncer: targetAt(await startPgbouncer(port, user), { mode: 'disable' }, '127.0.0.1'),
    }),
  }
  const attempts = attemptsAt(secure, plain.port)
  return { direct, storms, attempts, postgresPath: await installPostgres(workspace) }
}

function targetAt(port: number, tls: Target['tls'], host = 'localhost'): Target {
  return { host, port, user: 'proxy', password: PASSWORD, database: 'proxy', tls }
}

function attemptsAt(secure: SecurePostgres, plainPort: number): Attempt[] {
  const { port } = secure.server
  const [ca, strangeCa] = [secure.caFile, secure.strangeCaFile].map((path) =>
    readFileSync(path, 'utf8'),
  ) as [string, string]
  const full = { mode: 'verify-full', ca } as const
  const silent = silentPort('nothing')
  const stalled = silentPort('yes')
  stops.push(silent.stop, stalled.stop)
  const attempt = (name: string, target: Target, mustConnect = false) => ({
    name,
    target,
    mustConnect,
  })
  return [
    attempt('require', targetAt(port, { mode: 'require' }), true),
    attempt('verify-full', targetAt(port, full), true),
    attempt('verify-full, by address', targetAt(port, full, '127.0.0.1'), true),
    attempt('wrong name', targetAt(port, full, WRONG_HOST)),
    attempt('unknown authority', targetAt(port, { mode: 'verify-full', ca: strangeCa })),
    attempt('require, server without TLS', targetAt(plainPort, { mode: 'require' })),
    attempt('verify-full, server without TLS', targetAt(plainPort, full)),
    attempt('wrong password', { ...targetAt(port, full), password: 'wrong' }),
    attempt('nobody listens', targetAt(1, full)),
    attempt('accepts and is silent', targetAt(silent.port, full)),
    attempt('is silent after agreeing to TLS', targetAt(stalled.port, full)),
  ]
}

async function installPostgres({ directory, run }: Workspace): Promise<string> {
  const folder = join(directory, 'installed')
  mkdirSync(folder)
  await Bun.write(join(folder, 'package.json'), '{"private":true}')
  await run('install', [process.execPath, 'add', '--exact', '--cwd', folder, POSTGRES], 120)
  return join(folder, 'node_modules/postgres/src/index.js')
}

async function storms(stage: Stage, drivers: readonly string[]): Promise<boolean> {
  const rows: string[][] = []
  let right = true
  const ways = Object.entries(stage.storms).filter(([way]) => way.startsWith(values.way))
  for (const [way, target] of ways)
    for (const driver of drivers) {
      const work: Case = { kind: 'storm', driver, target, direct: stage.direct, statements }
      const end = await measure<Outcome>(stage, work, STORM_S_MAX)
      say(`${way}, ${driver}: ${JSON.stringify(end)}`)
      right &&= !('problem' in end) && isRight(end)
      rows.push([`${driver}, ${way}`, ...('problem' in end ? [end.problem] : cellsOf(end))])
    }
  const head = ['', ...COLUMNS, 'recovery ms']
  console.log(`${table(head, rows)}\n`)
  return right
}

function isRight({ wrong, hung, torn, strangers, uncaught, recoveredMs }: Outcome): boolean {
  return wrong + hung + torn + strangers + uncaught === 0 && recoveredMs >= 0
}

function cellsOf(one: Outcome): string[] {
  return COLUMNS.map((name) => count(one[name])).concat(
    one.recoveredMs < 0 ? 'never' : count(one.recoveredMs),
  )
}

async function refusals(stage: Stage, drivers: readonly string[]): Promise<boolean> {
  const rows: string[][] = []
  let careful = true
  for (const driver of drivers) {
    const work: Case = { kind: 'tls', driver, attempts: stage.attempts }
    const end = await measure<Refusals>(stage, work, STORM_S_MAX)
    say(`TLS, ${driver}: ${JSON.stringify(end, null, 1)}`)
    const wrong = 'problem' in end ? [end.problem] : end.wrong
    careful &&= wrong.length === 0
    rows.push([driver, wrong.join('; ') || 'none'])
  }
  console.log(`${table(['', 'attempts that ended wrong'], rows)}\n`)
  return careful
}

/** In rounds, so that what slows the machine down slows all of them down. */
async function costs(stage: Stage, drivers: readonly string[]): Promise<void> {
  const rows: string[][] = []
  const found = new Map<string, Cost[]>()
  for (let round = 0; round < ROUNDS; round++)
    for (const connections of [1, 8])
      for (const driver of drivers) {
        const work: Case = { kind: 'cost', driver, target: stage.direct, connections, count: 4_000 }
        const end = await measure<Cost>(stage, work, COST_S_MAX)
        say(`cost, ${driver}, ${connections}: ${JSON.stringify(end)}`)
        const name = `${driver}, ${connections}`
        if (!('problem' in end)) found.set(name, [...(found.get(name) ?? []), end])
      }
  for (const driver of drivers) {
    const cells = [1, 8].flatMap((connections) => {
      const all = found.get(`${driver}, ${connections}`) ?? []
      if (all.length === 0) return ['failed', '']
      const perSecond = spread(all.map((one) => one.perSecond)).median
      return [withSpread(spread(all.map(({ cpuUs }) => cpuUs)), 0), count(perSecond)]
    })
    rows.push([driver, ...cells])
  }
  const head = ['', 'CPU µs, 1 connection', 'a second', 'CPU µs, 8 connections', 'a second']
  console.log(`${table(head, rows)}\n`)
}

/** Ends the process when it takes too long. */
async function measure<T extends Result>(
  { postgresPath }: Stage,
  work: Case,
  secondsMax: number,
): Promise<T | { readonly problem: string }> {
  const command = [process.execPath, CASE, JSON.stringify(work)]
  const child = workspace.spawn(command, { [POSTGRES_PATH]: postgresPath })
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, secondsMax * 1_000)
  const [out, code] = await Promise.all([child.stdout.text(), child.exited])
  clearTimeout(timer)
  if (late) return { problem: `did not end in ${secondsMax} s` }
  return code === 0 ? JSON.parse(out) : { problem: `its process ended with ${code}` }
}

function say(line: string): void {
  console.error(line)
}
