/** `quota-proxy backup prune`. */
import type { Command } from 'commander'
import { systemClock } from '../../lib/clock.ts'
import type { Pruned } from '../../modules/backups/vault.ts'
import { withExamples } from '../admin-command.ts'
import { confirm } from '../confirmed.ts'
import type { Session } from '../session.ts'
import { openBackups } from './open.ts'

type Options = { readonly json?: boolean; readonly dryRun?: boolean; readonly yes?: boolean }

export function addBackupPrune(backup: Command, session: Session): void {
  const command = backup
    .command('prune')
    .summary('remove old backups')
    .description(
      'Remove what BACKUP_KEEP and BACKUP_KEEP_DAYS do not keep, here and in the storage of BACKUP_S3_URL. The newest backup stays in any case, and files of other names are never touched.',
    )
    .option('--dry-run', 'only show what would be removed')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print JSON')
    .action((options: Options) => prune(session, options))
  withExamples(
    command,
    'quota-proxy backup prune --dry-run',
    'BACKUP_KEEP=3 quota-proxy backup prune --yes',
  )
}

async function prune(session: Session, { json, dryRun = false, yes }: Options): Promise<void> {
  const { io } = session
  const { config } = await openBackups(session)
  const vault = await import('../../modules/backups/vault.ts')
  const say = (removed: readonly Pruned[], verb: string) => {
    if (json) io.out(`${JSON.stringify({ dry_run: dryRun, removed })}\n`)
    else if (removed.length === 0) io.out('There is nothing to remove.\n')
    else io.out(removed.map(({ name, place }) => `${verb} ${name} (${place})\n`).join(''))
  }
  const due = await vault.prune(config, systemClock(), true)
  if (dryRun || due.length === 0) say(due, 'would remove')
  else if (await confirm(session, `Remove ${due.length} backups?`, yes))
    say(await vault.prune(config, systemClock(), false), 'removed')
  else session.exitCode = 1
}
