/** `quota-proxy backup`: makes, lists, verifies and removes backups, whether the database is being served or not. */
import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { type Command, Option } from 'commander'
import { backupSettings } from '../config/backup-settings.ts'
import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import type { BackupEngine, BackupSettings } from '../domain/backup.ts'
import { systemClock } from '../lib/clock.ts'
import type { BackupOutcome } from '../modules/backups/catalog.ts'
import type { Listed, Listing, Pruned } from '../modules/backups/storage.ts'
import { examples, Misuse } from './admin.ts'
import { addBackupStatus } from './backup-status.ts'
import { confirm } from './confirm.ts'
import type { Session } from './program.ts'
import { bytes, renderTable, time } from './table.ts'

type Json = { readonly json?: boolean }

/** Whatever else the machine has to do goes first, above all the calls. */
const NICE = 19

export function addBackup(program: Command, session: Session): void {
  const backup = program
    .command('backup')
    .summary('make, list, verify and remove backups')
    .description(
      'Back up the database, whether it is being served or not, and look after the backups. They lie in BACKUP_DIR, and in the storage of BACKUP_S3_URL if that is set.',
    )
  const create = backup
    .command('create')
    .summary('back up now')
    .description(
      'Copy the database as it is now, pack the copy, restore what was packed, and compare. Calls are served meanwhile. Old backups are then removed as BACKUP_KEEP and BACKUP_KEEP_DAYS say. Exits with 1 if anything went wrong.',
    )
    .option('--json', 'print JSON')
    // How a running server has its backups made.
    .addOption(new Option('--settings-from-stdin').hideHelp())
    .action(async (options: Json & { settingsFromStdin?: true }) => {
      const env = options.settingsFromStdin ? await readSettings() : session.env
      session.exitCode = await createOne({ ...session, env }, options)
    })
  examples(create, 'quota-proxy backup create', 'BACKUP_DIR=/mnt/backups quota-proxy backup create')

  const list = backup
    .command('list')
    .summary('list backups, newest first')
    .description('Show every backup, how large it is, what is in it and where it lies.')
    .option('--json', 'print JSON')
    .action(async (options: Json) => {
      session.exitCode = await listAll(session, options)
    })
  examples(list, 'quota-proxy backup list', 'quota-proxy backup list --json')

  addBackupStatus(backup, session)

  const verify = backup
    .command('verify')
    .summary('verify a backup by restoring it to a scratch file')
    .description(
      'Is a backup what it was when it was made? Restores it to a scratch file and examines that. Of an encrypted one only the bytes are compared, unless its private key is given. Exits with 1 if something is wrong.',
    )
    .argument('[backup]', 'its name, or the path of a file; the newest unless given', 'latest')
    .option('--identity-file <file>', 'file with the private key of age')
    .option('--json', 'print JSON')
    .action(async (reference: string, options: Json & { identityFile?: string }) => {
      session.exitCode = await verifyOne(session, reference, options)
    })
  examples(
    verify,
    'quota-proxy backup verify',
    'quota-proxy backup verify quota-20261123T031700Z-5f0c3a.db.zst.age --identity-file key.txt',
  )

  const prune = backup
    .command('prune')
    .summary('remove old backups')
    .description(
      'Remove what BACKUP_KEEP and BACKUP_KEEP_DAYS do not keep, here and in the storage of BACKUP_S3_URL. The newest backup stays in any case, and files of other names are never touched.',
    )
    .option('--dry-run', 'only show what would be removed')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(async (options: Json & { dryRun?: boolean; yes?: boolean }) => {
      session.exitCode = await pruneOld(session, options)
    })
  examples(
    prune,
    'quota-proxy backup prune --dry-run',
    'BACKUP_KEEP=3 quota-proxy backup prune --yes',
  )
}

/** Throws what is wrong with the settings. What is created from here on is for this user alone. */
export async function openBackups(
  env: Environment,
): Promise<{ config: Config; settings: BackupSettings; engine: BackupEngine }> {
  const loaded = loadConfig(env)
  if (!loaded.ok)
    throw new Misuse(`The configuration is not valid:\n  - ${loaded.problems.join('\n  - ')}`)
  process.umask(0o077)
  // Loaded here so that the other commands start without the database.
  const { createBackupEngine } = await import('../db/sqlite/backup/engine.ts')
  const { config } = loaded
  const engine = createBackupEngine(config.databaseUrl)
  if (engine) return { config, settings: backupSettings(config), engine }
  throw new Error('A database in memory has no backups. Set DATABASE_URL to a file.')
}

async function createOne({ env, io }: Session, { json }: Json): Promise<number> {
  const { settings, engine } = await openBackups(env)
  lowerPriority()
  const { attemptBackup } = await import('../modules/backups/make.ts')
  const outcome = await attemptBackup(settings, engine, systemClock)
  if (json) io.out(`${JSON.stringify(outcome)}\n`)
  else if (outcome.ok) io.out(describe(outcome, settings))
  else await io.err(`quota-proxy: ${outcome.error}\n`)
  return outcome.ok ? 0 : 1
}

