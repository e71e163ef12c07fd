/** `quota-proxy backup verify`. */
import type { Command } from 'commander'
import { lowerPriority } from '../../lib/process/priority.ts'
import { withExamples } from '../admin-command.ts'
import type { Session } from '../session.ts'
import { contents, openBackups, unbalanced } from './open.ts'

type Options = { readonly json?: boolean; readonly identityFile?: string }

export function addBackupVerify(backup: Command, session: Session): void {
  const command = backup
    .command('verify')
    .summary('verify a backup by restoring it to a scratch file')
    .description(
      'Is a backup what it was when it was made? Restores it to a scratch file and examines that. Of an encrypted one only the bytes are compared, unless its private key is given. Exits with 1 if something is wrong.',
    )
    .argument('[backup]', 'its name, or the path of a file; the newest unless given', 'latest')
    .option('--identity-file <file>', 'file with the private key of age')
    .option('--json', 'print JSON')
    .action((reference: string, options: Options) => verify(session, reference, options))
  withExamples(
    command,
    'quota-proxy backup verify',
    'quota-proxy backup verify quota-20261123T031700Z-5f0c3a.db.zst.age --identity-file key.txt',
  )
}

async function verify(
  session: Session,
  reference: string,
  { json, identityFile }: Options,
): Promise<void> {
  const { io } = session
  const { config, engine } = await openBackups(session)
  const [{ withBackup }, { verifyBackup }, { readIdentities }] = await Promise.all([
    import('../../modules/backups/vault.ts'),
    import('../../modules/backups/verify.ts'),
    import('../../modules/backups/identities.ts'),
  ])
  const identities = identityFile === undefined ? [] : readIdentities(identityFile)
  lowerPriority()
  await withBackup(config, engine, reference, async (candidate) => {
    const { path } = candidate
    const verified = await verifyBackup(engine, config.backupDir, candidate, identities)
    if (json) io.out(`${JSON.stringify({ path, ...verified })}\n`)
    else if (!verified.ok) io.err(`quota-proxy: ${path}: ${verified.problem}\n`)
    else if (!verified.sums)
      io.out(`${path}: the bytes are what they were. To look inside, give --identity-file.\n`)
    else
      io.out(
        `${path}: sound. It holds ${contents(verified.sums)}.\n${unbalanced(verified.sums.unbalanced)}`,
      )
    if (!verified.ok) session.exitCode = 1
  })
}
