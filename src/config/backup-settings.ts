/**
 * The settings of backups as a value of their own, and back as variables: a running server hands
 * them to the process that makes its backups.
 */
import type { BackupSettings } from '../domain/backup.ts'
import type { Environment } from './environment.ts'
import { type Config, OPTIONS } from './options.ts'

export function backupSettings(config: Config): BackupSettings {
  const { backupS3Url: url, backupS3AccessKeyId, backupS3SecretAccessKey } = config
  return {
    databaseUrl: config.databaseUrl,
    directory: config.backupDir,
    retention: { count: config.backupKeep, days: config.backupKeepDays },
    recipients: config.backupAgeRecipients,
    schedule: config.backupSchedule ?? null,
    timezone: config.defaultTimezone,
    storage:
      url && backupS3AccessKeyId && backupS3SecretAccessKey
        ? {
            url,
            endpoint: config.backupS3Endpoint ?? null,
            region: config.backupS3Region,
            accessKeyId: backupS3AccessKeyId,
            secretAccessKey: backupS3SecretAccessKey,
          }
        : null,
  }
}

/** What `loadConfig` reads the same settings from. The schedule is left out: one backup is made. */
export function backupEnvironment(settings: BackupSettings): Environment {
  const { databaseUrl, directory, retention, recipients, storage } = settings
  return {
    [OPTIONS.databaseUrl.env]: databaseUrl,
    [OPTIONS.backupDir.env]: directory,
    [OPTIONS.backupKeep.env]: String(retention.count),
    [OPTIONS.backupKeepDays.env]: String(retention.days),
    [OPTIONS.backupAgeRecipients.env]: recipients.join(','),
    // Valid only together with a storage.
    ...(storage && {
      [OPTIONS.backupS3Url.env]: storage.url,
      [OPTIONS.backupS3Region.env]: storage.region,
      [OPTIONS.backupS3AccessKeyId.env]: storage.accessKeyId,
      [OPTIONS.backupS3SecretAccessKey.env]: storage.secretAccessKey,
      ...(storage.endpoint !== null && { [OPTIONS.backupS3Endpoint.env]: storage.endpoint }),
    }),
  }
}
