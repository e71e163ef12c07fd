/**
 * Backups while the server runs: by the schedule, and when the operator asks. One at a time, each
 * in a process of its own: reading, packing and verifying a database would stop every call for as
 * long as it takes. A file keeps the record of the latest attempts, so that a restart does not
 * forget a failure.
 */
import { Cron } from 'croner'
import type { BackupSettings, BackupStatus } from '../../domain/backup.ts'
import { readDatabaseUrl } from '../../domain/database-url.ts'
import { AppError } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { type BackupOutcome, BUSY, readName } from './catalog.ts'
import { type BackupProcess, startProcess } from './process.ts'
import { type BackupRecord, NO_RECORD, readRecords, writeRecord } from './record.ts'
import { type Listed, type Listing, listBackups } from './storage.ts'

/** What operators see. */
export type Overview = Listing &
  BackupRecord & {
    readonly schedule: string | null
    readonly nextAt: number | null
    readonly running: boolean
    /** Null if copies are sent nowhere. */
    readonly storageUrl: string | null
  }

export type Backups = {
  /** A few seconds old at most. Reads no file. */
  status(): BackupStatus
  overview(): Promise<Overview>
  /** Throws the refusal. */
  create(): Promise<Listed>
  /** To be called when the settings may have changed. */
  reschedule(): void
  /** Follows the schedule. Returns a function that stops it, and the backup that is being made. */
  start(): () => Promise<void>
}

export type BackupsOptions = {
  /** Returns the settings in force. */
  readonly settings: () => BackupSettings
  readonly clock: Clock
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
  /** Why backups would fail as things are; null if nothing is known. */
  readonly problem: string | null
  /** Resolves with the record that all servers of the database share; null where there is one server. */
  readonly shared: (() => Promise<unknown>) | null
  /** Called with the number of unbalanced counters of each new backup. */
  readonly onExamined: (unbalanced: number) => void
}

/** Makes backups one at a time, and knows how the latest attempts went. */
type Runner = {
  record(): BackupRecord
  /** Reads the record again: the command may have made a backup beside the server. */
  refresh(): Promise<void>
  running(): BackupProcess | null
  /** `due` is the instant of the schedule; null if somebody asks. */
  run(due: number | null): Promise<BackupOutcome>
}

/** The server sees within this time what a command has done beside it. */
const REFRESH_MS = 10_000

/** Schedules are as fine as this. */
const MINUTE_MS = 60_000

export function createBackups(options: BackupsOptions): Backups {
  const { settings } = options
  const runner = createRunner(options)
  let cron: Cron | null = null
  let started = false

  function reschedule(): void {
    cron?.stop()
    cron = started ? startCron(settings(), options, runner) : null
  }

  return {
    status: () => statusOf(runner.record(), cron !== null),
    async overview() {
      const [listing] = await Promise.all([listBackups(settings()), runner.refresh()])
      const { schedule, storage } = settings()
      return {
        ...listing,
        ...runner.record(),
        schedule: cron && schedule,
        nextAt: cron?.nextRun()?.getTime() ?? null,
        running: runner.running() !== null,
        storageUrl: storage?.url ?? null,
      }
    },
    create: () => createNow(settings(), runner),
    reschedule,
    start() {
      started = true
      void runner.refresh()
      reschedule()
      const timer = setInterval(() => void runner.refresh(), REFRESH_MS)
      timer.unref()
      return async () => {
        started = false
        clearInterval(timer)
        cron?.stop()
        runner.running()?.kill()
        await runner.running()?.outcome
      }
    },
  }
}

function createRunner({ settings, clock, log, onExamined, shared }: BackupsOptions): Runner {
  let record = NO_RECORD
  let running: BackupProcess | null = null

  async function refresh(): Promise<void> {
    record = await readRecords(settings().directory, shared)
  }

  /** A process that was killed has recorded nothing itself. */
  function recordFailure(error: string, directory: string, at: number): void {
    if (record.latest?.error === error) return
    const latest = { at: new Date(at).toISOString(), ok: false, error, duration_ms: clock() - at }
    record = { ...record, latest }
    try {
      writeRecord(directory, record)
    } catch (failure) {
      log.error({ err: failure }, 'that the backup failed could not be noted')
    }
  }

  async function run(due: number | null): Promise<BackupOutcome> {
    if (running) return BUSY
    const at = clock()
    const used = settings()
    running = startProcess(used, due)
    try {
      const outcome = await running.outcome
      await refresh()
      if (outcome.ok) {
        logSuccess(outcome, log)
        onExamined(outcome.backup.sums.unbalanced)
      } else if (outcome.reason === 'failed') {
        log.error({ error: outcome.error }, 'the backup failed')
        recordFailure(outcome.error, used.directory, at)
      }
      return outcome
    } finally {
      running = null
    }
  }

  return { record: () => record, refresh, running: () => running, run }
}

/** Null if no backups are scheduled, or none can be made. */
function startCron(
  { schedule, timezone, databaseUrl }: BackupSettings,
  { log, clock, problem }: BackupsOptions,
  runner: Runner,
): Cron | null {
  if (schedule === null) return null
  if (readDatabaseUrl(databaseUrl).kind === 'memory') {
    log.warn('BACKUP_SCHEDULE is of no use: a database in memory cannot be backed up')
    return null
  }
  // It may be mended while the server runs.
  if (problem !== null) log.warn({ problem }, 'backups are scheduled, and will fail')
  return new Cron(schedule, { timezone, unref: true }, async () => {
    // The same number on all servers that have this schedule.
    const due = Math.floor(clock() / MINUTE_MS) * MINUTE_MS
    const outcome = await runner.run(due)
    if (outcome.ok) return
    if (outcome.reason === 'running') log.warn('a backup was due, but one is being made already')
    if (outcome.reason === 'elsewhere') log.info('another server makes the backup that is due')
  })
}

async function createNow({ databaseUrl }: BackupSettings, runner: Runner): Promise<Listed> {
  if (readDatabaseUrl(databaseUrl).kind === 'memory') {
    throw new AppError(
      'backup_failed',
      'A database in memory cannot be backed up. Set DATABASE_URL to a file.',
    )
  }
  const outcome = await runner.run(null)
  if (!outcome.ok) {
    const code = outcome.reason === 'running' ? 'backup_running' : 'backup_failed'
    throw new AppError(code, outcome.error)
  }
  const { backup: manifest } = outcome
  const named = readName(manifest.name)
  if (!named) throw new Error('a backup has no name of one')
  const at = Date.parse(manifest.created_at)
  return { ...named, at, bytes: manifest.bytes, manifest, problem: null, places: ['local'] }
}

function logSuccess(
  { backup, duration_ms }: BackupOutcome & { ok: true },
  log: BackupsOptions['log'],
) {
  const { name, bytes, sums } = backup
  log.info({ name, bytes, durationMs: duration_ms }, 'backed up')
  if (sums.unbalanced > 0)
    log.error({ counters: sums.unbalanced }, 'the books do not balance; run quota-proxy doctor')
}

function statusOf({ latest, success }: BackupRecord, scheduled: boolean): BackupStatus {
  return {
    scheduled,
    lastSuccessAt: success ? Date.parse(success.at) : null,
    failed: latest?.ok === false,
    sizeBytes: success?.bytes ?? null,
    durationMs: success?.duration_ms ?? null,
  }
}
