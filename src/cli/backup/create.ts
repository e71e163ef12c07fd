/** `quota-proxy backup create`. */
import { type Command, Option } from 'commander'
import type { Environment } from '../../config/load.ts'
import type { Config } from '../../config/options.ts'
import { systemClock } from '../../lib/clock.ts'
import { lowerPriority } from '../../lib/process/priority.ts'
import type { Outcome } from '../../modules/backups/attempt.ts'
import { withExamples } from '../admin-command.ts'
import { bytes } from '../output/format.ts'
import type { Session } from '../session.ts'
import { contents, openBackups, unbalanced } from './open.ts'

type Options = { readonly json?: boolean; readonly settingsFromStdin?: true }

export function addBackupCreate(backup: Command, session: Session): void {
  const command = backup
    .command('create')
    .summary('back up now')
    .description(
      'Copy the database as it is now, pack the copy, restore what was packed, and compare. Calls are served meanwhile. Old backups are then removed as BACKUP_KEEP and BACKUP_KEEP_DAYS say. Exits with 1 if anything went wrong.',
    )
    .option('--json', 'print JSON')
    // How a running server has its backups made.
    .addOption(new Option('--settings-from-stdin').hideHelp())
    .action((options: Options) => create(session, options))
  withExamples(
    command,
    'quota-proxy backup create',
    'BACKUP_DIR=/mnt/backups quota-proxy backup create',
  )
}

async function create(session: Session, { json, settingsFromStdin }: Options): Promise<void> {
  const { io } = session
  const env: Environment = settingsFromStdin ? await Bun.stdin.json() : session.env
  const { config, engine } = await openBackups({ env })
  lowerPriority()
  const { attemptBackup } = await import('../../modules/backups/attempt.ts')
  const outcome = await attemptBackup(config, engine, systemClock)
  if (json) io.out(`${JSON.stringify(outcome)}\n`)
  else if (outcome.ok) io.out(describe(outcome, config))
  else io.err(`quota-proxy: ${outcome.error}\n`)
  if (!outcome.ok) session.exitCode = 1
}

function describe({ backup, duration_ms }: Outcome & { ok: true }, config: Config): string {
  const seconds = (duration_ms / 1000).toFixed(1)
  const copy = config.backupS3Url ? `, and is at ${config.backupS3Url} too` : ''
  return `${config.backupDir}/${backup.name}
It holds ${contents(backup.sums)} in ${bytes(backup.bytes)}, was verified by restoring it${copy}. Done in ${seconds} s.
${unbalanced(backup.sums.unbalanced)}`
}
