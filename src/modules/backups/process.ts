/** The process that makes a backup for a server: it reads its settings from standard input and prints the outcome. */
import { backupEnvironment } from '../../config/backup-settings.ts'
import type { BackupSettings } from '../../domain/backup.ts'
import { errorCode } from '../../lib/error-code.ts'
import { SELF } from '../../lib/process/self.ts'
import type { BackupOutcome } from './catalog.ts'

export type BackupProcess = { readonly outcome: Promise<BackupOutcome>; kill(): void }

/** A hundred gigabytes over a slow line; longer means that something hangs. */
const TIMEOUT_MS = 6 * 3_600_000

/** `outcome` is never rejected. */
export function startProcess(settings: BackupSettings, due: number | null): BackupProcess {
  try {
    const command = [...SELF, 'backup', 'create', '--json', '--settings-from-stdin']
    const child = Bun.spawn([...command, ...(due === null ? [] : ['--due', `${due}`])], {
      // No list of processes shows what goes through here.
      stdin: new Blob([JSON.stringify(backupEnvironment(settings))]),
      stdout: 'pipe',
      stderr: 'ignore',
      timeout: TIMEOUT_MS,
    })
    return { outcome: readOutcome(child), kill: () => child.kill() }
  } catch (error) {
    const outcome = processFailed(`could not be started (${errorCode(error)})`)
    return { outcome: Promise.resolve(outcome), kill() {} }
  }
}

async function readOutcome(child: Bun.Subprocess<Blob, 'pipe', 'ignore'>): Promise<BackupOutcome> {
  const [text, code] = await Promise.all([child.stdout.text(), child.exited])
  try {
    return JSON.parse(text) as BackupOutcome
  } catch {
    const how = child.signalCode ? `was ended by ${child.signalCode}` : `ended with ${code}`
    return processFailed(how)
  }
}

function processFailed(how: string): BackupOutcome {
  const error = `The process that makes backups ${how}. Run "quota-proxy backup create" on the server to see why.`
  return { ok: false, reason: 'failed', error, backup: null }
}
