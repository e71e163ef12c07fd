/** `quota-proxy backup list`. */
import type { Command } from 'commander'
import type { Listed } from '../../modules/backups/vault.ts'
import { withExamples } from '../admin-command.ts'
import { bytes, time } from '../output/format.ts'
import { type Column, renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'
import { openBackups } from './open.ts'

const COLUMNS: readonly Column<Listed>[] = [
  { head: 'NAME', of: ({ name }) => name },
  { head: 'CREATED (UTC)', of: ({ at }) => time(new Date(at).toISOString()) },
  { head: 'SIZE', right: true, of: (one) => bytes(one.bytes) },
  { head: 'KEYS', right: true, of: ({ manifest }) => manifest?.sums.keys ?? null },
  { head: 'CALLS', right: true, of: ({ manifest }) => manifest?.sums.calls ?? null },
  { head: 'WHERE', of: ({ places }) => places.join(', ') },
  { head: 'PROBLEM', shrinks: true, of: ({ problem }) => problem },
]

export function addBackupList(backup: Command, session: Session): void {
  const command = backup
    .command('list')
    .summary('list backups, newest first')
    .description('Show every backup, how large it is, what is in it and where it lies.')
    .option('--json', 'print JSON')
    .action(({ json }: { json?: boolean }) => list(session, json === true))
  withExamples(command, 'quota-proxy backup list', 'quota-proxy backup list --json')
}

async function list(session: Session, json: boolean): Promise<void> {
  const { io } = session
  const { config } = await openBackups(session)
  const [{ listBackups }, { showBackup }] = await Promise.all([
    import('../../modules/backups/vault.ts'),
    import('../../modules/backups/show.ts'),
  ])
  const { backups, remoteProblem: s3_problem } = await listBackups(config)
  if (json) io.out(`${JSON.stringify({ backups: backups.map(showBackup), s3_problem })}\n`)
  else if (backups.length > 0) io.out(await renderTable(COLUMNS, backups, process.stdout.columns))
  else
    io.out(
      `There is no backup in ${config.backupDir} yet. "quota-proxy backup create" makes one.\n`,
    )
  if (s3_problem === null) return
  io.err(`quota-proxy: ${s3_problem}\n`)
  session.exitCode = 1
}
