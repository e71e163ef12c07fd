/**
 * Examines the database in another process: reading all of it here would stop every call meanwhile.
 */
import { type Config, OPTIONS } from '../../config/options.ts'
import type { Examination } from '../../domain/store.ts'
import { AppError } from '../../errors.ts'
import { SELF } from '../../lib/process/self.ts'

/** Reading ten million entries takes minutes on a slow disk. After this time something hangs. */
const TIMEOUT_MS = 10 * 60_000

/** Runs one examination at a time. Whoever asks during one gets the result of that one. */
export function createExamine(settings: () => Config): () => Promise<Examination> {
  let running: Promise<Examination> | undefined
  return () => {
    running ??= examine(settings()).finally(() => {
      running = undefined
    })
    return running
  }
}

async function examine({
  databaseUrl,
  backupDir,
  backupSchedule,
  upstreamBaseUrl,
}: Config): Promise<Examination> {
  const child = Bun.spawn([...SELF, 'doctor', '--json'], {
    env: {
      [OPTIONS.databaseUrl.env]: databaseUrl,
      [OPTIONS.backupDir.env]: backupDir,
      ...(upstreamBaseUrl && { [OPTIONS.upstreamBaseUrl.env]: upstreamBaseUrl }),
      ...(backupSchedule && { [OPTIONS.backupSchedule.env]: backupSchedule }),
    },
    stdout: 'pipe',
    stderr: 'ignore',
    timeout: TIMEOUT_MS,
  })
  const text = await new Response(child.stdout).text()
  // Exit code 1 says that the examination found something.
  if ((await child.exited) > 1 || text === '') {
    throw new AppError(
      'storage_unavailable',
      'The database could not be examined. Run "quota-proxy doctor" on the server to see why.',
    )
  }
  return JSON.parse(text) as Examination
}
