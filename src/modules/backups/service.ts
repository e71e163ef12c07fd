/**
 * Backups while the server runs: by the schedule, and when the operator asks. One at a time, each in a process of its own;
 * how the latest have gone is remembered in their directory, so that a restart does not forget a failure.
 */
import { Cron } from 'croner'
import type { Config } from '../../config/options.ts'
import type { BackupStatus } from '../../domain/backup.ts'
import { readDatabaseUrl } from '../../domain/database-url.ts'
import { AppError } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Outcome } from './attempt.ts'
import type { Manifest } from './manifest.ts'
import { type BackupProcess, startBackupProcess } from './process.ts'
import { type BackupRecord, NO_RECORD, readRecord, writeRecord } from './status.ts'
import { type Listing, listBackups } from './vault.ts'

/** What operators are told. */
export type Overview = Listing &
  BackupRecord & {
    readonly schedule: string | null
    readonly nextAt: number | null
    readonly running: boolean
    /** Where copies are sent; null if they are not. */
    readonly remoteUrl: string | null
  }

export type Backups = {
  /** As it was seen a few seconds ago at most; reads nothing. */
  status(): BackupStatus
  overview(): Promise<Overview>
  /** Throws the refusal. */
  create(): Promise<Manifest>
  /** The settings may have changed. */
  reschedule(): void
  /** Begins to follow the schedule. Returns what ends it, and with it a backup that is being made. */
  start(): () => Promise<void>
}

export type BackupsOptions = {
  /** In force at this moment. */
  readonly settings: () => Config
  readonly clock: Clock
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
  /** Told how many counters of each new backup do not balance. */
  readonly onExamined: (unbalanced: number) => void
}

/** The command may be run beside the server: what it leaves is noticed this soon. */
const LOOK_MS = 10_000

export function createBackups({ settings, clock, log, onExamined }: BackupsOptions): Backups {
  let record = NO_RECORD
  let running: BackupProcess | null = null
  let cron: Cron | null = null
  let started = false

  async function look(): Promise<void> {
    record = await readRecord(settings().backupDir)
  }

  async function run(): Promise<Outcome> {
    if (running) return BUSY
    const at = clock()
    const { backupDir } = settings()
    running = startBackupProcess(settings())
    try {
      const outcome = await running.outcome
      await look()
      tell(outcome, backupDir, at)
      return outcome
    } finally {
      running = null
    }
  }

  function tell(outcome: Outcome, backupDir: string, at: number): void {
    if (outcome.ok) {
      const { name, bytes, sums } = outcome.backup
      log.info({ name, bytes, durationMs: outcome.duration_ms }, 'backed up')
      if (sums.unbalanced > 0)
        log.error({ counters: sums.unbalanced }, 'the books do not balance; run quota-proxy doctor')
      onExamined(sums.unbalanced)
    } else if (outcome.reason === 'failed') {
      log.error({ error: outcome.error }, 'the backup failed')
      remember(outcome.error, backupDir, at)
    }
  }

  /** A process that was killed has noted nothing. */
  function remember(error: string, backupDir: string, at: number): void {
    if (record.latest?.error === error) return
    const duration_ms = clock() - at
    record = {
      ...record,
      latest: { at: new Date(at).toISOString(), ok: false, error, duration_ms },
    }
    try {
      writeRecord(backupDir, record)
    } catch (failure) {
      log.error({ err: failure }, 'that the backup failed could not be noted')
    }
  }

  function reschedule(): void {
    cron?.stop()
    cron = null
    const { backupSchedule, databaseUrl } = settings()
    if (!started || backupSchedule === undefined) return
    if (readDatabaseUrl(databaseUrl).kind === 'memory') {
      log.warn('BACKUP_SCHEDULE is of no use: a database in memory cannot be backed up')
      return
    }
    cron = new Cron(backupSchedule, { timezone: 'UTC', unref: true }, async () => {
      const outcome = await run()
      if (!outcome.ok && outcome.reason === 'running')
        log.warn('a backup was due, but one is being made already')
    })
  }

  return {
    status: () => ({
      scheduled: cron !== null,
      lastSuccessAt: record.success ? Date.parse(record.success.at) : null,
      failed: record.latest?.ok === false,
      sizeBytes: record.success?.bytes ?? null,
      durationMs: record.success?.duration_ms ?? null,
    }),
    async overview() {
      const [listing] = await Promise.all([listBackups(settings()), look()])
      return {
        ...listing,
        ...record,
        schedule: cron ? (settings().backupSchedule ?? null) : null,
        nextAt: cron?.nextRun()?.getTime() ?? null,
        running: running !== null,
        remoteUrl: settings().backupS3Url ?? null,
      }
    },
    async create() {
      if (readDatabaseUrl(settings().databaseUrl).kind === 'memory') {
        throw new AppError(
          'backup_failed',
          'A database in memory cannot be backed up. Set DATABASE_URL to a file.',
        )
      }
      const outcome = await run()
      if (outcome.ok) return outcome.backup
      throw new AppError(
        outcome.reason === 'running' ? 'backup_running' : 'backup_failed',
        outcome.error,
      )
    },
    reschedule,
    start() {
      started = true
      void look()
      reschedule()
      const timer = setInterval(() => void look(), LOOK_MS)
      timer.unref()
      return async () => {
        started = false
        clearInterval(timer)
        cron?.stop()
        running?.kill()
        await running?.outcome
      }
    },
  }
}

const BUSY: Outcome = {
  ok: false,
  reason: 'running',
  error: 'A backup is being made already. Wait until it has ended.',
  backup: null,
}
