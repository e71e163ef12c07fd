/** `quota-proxy doctor`: examines the database, whether it is being served or not. */
import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { systemClock } from '../lib/clock.ts'
import type { Examination } from '../modules/doctor/store.ts'
import { printProblems } from './config.ts'
import type { Session } from './program.ts'

export function addDoctor(program: Command, session: Session): void {
  program
    .command('doctor')
    .summary('examine the database')
    .description(
      'Do the books balance for every key and window, are there holds that should not be, is the file whole? Changes nothing; a running server is not disturbed. Exits with 1 if something is wrong.',
    )
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      session.exitCode = await examine(session, options.json === true)
    })
}

async function examine({ env, io }: Session, asJson: boolean): Promise<number> {
  const loaded = loadConfig(env)
  if (!loaded.ok) return printProblems(loaded.problems, io)
  // Loaded here so that the other commands start without the database.
  const { examineStore } = await import('../db/open.ts')
  const examination = examineStore(loaded.config.databaseUrl, systemClock())
  if (!examination) {
    throw new Error(
      'There is no database file to examine. Set DATA_DIR or DATABASE_URL to the one that is served.',
    )
  }
  io.out(asJson ? `${JSON.stringify(examination)}\n` : render(examination))
  return examination.ok ? 0 : 1
}

function render({ findings }: Examination): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(({ check, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'}  ${check.padEnd(width)}  ${detail}\n`)
    .join('')
}
