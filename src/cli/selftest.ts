/**
 * `quota-proxy selftest`: proves on this very machine that quotas hold, with many clients and with
 * a server that is killed again and again. It uses a database of its own and touches nothing else.
 */
import { nameOf, parseDatabaseUrl } from '../domain/database-url.ts'
import { SELF } from '../lib/process/self.ts'
import type { Report } from '../selftest/report.ts'
import type { Progress, SelftestOptions } from '../selftest/run.ts'
import type { CliCommand } from './command.ts'
import { wholeNumber } from './input.ts'
import { Misuse, type Session } from './session.ts'

type Options = {
  clients: number
  kills: number
  calls: number
  keys: number
  seed?: number
  json?: boolean
  database?: string
  replicas?: number
  seconds?: number
  killDatabase?: string
}

const REPLICAS = 3
const SECONDS = 60

/** Seeds have 32 bits. */
const SEED_MAX = 2 ** 32 - 1

export function addSelftest(program: CliCommand): void {
  const { session } = program
  program
    .command('selftest')
    .summary('prove on this machine that quotas hold')
    .description(
      'Start a server on a throw-away database, load it with concurrent clients, kill it at random moments, and compare what clients saw with the books. With --database, the same with several servers on a PostgreSQL database that must be empty, and is empty again afterwards. Exit code 0 if every promise was kept, else 1.',
    )
    .option('--clients <number>', 'most clients at once', wholeNumber(1, 5_000), 500)
    .option(
      '--kills <number>',
      'how often the server is killed under load',
      wholeNumber(0, 10_000),
      50,
    )
    .option(
      '--calls <number>',
      'about how many calls before that',
      wholeNumber(100, 10_000_000),
      100_000,
    )
    .option('--keys <number>', 'how many keys they share', wholeNumber(1, 10_000), 50)
    .option('--seed <number>', 'repeat the plan of an earlier run', wholeNumber(0, SEED_MAX))
    .json()
    .optionsGroup('Replicas:')
    .option('--database <url>', 'postgres:// URL of an empty database for the test')
    .option(
      '--replicas <number>',
      `how many servers share it (default: ${REPLICAS})`,
      wholeNumber(1, 50),
    )
    .option(
      '--seconds <number>',
      `about how long the kills take (default: ${SECONDS})`,
      wholeNumber(1, 86_400),
    )
    .option(
      '--kill-database <command>',
      'kills and starts the database, run by sh now and then, such as "docker restart -s KILL db"',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      session.exitCode = await selftest(session, options)
    })
}

async function selftest({ io }: Session, options: Options): Promise<number> {
  const { renderReport } = await import('../selftest/report.ts')
  const { clients, kills, calls, keys, json } = options
  const run = await experiment(io.err, options)
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort(new Error('interrupted'))
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  const showsProgress = process.stderr.isTTY && !json
  try {
    const report = await run({
      command: [...SELF],
      clients,
      kills,
      calls,
      keys,
      seed: options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
      signal: interrupted.signal,
      onProgress: (progress) => {
        if (showsProgress) io.err(renderProgress(progress, options))
      },
    })
    io.out(json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report))
    return report.ok ? 0 : 1
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
    if (showsProgress) io.err(CLEAR_LINE)
  }
}

type Experiment = (options: SelftestOptions) => Promise<Report>

/** One server on a file of its own, or several on the database that is given, which it says before it begins. */
async function experiment(say: (text: string) => void, options: Options): Promise<Experiment> {
  const { database, replicas = REPLICAS, seconds = SECONDS, killDatabase = null } = options
  if (database === undefined) {
    if (options.replicas ?? options.seconds ?? options.killDatabase)
      throw new Misuse('--replicas, --seconds and --kill-database need --database.')
    return (await import('../selftest/run.ts')).runSelftest
  }
  const parsed = parseDatabaseUrl(database)
  if (!parsed.ok || parsed.value.kind !== 'postgres')
    throw new Misuse('--database must be postgres://user:password@host/database.')
  const { obstacle, runReplicas } = await import('../selftest/replicas/run.ts')
  const problem = await obstacle(database)
  if (problem !== null) throw new Misuse(problem)
  say(
    `Fills the empty database ${nameOf(parsed.value)}, and drops everything in it at the end if every promise was kept.\n`,
  )
  return (given) => runReplicas({ ...given, url: database, replicas, seconds, killDatabase })
}

const CLEAR_LINE = '\r\u001b[K'
const BAR_CHARS = 30

/** Half of the bar is for the calls before the first kill. */
function renderProgress({ calls, kills }: Progress, plan: Options): string {
  const done = kills === 0 ? Math.min(1, calls / plan.calls) / 2 : 0.5 + kills / plan.kills / 2
  const bar = '#'.repeat(Math.floor(done * BAR_CHARS)).padEnd(BAR_CHARS, '-')
  return `${CLEAR_LINE}[${bar}] ${calls.toLocaleString('en')} calls, ${kills} of ${plan.kills} kills`
}

const EXAMPLES = `
Examples:
  quota-proxy selftest
  quota-proxy selftest --clients 32 --kills 10 --calls 20000
  quota-proxy selftest --json --seed 42
  quota-proxy selftest --database postgres://quota@localhost/selftest --kills 20`
