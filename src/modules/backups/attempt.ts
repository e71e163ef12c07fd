/** One attempt at a backup, and what is remembered of it whichever way it ends. */
import type { Config } from '../../config/options.ts'
import type { BackupEngine } from '../../domain/backup.ts'
import type { Clock } from '../../lib/clock.ts'
import { BackupRunning } from './create.ts'
import type { Manifest } from './manifest.ts'
import { readRecord, writeRecord } from './status.ts'
import { backUp } from './vault.ts'

/** What `quota-proxy backup create --json` says, and the server reads. */
export type Outcome =
  | { readonly ok: true; readonly backup: Manifest; readonly duration_ms: number }
  | {
      readonly ok: false
      /** `running`: another process is making one. */
      readonly reason: 'running' | 'failed'
      readonly error: string
      /** There is one all the same, in the directory. */
      readonly backup: Manifest | null
    }

export async function attemptBackup(
  config: Config,
  engine: BackupEngine,
  clock: Clock,
): Promise<Outcome> {
  const at = new Date(clock()).toISOString()
  const startedMs = performance.now()
  const outcome = await attempt(config, engine, clock, startedMs)
  if (!outcome.ok && outcome.reason === 'running') return outcome
  const { success } = await readRecord(config.backupDir)
  const duration_ms = elapsed(startedMs)
  const { ok, backup } = outcome
  try {
    writeRecord(config.backupDir, {
      latest: { at, ok, error: ok ? null : outcome.error, duration_ms },
      success:
        ok && backup
          ? {
              at: backup.created_at,
              name: backup.name,
              bytes: backup.bytes,
              duration_ms,
              unbalanced: backup.sums.unbalanced,
            }
          : success,
    })
  } catch (error) {
    return ok ? failed(`The backup was made, but not noted: ${messageOf(error)}`, backup) : outcome
  }
  return outcome
}

async function attempt(
  config: Config,
  engine: BackupEngine,
  clock: Clock,
  startedMs: number,
): Promise<Outcome> {
  try {
    const { manifest, problem } = await backUp(config, engine, clock)
    if (problem !== null)
      return failed(`The backup is in ${config.backupDir}, but: ${problem}`, manifest)
    return { ok: true, backup: manifest, duration_ms: elapsed(startedMs) }
  } catch (error) {
    const reason = error instanceof BackupRunning ? 'running' : 'failed'
    return { ok: false, reason, error: messageOf(error), backup: null }
  }
}

function failed(error: string, backup: Manifest | null): Outcome {
  return { ok: false, reason: 'failed', error, backup }
}

function elapsed(startedMs: number): number {
  return Math.round(performance.now() - startedMs)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
