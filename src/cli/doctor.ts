/** `quota-proxy doctor`: examines the database, whether it is being served or not, here or by a server elsewhere. */
import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import type { Examination } from '../domain/doctor.ts'
import { systemClock } from '../lib/clock.ts'
import { type AdminOptions, administer, ask, examples, withServer } from './admin.ts'
import { printProblems } from './config.ts'
import { renderFindings } from './findings.ts'
import type { Session } from './program.ts'

export function addDoctor(program: Command, session: Session): void {
  const command = program
    .command('doctor')
    .summary('examine the database')
    .description(
      'Do the books balance for every key and window, are there holds that should not be, is the file whole? Changes nothing; a running server is not disturbed. Exits with 1 if something is wrong.',
    )
    .action(async (options: AdminOptions) => {
      const show = (examination: Examination) => {
        session.io.out(
          options.json ? `${JSON.stringify(examination)}\n` : renderFindings(examination.findings),
        )
        if (!examination.ok) session.exitCode = 1
      }
      if (options.url === undefined) return await examineHere(session, show)
      await administer(session, options, async (admin) =>
        show(await ask<Examination>(admin, 'GET', '/admin/doctor')),
      )
    })
  examples(
    withServer(command),
    'quota-proxy doctor',
    'quota-proxy doctor --url https://proxy.example --token-file token.txt --json',
  )
}

/** Of the file itself, so that it works whatever state a server is in. */
async function examineHere(
  session: Session,
  show: (examination: Examination) => void,
): Promise<void> {
  const loaded = loadConfig(session.env)
  if (!loaded.ok) {
    session.exitCode = printProblems(loaded.problems, session.io)
    return
  }
  // Loaded here so that the other commands start without the database.
  const { examineStore } = await import('../db/open.ts')
  const examination = await examineStore(loaded.config.databaseUrl, systemClock())
  if (!examination) {
    throw new Error(
      'There is no database file to examine. Set DATA_DIR or DATABASE_URL to the one that is served.',
    )
  }
  show(await withBackups(examination, loaded.config))
}

/** They lie beside the database, and what is wrong with them is as bad. */
async function withBackups(examination: Examination, config: Config): Promise<Examination> {
  const [{ examineBackups }, { readRecord }] = await Promise.all([
    import('../modules/backups/check.ts'),
    import('../modules/backups/catalog.ts'),
  ])
  const record = await readRecord(config.backupDir)
  const finding = examineBackups(record, config.backupSchedule ?? null, systemClock())
  const { ok, findings } = examination
  return { ok: ok && finding.ok, findings: [...findings, finding] }
}
