/** `quota-proxy migrate-data`: moves everything from one database to another, whatever engine has them. */
import type { Config } from '../../config/options.ts'
import { openSecretKeys } from '../../data-dir/secret-key.ts'
import type { Move, Outcome, Plan } from '../../db/move/move.ts'
import type { Examination } from '../../domain/store.ts'
import { unpricedOf } from '../../domain/upstream.ts'
import { systemClock } from '../../lib/clock.ts'
import { createSealer } from '../../lib/seal.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { asJson } from '../output/list.ts'
import { createProgress, type Progress, watchBytes } from '../output/progress.ts'
import { terminalWidth } from '../output/table.ts'
import { Misuse, type Session, settings } from '../session.ts'
import { describePlan, differs, isUnwell, tellOutcome } from './move-report.ts'

type Options = JsonOption & {
  readonly from?: string
  readonly to?: string
  readonly dryRun?: boolean
}

export function addMigrateData(program: CliCommand): void {
  const { session } = program
  program
    .command('migrate-data')
    .summary('move everything to another database, such as PostgreSQL')
    .description(
      'Copy everything from one database into another one, which is empty: from SQLite to PostgreSQL, or back. Stop the servers of both first. The source is only read. The target is compared with it row by row, and no server takes it before it is whole. Cut off at any moment, the same command goes on where it was.',
    )
    .option('--from <url>', 'the database of now; DATABASE_URL of the settings if it is not given')
    .option('--to <url>', 'the one to move to; DATABASE_URL of the settings if it is not given')
    .option(
      '--dry-run',
      'check everything and show what would be copied, but copy nothing; a server may run',
    )
    .json()
    .addHelpText('after', NOTE)
    .action((options: Options) => run(session, options))
    .examples(
      'quota-proxy migrate-data --from file:/data/quota.db --to postgres://quota@db.example/quota --dry-run',
      'DATABASE_URL=postgres://… quota-proxy migrate-data --from file:/data/quota.db',
      'quota-proxy migrate-data --from postgres://quota@db.example/quota --to file:/data/quota.db',
    )
}

async function run(session: Session, { from, to, dryRun = false, json }: Options): Promise<void> {
  if (from === undefined && to === undefined)
    throw new Misuse(
      'Say where to move to with --to, or where from with --from; the other one is DATABASE_URL.',
    )
  const config = settings(session)
  process.umask(0o077)
  warnOfPasswords(session, { from, to })
  const urls = { from: from ?? config.databaseUrl, to: to ?? config.databaseUrl, isPlan: dryRun }
  const { move, refused } = await prepare(config, urls)
  const { plan } = move
  const width = terminalWidth(session)
  const say = (text: string) => (json ? undefined : session.io.out(text))
  try {
    say(await describePlan(plan, width))
    if (dryRun) {
      say('Nothing was copied, as --dry-run says.\n')
      if (json) session.io.out(asJson({ dry_run: true, plan: show(plan) }))
      return
    }
    const outcome = await work(session, move).catch(cutOff).catch(refused)
    await move.close()
    const doctor = outcome.same ? await examine(session, config, urls.to) : null
    if (!outcome.same || isUnwell(doctor)) session.exitCode = 1
    if (json) session.io.out(asJson(showOutcome(plan, outcome, doctor)))
    else if (!outcome.same) session.io.err(differs(plan.how, outcome.tables))
    else session.io.out(await tellOutcome(plan, outcome, doctor, width))
  } finally {
    await move.close()
  }
}

const AGAIN = 'The source is as it was. The same command again goes on from where this one came to.'

/** Whatever went wrong on the way: nothing is lost by it. */
function cutOff(error: unknown): never {
  if (error instanceof Error) error.message = `${error.message.replace(/\.?$/, '.')} ${AGAIN}`
  throw error
}

/** `refused` makes of what keeps a move from its work what the command line knows. */
async function prepare(config: Config, urls: { from: string; to: string; isPlan: boolean }) {
  // Loaded here so that the other commands start without the database.
  const { MoveRefused, prepareMove } = await import('../../db/move/move.ts')
  const refused = (error: unknown): never => {
    throw error instanceof MoveRefused ? new Misuse(error.message) : error
  }
  const sealer = createSealer(openSecretKeys(config))
  const move = await prepareMove({ ...urls, sealer, at: systemClock() }).catch(refused)
  return { move, refused }
}

async function work(session: Session, move: Move): Promise<Outcome> {
  let bar: Progress | undefined
  try {
    return await move.run({
      begin(what, total) {
        bar?.end()
        bar = createProgress(session, what, total)
      },
      step: (rows) => bar?.step(rows),
    })
  } finally {
    bar?.end()
  }
}

/** The target itself, as a server would find it. */
async function examine(session: Session, config: Config, url: string): Promise<Examination | null> {
  const { examineStore } = await import('../../db/open.ts')
  const watch = watchBytes(session, 'examined')
  const how = { watch, unpriced: unpricedOf(config) }
  return examineStore(url, systemClock(), how).finally(watch.end)
}

/** Other users of the machine see what stands in a command line. */
function warnOfPasswords(
  { io }: Session,
  urls: Readonly<Record<string, string | undefined>>,
): void {
  for (const [option, url] of Object.entries(urls)) {
    if (url === undefined || !/^postgres(?:ql)?:\/\/[^/@]*:[^/@]+@/i.test(url)) continue
    io.err(
      `warning: other users of this machine can see the password in --${option} while this runs; set DATABASE_URL instead, or PGPASSWORD.\n`,
    )
  }
}

function show({ from, to, how, tables, interrupted, served }: Plan) {
  return { from, to, how, interrupted, served, tables }
}

function showOutcome(plan: Plan, { same, tables }: Outcome, doctor: Examination | null) {
  return { dry_run: false, plan: show(plan), same, tables, doctor }
}

const NOTE = `
The same SECRET_KEY or data directory is needed as at the source, for credentials
are copied as they are sealed. A password need not stand in a URL: PGPASSWORD and
~/.pgpass are read. Exits with 2 if it cannot begin, and changes nothing then.`
