/** `quota-proxy backup`: makes, lists, verifies and removes backups, whether the database is being served or not. */
import type { Command } from 'commander'
import type { Session } from '../session.ts'
import { addBackupCreate } from './create.ts'
import { addBackupList } from './list.ts'
import { addBackupPrune } from './prune.ts'
import { addBackupStatus } from './status.ts'
import { addBackupVerify } from './verify.ts'

export function addBackup(program: Command, session: Session): void {
  const backup = program
    .command('backup')
    .summary('make, list, verify and remove backups')
    .description(
      'Back up the database, whether it is being served or not, and look after the backups. They lie in BACKUP_DIR, and in the storage of BACKUP_S3_URL if that is set.',
    )
  addBackupCreate(backup, session)
  addBackupList(backup, session)
  addBackupStatus(backup, session)
  addBackupVerify(backup, session)
  addBackupPrune(backup, session)
}