function describe(
  { backup, duration_ms }: BackupOutcome & { ok: true },
  { directory, storage }: BackupSettings,
): string {
  const seconds = (duration_ms / 1000).toFixed(1)
  const copy = storage ? `, and is at ${storage.url} too` : ''
  return `${directory}/${backup.name}
It holds ${contents(backup.sums)} in ${bytes(backup.bytes)}, was verified by restoring it${copy}. Done in ${seconds} s.
${unbalanced(backup.sums.unbalanced)}`
}

/** A backup of books that do not balance is a faithful one; but somebody should look. */
export function unbalanced(counters: number): string {
  return counters === 0
    ? ''
    : `warning: ${counters} counters in it do not balance with the ledger. "quota-proxy doctor" says which.\n`
}

export function contents({ keys, calls }: { keys: number; calls: number }): string {
  const count = (value: number, what: string) =>
    `${value.toLocaleString('en')} ${what}${value === 1 ? '' : 's'}`
  return `${count(keys, 'key')} and ${count(calls, 'call')}`
}

async function listAll({ env, io }: Session, { json }: Json): Promise<number> {
  const { settings } = await openBackups(env)
  const { listBackups } = await import('../modules/backups/storage.ts')
  const listing = await listBackups(settings)
  if (json) {
    const { showBackup } = await import('../modules/backups/model.ts')
    const { backups, storageProblem: s3_problem } = listing
    io.out(`${JSON.stringify({ backups: backups.map(showBackup), s3_problem })}\n`)
  } else {
    io.out(await render(listing, settings))
  }
  if (listing.storageProblem !== null) await io.err(`quota-proxy: ${listing.storageProblem}\n`)
  return listing.storageProblem === null ? 0 : 1
}

async function render({ backups }: Listing, { directory }: BackupSettings): Promise<string> {
  if (backups.length === 0)
    return `There is no backup in ${directory} yet. "quota-proxy backup create" makes one.\n`
  return await renderTable<Listed>(
    [
      { head: 'NAME', of: ({ name }) => name },
      { head: 'CREATED (UTC)', of: ({ at }) => time(new Date(at).toISOString()) },
      { head: 'SIZE', right: true, of: (one) => bytes(one.bytes) },
      { head: 'KEYS', right: true, of: ({ manifest }) => manifest?.sums.keys ?? null },
      { head: 'CALLS', right: true, of: ({ manifest }) => manifest?.sums.calls ?? null },
      { head: 'WHERE', of: ({ places }) => places.join(', ') },
      { head: 'PROBLEM', shrinks: true, of: ({ problem }) => problem },
    ],
    backups,
    process.stdout.columns,
  )
}

async function verifyOne(
  { env, io }: Session,
  reference: string,
  { json, identityFile }: Json & { identityFile?: string },
): Promise<number> {
  const { settings, engine } = await openBackups(env)
  const [{ verifyBackup, withBackup }, { readIdentities }] = await Promise.all([
    import('../modules/backups/check.ts'),
    import('../modules/backups/pack.ts'),
  ])
  const identities = identityFile === undefined ? [] : readIdentities(identityFile)
  lowerPriority()
  return await withBackup(settings, engine, reference, async (candidate) => {
    const { path } = candidate
    const verified = await verifyBackup(engine, settings.directory, candidate, identities)
    if (json) io.out(`${JSON.stringify({ path, ...verified })}\n`)
    else if (!verified.ok) await io.err(`quota-proxy: ${path}: ${verified.problem}\n`)
    else if (!verified.sums)
      io.out(`${path}: the bytes are what they were. To look inside, give --identity-file.\n`)
    else
      io.out(
        `${path}: sound. It holds ${contents(verified.sums)}.\n${unbalanced(verified.sums.unbalanced)}`,
      )
    return verified.ok ? 0 : 1
  })
}

async function pruneOld(
  session: Session,
  { json, dryRun, yes }: Json & { dryRun?: boolean; yes?: boolean },
): Promise<number> {
  const { settings } = await openBackups(session.env)
  const { pruneBackups } = await import('../modules/backups/storage.ts')
  const { io } = session
  const say = async (pruned: readonly Pruned[], verb: string) => {
    if (json) io.out(`${JSON.stringify({ dry_run: dryRun === true, removed: pruned })}\n`)
    else if (pruned.length === 0) io.out('There is nothing to remove.\n')
    else io.out(pruned.map(({ name, place }) => `${verb} ${name} (${place})\n`).join(''))
  }
  const due = await pruneBackups(settings, systemClock(), true)
  if (dryRun || due.length === 0) {
    await say(due, 'would remove')
    return 0
  }
  const sure = await confirm(session, `Remove ${due.length} backups?`, yes ? { yes } : {})
  if (!sure) return 1
  await say(await pruneBackups(settings, systemClock(), false), 'removed')
  return 0
}

/** On Linux each thread has a priority of its own, and what packs is not the main one. */
function lowerPriority(): void {
  for (const thread of [0, ...threads()]) {
    try {
      setPriority(thread, NICE)
    } catch {
      // It has ended, or whoever has set limits to this process does not let it.
    }
  }
}

function threads(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number)
  } catch {
    return []
  }
}

async function readSettings(): Promise<Environment> {
  return JSON.parse(await Bun.stdin.text()) as Environment
}
