/** `quota-proxy migrate`: brings a database to the schema of this binary, or says how far it is. */
import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import { newSecretKey } from '../data-dir/secret-key.ts'
import { readDatabaseUrl } from '../domain/database-url.ts'
import { formatInstant, systemClock } from '../lib/clock.ts'
import { createSealer } from '../lib/seal.ts'
import { examples } from './admin.ts'
import { printProblems } from './config.ts'
import { asJson } from './input.ts'
import type { Session } from './program.ts'
import { type Column, renderTable, time } from './table.ts'

type Options = { readonly status?: boolean; readonly json?: boolean }

type Migration = {
  readonly name: string
  readonly state: 'applied' | 'pending' | 'unknown' | 'changed'
  readonly applied_at: string | null
}

const COLUMNS: readonly Column<Migration>[] = [
  { head: 'MIGRATION', of: ({ name }) => name },
  { head: 'STATE', of: ({ state }) => state },
  { head: 'APPLIED (UTC)', of: ({ applied_at }) => time(applied_at) },
]

export function addMigrate(program: Command, session: Session): void {
  const command = program
    .command('migrate')
    .summary('bring the database to the schema of this version')
    .description(
      'Apply the migrations that are missing. The server does the same when it starts: this is for those who want to do it apart from the start. Back up first: there is no way back.',
    )
    .option('--status', 'change nothing; exit with 1 unless the schema is that of this version')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const loaded = loadConfig(session.env)
      if (!loaded.ok) {
        session.exitCode = printProblems(loaded.problems, session.io)
        return
      }
      await (options.status ? showStatus : migrate)(session, loaded.config, options)
    })
  examples(command, 'quota-proxy migrate --status', 'quota-proxy migrate')
}

async function showStatus(
  session: Session,
  { databaseUrl }: Config,
  options: Options,
): Promise<void> {
  const { migrationStatus } = await import('../db/open.ts')
  const found = await migrationStatus(databaseUrl)
  if (!found) throw new Error('There is no database file. Set DATA_DIR or DATABASE_URL.')
  const migrations = found.map(({ name, state, appliedAt }): Migration => {
    const applied_at = appliedAt === null ? null : formatInstant(appliedAt)
    return { name, state, applied_at }
  })
  if (migrations.some(({ state }) => state !== 'applied')) session.exitCode = 1
  const { io } = session
  io.out(options.json ? asJson(migrations) : await renderTable(COLUMNS, migrations, undefined))
}

/** Refuses while a server runs: that one has the schema of its own version. */
async function migrate(session: Session, config: Config, options: Options): Promise<void> {
  if (readDatabaseUrl(config.databaseUrl).kind === 'memory')
    throw new Error('DATABASE_URL=:memory: exists only in a running server.')
  const { openStore } = await import('../db/open.ts')
  const { openDataDir } = await import('../data-dir/directory.ts')
  process.umask(0o077)
  openDataDir(config.dataDir)
  const { callsRetentionDays: callsDays, callsMax, usageRetentionDays: usageDays } = config
  const store = await openStore(
    {
      url: config.databaseUrl,
      durability: 'full',
      retention: () => ({ callsDays, callsMax, usageDays }),
      events: { onFailure() {}, onRecovery() {}, onRejected() {} },
      // Migrating opens no credential.
      sealer: createSealer({ all: () => [], create: newSecretKey }),
    },
    systemClock(),
  )
  const { migrated } = store
  await store.close()
  if (options.json) session.io.out(asJson({ migrated }))
  else if (migrated.length === 0) session.io.out('There was nothing to do.\n')
  else session.io.out(migrated.map((name) => `applied ${name}\n`).join(''))
}
