/**
 * The backups in a directory. A file with the name of a backup is there only as a whole: what is being made lies in a
 * directory of its own, which the next run empties, and gets its name when it has been verified.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupEngine } from '../../domain/backup.ts'
import { writePrivateFile } from '../../lib/process/private-file.ts'
import { syncPath } from '../../lib/process/sync-path.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { manifestName, nameOfManifest, readName } from './name.ts'

/** A backup at one place. */
export type Stored = {
  readonly name: string
  readonly at: number
  readonly encrypted: boolean
  readonly bytes: number
  readonly manifest: Manifest | null
  /** Why it cannot be relied on; null if nothing is known against it. */
  readonly problem: string | null
}

export type Scratch = { readonly path: string; close(): void }

/** What a write that was cut off leaves of the small files (src/lib/process/private-file.ts). */
const CUT_OFF = /^(.+\.json)\.[0-9a-f]{12}\.tmp$/

/** Newest first. Empty if there is no such directory. */
export async function listDirectory(directory: string): Promise<Stored[]> {
  const stored = await Promise.all(
    (await filesIn(directory)).map(async (file) => {
      const named = readName(file)
      return named && { ...named, ...(await look(directory, file)) }
    }),
  )
  return stored.filter((one) => one !== null).toSorted(byNewest)
}

export function byNewest(one: Stored, other: Stored): number {
  return instantOf(other) - instantOf(one)
}

/**
 * A directory for what is not finished. Null if another process is at the same work; whatever an earlier one has left is
 * removed.
 */
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

/** Gives a finished backup its name. The manifest comes first: whoever finds the backup finds it too. */
export function publish(directory: string, artifact: string, manifest: Manifest): void {
  const { name } = manifest
  writePrivateFile(join(directory, manifestName(name)), `${JSON.stringify(manifest, null, 2)}\n`)
  syncPath(artifact)
  renameSync(artifact, join(directory, name))
  syncPath(directory)
}

/** The backup goes before its manifest, for the same reason. */
export function removeBackup(directory: string, name: string): void {
  rmSync(join(directory, name), { force: true })
  rmSync(join(directory, manifestName(name)), { force: true })
}

/** Only while no other process makes a backup here. Removes what runs that were cut off have left. */
export async function sweep(directory: string): Promise<void> {
  const files = await filesIn(directory)
  for (const file of files) {
    const name = nameOfManifest(file)
    const isOrphan = name !== null && !files.includes(name)
    if (isOrphan || isCutOff(file)) rmSync(join(directory, file), { force: true })
  }
}

function isCutOff(file: string): boolean {
  const [, whole] = CUT_OFF.exec(file) ?? []
  return whole !== undefined && (whole === 'status.json' || nameOfManifest(whole) !== null)
}

async function look(directory: string, name: string) {
  const path = join(directory, name)
  const text = await readFile(join(directory, manifestName(name)), 'utf8').catch(() => null)
  const manifest = text === null ? null : readManifest(text, name)
  const { size: bytes } = await stat(path)
  return { bytes, manifest, problem: problemOf(text, manifest, bytes) }
}

function problemOf(text: string | null, manifest: Manifest | null, bytes: number): string | null {
  if (text === null) return 'has no manifest'
  if (manifest === null) return 'its manifest cannot be read'
  return manifest.bytes === bytes ? null : 'is not as long as it was'
}

function instantOf({ manifest, at }: Stored): number {
  return manifest ? Date.parse(manifest.created_at) : at
}

async function filesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}
