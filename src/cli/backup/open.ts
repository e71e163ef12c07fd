/** What commands about backups share: the engine, and how they describe a backup. */
import { backupSettings } from '../../config/backup-settings.ts'
import type { Config } from '../../config/options.ts'
import type { BackupEngine, BackupSettings } from '../../domain/backup.ts'
import { type Session, settings } from '../session.ts'

/** Whatever is created from here on is for this user alone. */
export async function openBackups(session: Pick<Session, 'env'>): Promise<{
  readonly config: Config
  readonly settings: BackupSettings
  readonly engine: BackupEngine
}> {
  const config = settings(session)
  process.umask(0o077)
  // Loaded here so that the other commands start without the database.
  const { createBackupEngine } = await import('../../db/backup.ts')
  const engine = await createBackupEngine(config.databaseUrl, config.backupDir)
  if (engine) return { config, settings: backupSettings(config), engine }
  throw new Error('A database in memory has no backups. Set DATABASE_URL to a file.')
}

export function contents({ keys, calls }: { keys: number; calls: number }): string {
  const count = (value: number, what: string) =>
    `${value.toLocaleString('en')} ${what}${value === 1 ? '' : 's'}`
  return `${count(keys, 'key')} and ${count(calls, 'call')}`
}

/** A backup of books that do not balance is a faithful one; but somebody should look. */
export function unbalanced(counters: number): string {
  return counters === 0
    ? ''
    : `warning: ${counters} counters in it do not balance with the ledger. "quota-proxy doctor" says which.\n`
}
