/**
 * How the latest attempts to make a backup went. A file beside the backups keeps it, for restarts and for scripts. Servers
 * that share a database keep it there, too.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from '../../lib/process/private-file.ts'

export type Attempt = {
  readonly at: string
  readonly ok: boolean
  /** A sentence; null if the attempt succeeded. */
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

/** The latest attempt and the latest success. */
export type BackupRecord = { readonly latest: Attempt | null; readonly success: Success | null }

export const RECORD_FILE = 'status.json'

export const NO_RECORD: BackupRecord = { latest: null, success: null }

async function readRecord(directory: string): Promise<BackupRecord> {
  try {
    return recordOf(JSON.parse(await readFile(join(directory, RECORD_FILE), 'utf8')))
  } catch {
    return NO_RECORD
  }
}

/** Of this server, and what others have noted since. `shared` may fail: then only this server's is known. */
export async function readRecords(
  directory: string,
  shared: (() => Promise<unknown>) | null,
): Promise<BackupRecord> {
  const local = await readRecord(directory)
  const common = await shared?.().catch(() => null)
  return common ? newerOf(local, recordOf(common)) : local
}

/** `value` is JSON that this program has written. */
function recordOf(value: unknown): BackupRecord {
  const { latest = null, success = null } = value as Partial<BackupRecord>
  return { latest, success }
}

/** Of two servers that make backups of one database. */
function newerOf(one: BackupRecord, other: BackupRecord): BackupRecord {
  return { latest: newer(one.latest, other.latest), success: newer(one.success, other.success) }
}

function newer<T extends { readonly at: string }>(one: T | null, other: T | null): T | null {
  if (!one || !other) return one ?? other
  return Date.parse(one.at) >= Date.parse(other.at) ? one : other
}

export function writeRecord(directory: string, record: BackupRecord): void {
  writePrivateFile(join(directory, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`)
}
