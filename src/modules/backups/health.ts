/** Are there backups, as often as there should be? */
import { Cron } from 'croner'
import type { Finding } from '../../domain/doctor.ts'
import type { Attempt } from './status.ts'

/** What was noted of the latest attempt, and of the latest that went well. */
type Noted = { readonly latest: Attempt | null; readonly success: { readonly at: string } | null }

/** How many times the longest pause of the schedule a backup may be late: once is the pause itself. */
const INTERVALS_MAX = 2

/** Covers a week of any schedule that names days of it. */
const RUNS_SEEN = 32

export function scheduleOf(expression: string): Cron {
  return new Cron(expression, { timezone: 'UTC', paused: true })
}

export function examineBackups(
  { latest, success }: Noted,
  schedule: string | undefined,
  at: number,
): Finding {
  const { ok, detail } = judge({ latest, success }, schedule, at)
  return { check: 'backup', ok, detail }
}

function judge({ latest, success }: Noted, schedule: string | undefined, at: number) {
  const newest = success ? `the latest is of ${success.at}` : 'there is none yet'
  if (schedule === undefined) return { ok: true, detail: `none are scheduled; ${newest}` }
  if (latest && !latest.ok)
    return { ok: false, detail: `the attempt of ${latest.at} failed: ${latest.error}` }
  const ageMs = success ? at - Date.parse(success.at) : 0
  const isOld = ageMs > INTERVALS_MAX * longestPauseMs(schedule, at)
  const detail = isOld ? `${newest}; is the server running, and its clock right?` : newest
  return { ok: !isOld, detail }
}

function longestPauseMs(schedule: string, at: number): number {
  const runs = scheduleOf(schedule).nextRuns(RUNS_SEEN, new Date(at))
  const pauses = runs.slice(1).map((run, i) => run.getTime() - (runs[i]?.getTime() ?? 0))
  return Math.max(0, ...pauses)
}
