/** `quota-proxy backup`: makes, lists, verifies and removes backups, with or without a server. */
import { Option } from 'commander'
import type { Environment } from '../../config/environment.ts'
import type { BackupSettings } from '../../domain/backup.ts'
import { systemClock } from '../../lib/clock.ts'
import { lowerPriority } from '../../lib/process/priority.ts'
import type { BackupOutcome } from '../../modules/backups/catalog.ts'
import type { Listed, Pruned } from '../../modules/backups/storage.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { confirm } from '../confirm.ts'
import { bytes, time } from '../output/format.ts'
import { printTable } from '../output/list.ts'
import { createProgress, watchBytes } from '../output/progress.ts'
import type { Column } from '../output/table.ts'
import type { Session } from '../session.ts'
import { contents, openBackups, unbalanced } from './open.ts'
import { addBackupStatus } from './status.ts'

type CreateOptions = JsonOption & { readonly settingsFromStdin?: true; readonly due?: number }
type VerifyOptions = JsonOption & { readonly identityFile?: string }
type PruneOptions = JsonOption & { readonly dryRun?: boolean; readonly yes?: boolean }

const COLUMNS: readonly Column<Listed>[] = [
  { head: 'NAME', of: ({ name }) => name },
  { head: 'CREATED (UTC)', of: ({ at }) => time(new Date(at).toISOString()), drops: 1 },
  { head: 'SIZE', right: true, of: (one) => bytes(one.bytes) },
  { head: 'KEYS', right: true, of: ({ manifest }) => manifest?.sums.keys ?? null, drops: 3 },
  { head: 'CALLS', right: true, of: ({ manifest }) => manifest?.sums.calls ?? null, drops: 2 },
  { head: 'WHERE', of: ({ places }) => places.join(', ') },
  { head: 'PROBLEM', wraps: true, of: ({ problem }) => problem },
]

/** Why a dump of PostgreSQL could not be restored to be verified. */
const NOT_RESTORED =
  ' (it was not restored, since the role of DATABASE_URL may not create a database for that)'

export function addBackup(program: CliCommand): void {
  const backup = program
    .command('backup')
    .summary('make, list, verify and remove backups')
    .description(
      'Back up the database, whether it is being served or not, and look after the backups. They lie in BACKUP_DIR, and in the storage of BACKUP_S3_URL if that is set.',
    )
  addMaking(backup)
  addBackupStatus(backup)
  addKeeping(backup)
}

function addMaking(backup: CliCommand): void {
  const { session } = backup
  backup
    .command('create')
    .summary('back up now')
    .description(
      'Copy the database as it is now, pack the copy, restore what was packed, and compare. Calls are served meanwhile. Old backups are then removed as BACKUP_KEEP and BACKUP_KEEP_DAYS say. Exits with 1 if anything went wrong.',
    )
    .json()
    // How a running server has its backups made.
    .addOption(new Option('--settings-from-stdin').hideHelp())
    .addOption(new Option('--due <instant>').argParser(Number).hideHelp())
    .action((options: CreateOptions) => create(session, options))
    .examples('quota-proxy backup create', 'BACKUP_DIR=/mnt/backups quota-proxy backup create')
  backup
    .command('list')
    .summary('list backups, newest first')
    .description('Show every backup, how large it is, what is in it and where it lies.')
    .json()
    .action(({ json = false }: JsonOption) => list(session, json))
    .examples('quota-proxy backup list', 'quota-proxy backup list --json')
}

function addKeeping(backup: CliCommand): void {
  const { session } = backup
  backup
    .command('verify')
    .summary('verify a backup by restoring it to a scratch file')
    .description(
      'Is a backup what it was when it was made? Restores it to a scratch file and examines that. Of an encrypted one only the bytes are compared, unless its private key is given. Exits with 1 if something is wrong.',
    )
    .argument('[backup]', 'its name, or the path of a file; the newest unless given', 'latest')
    .option('--identity-file <file>', 'file with the private key of age')
    .json()
    .action((reference: string, options: VerifyOptions) => verify(session, reference, options))
    .examples(
      'quota-proxy backup verify',
      'quota-proxy backup verify quota-20261123T031700Z-5f0c3a.db.zst.age --identity-file key.txt',
    )
  backup
    .command('prune')
    .summary('remove old backups')
    .description(
      'Remove what BACKUP_KEEP and BACKUP_KEEP_DAYS do not keep, here and in the storage of BACKUP_S3_URL. The newest backup stays in any case, and files of other names are never touched.',
    )
    .option('--dry-run', 'only show what would be removed')
    .option('-y, --yes', 'do not ask')
    .json()
    .action((options: PruneOptions) => prune(session, options))
    .examples('quota-proxy backup prune --dry-run', 'BACKUP_KEEP=3 quota-proxy backup prune --yes')
}

