/** `quota-proxy migrate-data`: moves everything from one database to another, whatever engine has them. */
import type { Config } from '../../config/options.ts'
import { openSecretKeys } from '../../data-dir/secret-key.ts'
import type { Compared, Move, Outcome, Plan } from '../../db/move/move.ts'
import type { Examination } from '../../domain/store.ts'
import { unpricedOf } from '../../domain/upstream.ts'
import { systemClock } from '../../lib/clock.ts'
import { createSealer } from '../../lib/seal.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { count } from '../output/format.ts'
import { renderFindings } from '../output/lines.ts'
import { asJson, renderTable } from '../output/list.ts'
import { createProgress, type Progress, watchBytes } from '../output/progress.ts'
import { Misuse, type Session, settings } from '../session.ts'

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
  const say = (text: string) => (json ? undefined : session.io.out(text))
  try {
    say(await describe(plan))
    if (dryRun) {
      say('Nothing was copied, as --dry-run says.\n')
      if (json) session.io.out(asJson({ dry_run: true, plan: show(plan) }))
      return
    }
    const outcome = await work(session, move).catch(cutOff).catch(refused)
    await move.close()
    const doctor = outcome.same ? await examine(session, config, urls.to) : null
    if (!outcome.same || doctor?.ok === false) session.exitCode = 1
    if (json) session.io.out(asJson(showOutcome(plan, outcome, doctor)))
    else await tell(session, plan, outcome, doctor)
  } finally {
    await move.close()
  }
}

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

const HOW: Readonly<Record<Plan['how'], string>> = {
  new: 'The target is empty. It gets the tables of this version, and then all of these rows.',
  resumed: 'The target has a part of them, from a copy that was cut off. It goes on from there.',
  again:
    'The target has an unfinished copy that does not fit the source as it is now. It is removed, and all is copied again.',
  same: 'The target has all of them already. Nothing is copied; both are compared.',
}

async function describe({ from, to, how, tables, interrupted, served }: Plan): Promise<string> {
  const columns = [
    { head: 'TABLE', of: ({ name }: Plan['tables'][number]) => name },
    { head: 'ROWS', of: ({ rows }: Plan['tables'][number]) => rows, right: true } as const,
  ]
  const { text: table } = await renderTable(columns, tables, undefined)
  const open = `${count(interrupted)} calls of these were in flight when the server died. In the copy they are "interrupted" and charged as reserved, as after a start.\n`
  const calls = served === null && interrupted > 0 ? open : ''
  const first = served === null ? '' : `${served} It goes on meanwhile, and so do these numbers.\n`
  return `From ${from}\nTo   ${to}\n\n${table}\n${calls}${HOW[how]} The source is only read.\n${first}`
}

async function tell(
  { io }: Session,
  { from, to, how }: Plan,
  { same, tables }: Outcome,
  doctor: Examination | null,
): Promise<void> {
  if (!same) {
    io.err(differs(how, tables))
    return
  }
  const rows = tables.reduce((sum, table) => sum + table.to.rows, 0)
  io.out(`All ${count(rows)} rows are in ${to}, and equal to those in ${from}.\n`)
  const sums = tables.flatMap(({ name, to: { sums: all } }) =>
    Object.entries(all).map(([column, sum]) => ({
      name: `${name}.${column}`,
      sum: BigInt(sum).toLocaleString('en'),
    })),
  )
  const columns = [
    { head: 'SUM OF', of: ({ name }: (typeof sums)[number]) => name },
    { head: 'IN BOTH', of: ({ sum }: (typeof sums)[number]) => sum, right: true } as const,
  ]
  io.out(`\n${(await renderTable(columns, sums, undefined)).text}\n`)
  if (doctor?.ok === false) io.out(`${renderFindings(doctor.findings, undefined)}\n${UNWELL}`)
  else
    io.out(
      `Set DATABASE_URL to the target and start the server. Keep ${from} until you are content: what is done from now on is not in it.\n`,
    )
}

const AGAIN = 'The source is as it was. The same command again goes on from where this one came to.'

/** The rows are equal, so that what is wrong was wrong before. */
const UNWELL =
  'The copy is whole, but not all is well with it. "quota-proxy doctor" on the source says whether it was so before.\n'

function differs(how: Plan['how'], tables: readonly Compared[]): string {
  const lines = tables
    .filter(({ same }) => !same)
    .map(({ name, from, to }) => {
      const [rows, there] = [count(from.rows), count(to.rows)]
      const what =
        rows === there ? `${rows} rows, not all equal` : `${rows} rows, ${there} in the target`
      return `  - ${name}: ${what}\n`
    })
  const [so, now] =
    how === 'same'
      ? ['Nothing was copied', 'Name another target.']
      : ['It stays unfinished, and no server takes it', 'The same command again begins anew.']
  return `quota-proxy: The target differs from the source. ${so}:\n${lines.join('')}${now}\n`
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
