/**
 * `quota-proxy doctor`: examines the database, whether a server has it or not, here or at a server
 * elsewhere.
 */
import type { Examination } from '../../domain/store.ts'
import { unpricedOf } from '../../domain/upstream.ts'
import { systemClock } from '../../lib/clock.ts'
import type { CliCommand } from '../command.ts'
import { renderFindings } from '../output/lines.ts'
import { spin, watchBytes } from '../output/progress.ts'
import { terminalWidth } from '../output/table.ts'
import { type Session, settings } from '../session.ts'

export function addDoctor(program: CliCommand): void {
  program
    .command('doctor')
    .summary('examine the database')
    .description(
      'Do the books balance for every key and window, are there holds that should not be, is the file whole? Changes nothing; a running server is not disturbed. Exits with 1 if something is wrong.',
    )
    .json()
    .usesApi(async ({ session, api, options: { url, json } }) => {
      const examination =
        url === undefined
          ? await examineHere(session)
          : await spin(session, 'The server examines', () => api.ask('GET /admin/doctor', {}))
      const { ok, findings } = examination
      const { out } = session.io
      if (json) out(`${JSON.stringify(examination)}\n`)
      else out(renderFindings(findings, terminalWidth(session)))
      if (!ok) session.exitCode = 1
    })
    .examples(
      'quota-proxy doctor',
      'quota-proxy doctor --url https://proxy.example --token-file token.txt --json',
    )
}

/** The file itself, so that it works whatever state a server is in, and the backups beside it. */
async function examineHere(session: Session): Promise<Examination> {
  const config = settings(session)
  const { databaseUrl, backupDir, backupSchedule } = config
  // Loaded here so that the other commands start without the database.
  const [{ examineStore }, { createBackupEngine }, { examineBackups }, { readRecords }] =
    await Promise.all([
      import('../../db/open.ts'),
      import('../../db/backup.ts'),
      import('../../modules/backups/check.ts'),
      import('../../modules/backups/record.ts'),
    ])
  const watch = watchBytes(session, 'examined')
  const examination = await examineStore(databaseUrl, systemClock(), {
    watch,
    unpriced: unpricedOf(config),
  }).finally(watch.end)
  if (!examination) {
    throw new Error(
      'There is no database to examine. Set DATA_DIR or DATABASE_URL to the one that is served.',
    )
  }
  const engine = await createBackupEngine(databaseUrl, backupDir)
  const record = await readRecords(backupDir, engine?.shared?.read ?? null)
  const backups = examineBackups(record, backupSchedule ?? null, systemClock())
  const { ok, findings } = examination
  return { ok: ok && backups.ok, findings: [...findings, backups] }
}
