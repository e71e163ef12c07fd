/** `quota-proxy migrate`: brings a database to the schema of this binary, or says how far it is. */
import type { Config } from '../../config/options.ts'
import { openDataDir } from '../../data-dir/directory.ts'
import { readDatabaseUrl } from '../../domain/database-url.ts'
import { formatInstant, systemClock } from '../../lib/clock.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { time } from '../output/format.ts'
import { asJson, printTable } from '../output/list.ts'
import { createProgress } from '../output/progress.ts'
import type { Column } from '../output/table.ts'
import { type Session, settings } from '../session.ts'

const NO_DATABASE =
  'There is no database. Set DATA_DIR or DATABASE_URL to the one that is served. The server makes one when it starts.'

type Row = { readonly name: string; readonly state: string; readonly applied_at: string | null }

const COLUMNS: readonly Column<Row>[] = [
  { head: 'MIGRATION', of: ({ name }) => name },
  { head: 'STATE', of: ({ state }) => state },
  { head: 'APPLIED (UTC)', of: ({ applied_at }) => time(applied_at) },
]

type Options = JsonOption & { readonly status?: boolean }

export function addMigrate(program: CliCommand): void {
  const { session } = program
  program
    .command('migrate')
    .summary('bring the database to the schema of this version')
    .description(
      'Apply the migrations that are missing. The server does the same when it starts: this is for those who want to do it apart from the start. Back up first: there is no way back.',
    )
    .option('--status', 'change nothing; exit with 1 unless the schema is that of this version')
    .json()
    .action((options: Options) =>
      (options.status ? showStatus : migrate)(session, settings(session), options),
    )
    .examples('quota-proxy migrate --status', 'quota-proxy migrate')
}

async function showStatus(
  session: Session,
  { databaseUrl }: Config,
  { json }: Options,
): Promise<void> {
  const { migrationStatus } = await import('../../db/open.ts')
  const found = await migrationStatus(databaseUrl)
  if (!found) throw new Error(NO_DATABASE)
  const migrations = found.map(({ name, state, appliedAt }) => ({
    name,
    state,
    applied_at: appliedAt === null ? null : formatInstant(appliedAt),
  }))
  if (migrations.some(({ state }) => state !== 'applied')) session.exitCode = 1
  if (json) session.io.out(asJson(migrations))
  else await printTable(session, [migrations], COLUMNS, '')
}

/** Refuses while a server runs: that one has the schema of its own version. */
async function migrate(session: Session, config: Config, { json }: Options): Promise<void> {
  const { io } = session
  if (readDatabaseUrl(config.databaseUrl).kind === 'memory')
    throw new Error('DATABASE_URL=:memory: exists only in a running server.')
  const { migrateStore, migrationStatus } = await import('../../db/open.ts')
  const pending = await migrationStatus(config.databaseUrl)
  if (!pending) throw new Error(NO_DATABASE)
  process.umask(0o077)
  openDataDir(config.dataDir)
  const total = pending.filter(({ state }) => state === 'pending').length
  const progress = createProgress(session, 'migrations applied', total)
  const { databaseUrl } = config
  const migrated = await migrateStore(databaseUrl, systemClock(), progress.step).finally(() =>
    progress.end(),
  )
  if (json) io.out(asJson({ migrated }))
  else if (migrated.length === 0) io.out('There was nothing to do.\n')
  else io.out(migrated.map((name) => `applied ${name}\n`).join(''))
}
