/**
 * Has a backup made by a process of its own: reading, packing and verifying a database would stop every call for as long as
 * it takes. The settings go through its standard input, where no list of processes shows them.
 */
import { type Config, OPTIONS } from '../../config/options.ts'
import { errorCode } from '../../lib/error-code.ts'
import { SELF } from '../../lib/process/self.ts'
import type { Outcome } from './attempt.ts'

/** A hundred gigabytes over a slow line; longer means that something hangs. */
const TIMEOUT_MS = 6 * 3_600_000

const PASSED = [
  'dataDir',
  'databaseUrl',
  'backupDir',
  'backupKeep',
  'backupKeepDays',
  'backupAgeRecipients',
] as const

/** Of use, and valid, only with a storage. */
const PASSED_WITH_STORAGE = [
  'backupS3Url',
  'backupS3Endpoint',
  'backupS3Region',
  'backupS3AccessKeyId',
  'backupS3SecretAccessKey',
] as const

export type BackupProcess = {
  readonly outcome: Promise<Outcome>
  kill(): void
}

/** `outcome` is never rejected. */
export function startBackupProcess(config: Config): BackupProcess {
  try {
    const child = Bun.spawn([...SELF, 'backup', 'create', '--json', '--settings-from-stdin'], {
      stdin: new Blob([JSON.stringify(settingsOf(config))]),
      stdout: 'pipe',
      stderr: 'ignore',
      timeout: TIMEOUT_MS,
    })
    return { outcome: read(child), kill: () => child.kill() }
  } catch (error) {
    return {
      outcome: Promise.resolve(failed(`could not be started (${errorCode(error)})`)),
      kill() {},
    }
  }
}

async function read(child: Bun.Subprocess<Blob, 'pipe', 'ignore'>): Promise<Outcome> {
  const [text, code] = await Promise.all([child.stdout.text(), child.exited])
  try {
    return JSON.parse(text) as Outcome
  } catch {
    return failed(child.signalCode ? `was ended by ${child.signalCode}` : `ended with ${code}`)
  }
}

function failed(how: string): Outcome {
  const error = `The process that makes backups ${how}. Run "quota-proxy backup create" on the server to see why.`
  return { ok: false, reason: 'failed', error, backup: null }
}

/** As they would stand in the environment, whatever stands there now. */
function settingsOf(config: Config): Record<string, string> {
  const fields = [...PASSED, ...(config.backupS3Url ? PASSED_WITH_STORAGE : [])]
  const given = fields.map((field) => [OPTIONS[field].env, config[field]] as const)
  return Object.fromEntries(
    given
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : String(value)]),
  )
}
