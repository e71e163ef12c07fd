/**
 * Examines the database from a process of its own: reading all of it would stop every call for as long as it takes.
 */
import { type Config, OPTIONS } from '../../config/options.ts'
import type { Examination } from '../../domain/store.ts'
import { AppError } from '../../errors.ts'
import { SELF } from '../../lib/process/self.ts'

/** Reading ten million entries takes minutes on a slow disk; longer means that something hangs. */
const TIMEOUT_MS = 10 * 60_000

/** One at a time: who asks while one is running gets that one's result. */
export function createExamine(settings: () => Config): () => Promise<Examination> {
  let running: Promise<Examination> | undefined
  return () => {
    running ??= examine(settings()).finally(() => {
      running = undefined
    })
    return running
  }
}

async function examine({ databaseUrl, backupDir, backupSchedule }: Config): Promise<Examination> {
  const child = Bun.spawn([...SELF, 'doctor', '--json'], {
    env: {
      [OPTIONS.databaseUrl.env]: databaseUrl,
      [OPTIONS.backupDir.env]: backupDir,
      ...(backupSchedule && { [OPTIONS.backupSchedule.env]: backupSchedule }),
    },
    stdout: 'pipe',
    stderr: 'ignore',
    timeout: TIMEOUT_MS,
  })
  const text = await new Response(child.stdout).text()
  // 1 is an examination that found something.
  if ((await child.exited) > 1 || text === '') {
    throw new AppError(
      'storage_unavailable',
      'The database could not be examined. Run "quota-proxy doctor" on the server to see why.',
    )
  }
  return JSON.parse(text) as Examination
}
