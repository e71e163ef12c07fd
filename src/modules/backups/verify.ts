/** Is this backup what it was when it was made? Looks at every byte, and with its key, or if it needs none, inside. */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { BackupEngine, Sums } from '../../domain/backup.ts'
import { openScratch } from './directory.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { manifestName } from './name.ts'
import { unpack } from './pack.ts'

/** A file that may be a backup, with what is known of it. */
export type Candidate = {
  readonly path: string
  /** Null for a file from elsewhere. */
  readonly manifest: Manifest | null
}

export type Verified =
  /** Without sums, only the bytes have been looked at: they are what the manifest says. */
  | { readonly ok: true; readonly sums: Sums | null }
  | { readonly ok: false; readonly problem: string }

export type RestoredFile =
  | { readonly ok: true; readonly sums: Sums }
  | { readonly ok: false; readonly problem: string }

/** The manifest is looked for beside the file. */
export async function candidateAt(path: string): Promise<Candidate | null> {
  if (!existsSync(path) || !statSync(path).isFile()) return null
  const beside = join(dirname(path), manifestName(basename(path)))
  const text = await readFile(beside, 'utf8').catch(() => '')
  return { path, manifest: readManifest(text, basename(path)) }
}

/** Restores it to a file that is removed again. */
export async function verifyBackup(
  engine: BackupEngine,
  directory: string,
  candidate: Candidate,
  identities: readonly string[],
): Promise<Verified> {
  if (candidate.manifest?.encrypted && identities.length === 0) return await compareBytes(candidate)
  const scratch = openScratch(engine, directory, 'verify')
  if (!scratch) throw new Error('Another backup is being verified. Wait until that has ended.')
  try {
    return await restoreTo(engine, candidate, join(scratch.path, 'restored.db'), identities)
  } finally {
    scratch.close()
  }
}

async function compareBytes({ path, manifest }: Candidate): Promise<Verified> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex') === manifest?.sha256 ? { ok: true, sums: null } : CHANGED
}

/** Writes the database in it to `to`, and holds it against the manifest. */
export async function restoreTo(
  engine: BackupEngine,
  { path, manifest }: Candidate,
  to: string,
  identities: readonly string[],
): Promise<RestoredFile> {
  const unpacked = await unpack(path, to, identities)
  if (!unpacked.ok) return unpacked
  if (manifest && unpacked.sha256 !== manifest.sha256) return CHANGED
  const examined = engine.examine(to)
  if (!examined.ok) return examined
  if (manifest && !Bun.deepEquals(examined.sums, manifest.sums)) return CHANGED
  return { ok: true, sums: examined.sums }
}

const CHANGED = {
  ok: false,
  problem: 'It is not what its manifest says: one of the two has been changed.',
} as const
