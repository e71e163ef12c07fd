/** How the latest backups have gone, in a file beside them: it outlives the server, and scripts can read it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from '../../lib/process/private-file.ts'

export type Attempt = {
  readonly at: string
  readonly ok: boolean
  /** A sentence; null if it went well. */
  readonly error: string | null
  readonly duration_ms: number
}

export type Success = {
  readonly at: string
  readonly name: string
  readonly bytes: number
  readonly duration_ms: number
  readonly unbalanced: number
}

export type BackupRecord = { readonly latest: Attempt | null; readonly success: Success | null }

export const NO_RECORD: BackupRecord = { latest: null, success: null }

const FILE = 'status.json'

export async function readRecord(directory: string): Promise<BackupRecord> {
  try {
    const { latest = null, success = null } = JSON.parse(
      await readFile(join(directory, FILE), 'utf8'),
    ) as Partial<BackupRecord>
    return { latest, success }
  } catch {
    return NO_RECORD
  }
}

export function writeRecord(directory: string, record: BackupRecord): void {
  writePrivateFile(join(directory, FILE), `${JSON.stringify(record, null, 2)}\n`)
}
