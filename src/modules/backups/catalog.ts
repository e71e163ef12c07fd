/**
 * The backups in a directory: their names and their manifests.
 * A file bears the name of a backup only as a whole: an unfinished one lies in a directory of its
 * own and gets its name when it has been verified. A file with another name is never listed and
 * never removed.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupEngine, BackupExtension, Sums } from '../../domain/backup.ts'
import { compact } from '../../lib/clock.ts'
import { writePrivateFile } from '../../lib/process/private-file.ts'
import { syncPath } from '../../lib/process/sync-path.ts'
import { RECORD_FILE } from './record.ts'

/** What a name says. `at` is the instant that the backup shows, to the second. */
export type Named = {
  readonly name: string
  readonly at: number
  readonly extension: BackupExtension
  readonly encrypted: boolean
}

/** The file beside a backup: its origin, its checksum and its contents. Scripts may read it. */
export type Manifest = {
  readonly format: 1
  readonly name: string
  /** The instant that the backup shows. */
  readonly created_at: string
  /** Version of the binary that made it. */
  readonly version: string
  readonly encrypted: boolean
  readonly bytes: number
  readonly sha256: string
  readonly database_bytes: number
  readonly sums: Sums
  /** How it was verified, if there was no place where it could be restored. */
  readonly verified?: 'read'
}

/** A backup in the directory, or in the storage, where manifests are not read. */
export type Stored = Named & {
  readonly bytes: number
  readonly manifest: Manifest | null
  /** Why nobody should rely on it; null if nothing is known against it. */
  readonly problem: string | null
}

/** What `quota-proxy backup create --json` prints, and the server reads. */
export type BackupOutcome =
  | { readonly ok: true; readonly backup: Manifest; readonly duration_ms: number }
  | {
      readonly ok: false
      /** `running`: another process is making one. `elsewhere`: another server makes the one that is due. */
      readonly reason: 'running' | 'elsewhere' | 'failed'
      readonly error: string
      /** Not null if the backup was made, and something failed after that. */
      readonly backup: Manifest | null
    }

/** A directory for unfinished work. */
export type Scratch = { readonly path: string; close(): void }

const NAME = /^quota-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{6}\.(db|dump)\.zst(\.age)?$/

/** What an interrupted write leaves of a small file (src/lib/process/private-file.ts). */
const INTERRUPTED = /^(.+\.json)\.[0-9a-f]{12}\.tmp$/

export const BUSY: BackupOutcome = {
  ok: false,
  reason: 'running',
  error: 'A backup is being made already. Wait until it has ended.',
  backup: null,
}

export const ELSEWHERE: BackupOutcome = {
  ok: false,
  reason: 'elsewhere',
  error: 'Another server of this database makes the backup that is due.',
  backup: null,
}

export function newName(at: number, extension: BackupExtension, encrypted: boolean): string {
  const random = randomBytes(3).toString('hex')
  return `quota-${compact(at)}-${random}.${extension}.zst${encrypted ? '.age' : ''}`
}

/** Null if it is not the name of a backup. */
export function readName(name: string): Named | null {
  const [, year, month, day, hour, minute, second, contents, age] = NAME.exec(name) ?? []
  if (year === undefined) return null
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  const extension = contents === 'dump' ? 'dump' : 'db'
  return Number.isNaN(at) ? null : { name, at, extension, encrypted: age !== undefined }
}

export function manifestName(name: string): string {
  return `${name}.json`
}

/** The name of the backup that a manifest belongs to; null for other files. */
export function nameOfManifest(file: string): string | null {
  const name = file.endsWith('.json') ? file.slice(0, -'.json'.length) : ''
  return readName(name) && name
}

/** Null unless the text is the manifest of the backup of this name and agrees with the name. */
export function readManifest(text: string, name: string): Manifest | null {
  try {
    const manifest = JSON.parse(text) as Manifest
    const named = readName(name)
    const isWhole =
      manifest.format === 1 &&
      manifest.name === name &&
      Number.isSafeInteger(manifest.bytes) &&
      /^[0-9a-f]{64}$/.test(manifest.sha256) &&
      // The name has no milliseconds.
      Math.trunc(Date.parse(manifest.created_at) / 1000) * 1000 === named?.at &&
      Array.isArray(manifest.sums.migrations)
    return isWhole ? manifest : null
  } catch {
    return null
  }
}

/** Newest first. Empty if there is no such directory. */
export async function listDirectory(directory: string): Promise<Stored[]> {
  const stored = await Promise.all(
    (await filesIn(directory)).map(async (file) => {
      const named = readName(file)
      return named && (await describe(directory, named))
    }),
  )
  const instantOf = ({ manifest, at }: Stored) => (manifest ? Date.parse(manifest.created_at) : at)
  return stored
    .filter((one) => one !== null)
    .toSorted((one, other) => instantOf(other) - instantOf(one))
}

/** Removes whatever an earlier process has left there. Null if another process does this work. */
export function openScratch(
  engine: BackupEngine,
  directory: string,
  work: 'create' | 'verify' | 'fetch',
): Scratch | null {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = engine.lock(join(directory, `.${work}.lock`))
  if (!lock) return null
  const path = join(directory, `.${work}`)
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { mode: 0o700 })
  return {
    path,
    close() {
      rmSync(path, { recursive: true, force: true })
      lock.release()
    },
  }
}

/** Gives a finished backup its name, after its manifest: no backup is ever seen without one. */
export function publish(directory: string, artifact: string, manifest: Manifest): void {
  const { name } = manifest
  writePrivateFile(join(directory, manifestName(name)), `${JSON.stringify(manifest, null, 2)}\n`)
  syncPath(artifact)
  renameSync(artifact, join(directory, name))
  syncPath(directory)
}

/** Removes the backup before its manifest, for the same reason. */
export function removeBackup(directory: string, name: string): void {
  rmSync(join(directory, name), { force: true })
  rmSync(join(directory, manifestName(name)), { force: true })
}

/** Removes what interrupted processes have left. No other process may make a backup meanwhile. */
export async function removeLeftovers(directory: string): Promise<void> {
  const files = await filesIn(directory)
  for (const file of files) {
    const name = nameOfManifest(file)
    const isOrphan = name !== null && !files.includes(name)
    if (isOrphan || isInterrupted(file)) rmSync(join(directory, file), { force: true })
  }
}

function isInterrupted(file: string): boolean {
  const [, whole] = INTERRUPTED.exec(file) ?? []
  return whole !== undefined && (whole === RECORD_FILE || nameOfManifest(whole) !== null)
}

async function describe(directory: string, named: Named): Promise<Stored> {
  const { name } = named
  const text = await readFile(join(directory, manifestName(name)), 'utf8').catch(() => null)
  const manifest = text === null ? null : readManifest(text, name)
  const { size: bytes } = await stat(join(directory, name))
  return { ...named, bytes, manifest, problem: problemOf(text, manifest, bytes) }
}

function problemOf(text: string | null, manifest: Manifest | null, bytes: number): string | null {
  if (text === null) return 'has no manifest'
  if (manifest === null) return 'its manifest cannot be read'
  return manifest.bytes === bytes ? null : 'is not as long as it was'
}

async function filesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}
