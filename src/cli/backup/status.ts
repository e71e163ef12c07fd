/**
 * `quota-proxy backup status`: says how the backups of a server go, and whether somebody has to
 * act. It reads what was noted and listed; "backup verify" looks into a backup.
 */
import { systemClock } from '../../lib/clock.ts'
import type { Answer } from '../api.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { bytes, count } from '../output/format.ts'
import { type Finding, renderFindings } from '../output/lines.ts'
import { settings } from '../session.ts'

type Options = AdminOptions & { readonly short?: boolean }

type Backup = Answer<'GET /admin/backups'>['data'][number]
type Status = Answer<'GET /admin/backups'>['status']

export function addBackupStatus(backup: CliCommand): void {
  backup
    .command('status')
    .summary('say how backups go')
    .description(
      'Are backups scheduled, did the latest succeed, how old is it, where does it lie? Exits with 1 if the latest attempt failed, if what is scheduled is overdue, or if there is no backup at all.',
    )
    .option('--short', 'print one line')
    .json()
    .usesApi(showStatus)
    .examples(
      'quota-proxy backup status',
      'quota-proxy backup status --short --url https://proxy.example --token-file token.txt',
    )
}

async function showStatus({ session, api, options, show }: Run<Options>): Promise<void> {
  const { data, status: said } = await api.ask('GET /admin/backups', {})
  const { transport } = await api.admin()
  // Without a server nothing runs by the clock; what matters is what one would do.
  const schedule =
    transport === 'process' ? (settings(session).backupSchedule ?? null) : said.schedule
  const status = { ...said, schedule }
  const newest = data[0] ?? null
  const findings = await examine(status, newest)
  const ok = findings.every((finding) => finding.ok)
  await show({ ok, findings, status, newest }, (_, width) =>
    options.short ? `${summary(findings, data.length)}\n` : renderFindings(findings, width),
  )
  if (!ok) session.exitCode = 1
}

async function examine(status: Status, newest: Backup | null): Promise<readonly Finding[]> {
  const { schedule, next_at, s3 } = status
  const next = next_at === null ? '' : `; the next is due at ${next_at}`
  const scheduled =
    schedule === null
      ? 'none; they are made by hand only'
      : `${schedule} (in DEFAULT_TIMEZONE)${next}`
  return [
    { check: 'schedule', ok: true, detail: scheduled },
    await latestOf(status),
    ...(newest ? [newestOf(newest)] : []),
    ...(s3 ? [{ check: 'storage', ok: s3.problem === null, detail: s3.problem ?? s3.url }] : []),
  ]
}

async function latestOf({ schedule, latest, success }: Status): Promise<Finding> {
  const check = 'latest'
  if (latest && !latest.ok) {
    return { check, ok: false, detail: `the attempt of ${latest.at} failed: ${latest.error}` }
  }
  if (!success)
    return { check, ok: false, detail: 'there is none yet; "quota-proxy backup create" makes one' }
  const { examineBackups } = await import('../../modules/backups/check.ts')
  const now = systemClock()
  const { ok, detail } = examineBackups({ latest, success }, schedule ?? null, now)
  const age = duration(now - Date.parse(success.at))
  return { check, ok, detail: ok ? `of ${success.at}, ${age} ago` : `${age} old: ${detail}` }
}

function newestOf({ name, bytes: size, places, problem }: Backup): Finding {
  const where = places.map((place) => (place === 'local' ? 'here' : place)).join(' and ')
  const detail = `${name}, ${bytes(size)}, ${where}; ${problem ?? 'verified when it was made'}`
  return { check: 'newest', ok: problem === null, detail }
}

function summary(findings: readonly Finding[], backups: number): string {
  const wrong = findings.filter(({ ok }) => !ok)
  const said = (wrong.length > 0 ? wrong : findings).map(
    ({ check, detail }) => `${check}: ${detail}`,
  )
  return [wrong.length > 0 ? 'FAIL' : 'ok', `${count(backups)} kept`, ...said].join(' | ')
}

function duration(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000))
  if (minutes < 120) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 72 ? `${hours} h` : `${Math.round(hours / 24)} days`
}