async function create(
  session: Session,
  { json, settingsFromStdin, due }: CreateOptions,
): Promise<void> {
  const { io } = session
  const env: Environment = settingsFromStdin ? await Bun.stdin.json() : session.env
  const { settings, engine } = await openBackups({ env })
  // Before anything is made; a server notes this failure like any other.
  if (!settingsFromStdin) engine.mustExist()
  lowerPriority()
  const { attemptBackup } = await import('../../modules/backups/make.ts')
  const watch = watchBytes(session, 'backed up')
  const outcome = await attemptBackup(settings, engine, systemClock, watch, due).finally(watch.end)
  if (json) io.out(`${JSON.stringify(outcome)}\n`)
  else if (outcome.ok) io.out(describe(outcome, settings))
  else io.err(`quota-proxy: ${outcome.error}\n`)
  if (!outcome.ok) session.exitCode = 1
}

function describe(
  { backup, duration_ms }: BackupOutcome & { ok: true },
  { directory, storage }: BackupSettings,
): string {
  const seconds = (duration_ms / 1000).toFixed(1)
  const copy = storage ? `, and is at ${storage.url} too` : ''
  const how =
    backup.verified === 'read'
      ? `was read to its end${NOT_RESTORED}`
      : 'was verified by restoring it'
  return `${directory}/${backup.name}
It holds ${contents(backup.sums)} in ${bytes(backup.bytes)}, and ${how}${copy}. Done in ${seconds} s.
${unbalanced(backup.sums.unbalanced)}`
}

async function list(session: Session, json: boolean): Promise<void> {
  const { io } = session
  const { settings } = await openBackups(session)
  const [{ listBackups }, { showBackup }] = await Promise.all([
    import('../../modules/backups/storage.ts'),
    import('../../modules/backups/model.ts'),
  ])
  const { backups, storageProblem: s3_problem } = await listBackups(settings)
  if (json) io.out(`${JSON.stringify({ backups: backups.map(showBackup), s3_problem })}\n`)
  else if (backups.length > 0) await printTable(session, [backups], COLUMNS, '')
  else
    io.out(
      `There is no backup in ${settings.directory} yet. "quota-proxy backup create" makes one.\n`,
    )
  if (s3_problem === null) return
  io.err(`quota-proxy: ${s3_problem}\n`)
  session.exitCode = 1
}

async function verify(
  session: Session,
  reference: string,
  { json, identityFile }: VerifyOptions,
): Promise<void> {
  const { io } = session
  const { settings, engine } = await openBackups(session)
  const [{ verifyBackup, withBackup }, { readIdentities }] = await Promise.all([
    import('../../modules/backups/check.ts'),
    import('../../modules/backups/pack.ts'),
  ])
  const identities = identityFile === undefined ? [] : readIdentities(identityFile)
  lowerPriority()
  await withBackup(settings, engine, reference, async (candidate) => {
    const { path } = candidate
    const watch = watchBytes(session, 'verified')
    const { directory } = settings
    const verified = await verifyBackup(engine, directory, candidate, identities, watch).finally(
      watch.end,
    )
    if (json) io.out(`${JSON.stringify({ path, ...verified })}\n`)
    else if (!verified.ok) io.err(`quota-proxy: ${path}: ${verified.problem}\n`)
    else if (candidate.manifest?.encrypted && identities.length === 0)
      io.out(`${path}: the bytes are what they were. To look inside, give --identity-file.\n`)
    else if (!verified.isRestored || !verified.sums)
      io.out(`${path}: whole, and it can be read to its end${NOT_RESTORED}.\n`)
    else
      io.out(
        `${path}: sound. It holds ${contents(verified.sums)}.\n${unbalanced(verified.sums.unbalanced)}`,
      )
    if (!verified.ok) session.exitCode = 1
  })
}

async function removeDue(session: Session, settings: BackupSettings, total: number) {
  const { pruneBackups } = await import('../../modules/backups/storage.ts')
  const progress = createProgress(session, 'backups removed', total)
  const onRemoved = () => progress.step()
  return await pruneBackups(settings, systemClock(), false, onRemoved).finally(progress.end)
}

async function prune(session: Session, { json, dryRun = false, yes }: PruneOptions): Promise<void> {
  const { io } = session
  const { settings } = await openBackups(session)
  const { pruneBackups } = await import('../../modules/backups/storage.ts')
  const say = (removed: readonly Pruned[], verb: string) => {
    if (json) io.out(`${JSON.stringify({ dry_run: dryRun, removed })}\n`)
    else if (removed.length === 0) io.out('There is nothing to remove.\n')
    else io.out(removed.map(({ name, place }) => `${verb} ${name} (${place})\n`).join(''))
  }
  const due = await pruneBackups(settings, systemClock(), true)
  if (dryRun || due.length === 0) say(due, 'would remove')
  else if (await confirm(session, `Remove ${due.length} backups?`, yes))
    say(await removeDue(session, settings, due.length), 'removed')
  else session.exitCode = 1
}
