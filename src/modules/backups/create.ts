/**
 * Makes one backup: copies the database, packs the copy, restores that very file, compares it to the byte with what was
 * copied, and examines it. Only then it gets its name. Killed at any moment, nothing that looks like a backup is left that
 * is none.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupEngine } from '../../domain/backup.ts'
import type { Clock } from '../../lib/clock.ts'
import { VERSION } from '../../lib/process/version.ts'
import { openScratch, publish, type Scratch, sweep } from './directory.ts'
import type { Manifest } from './manifest.ts'
import { newName } from './name.ts'
import { newKeyPair, pack, unpack } from './pack.ts'

export type CreateOptions = {
  readonly engine: BackupEngine
  readonly directory: string
  /** Public keys of age; without one, the backup is not encrypted. */
  readonly recipients: readonly string[]
  readonly clock: Clock
}

/** Another process is at it. */
export class BackupRunning extends Error {
  constructor() {
    super('A backup is being made already. Wait until it has ended.')
  }
}

/** Throws an Error with a sentence if there is no backup. */
export async function createBackup(options: CreateOptions): Promise<Manifest> {
  const scratch = openScratch(options.engine, options.directory, 'create')
  if (!scratch) throw new BackupRunning()
  try {
    await sweep(options.directory)
    const { artifact, manifest } = await make(options, scratch)
    publish(options.directory, artifact, manifest)
    return manifest
  } finally {
    scratch.close()
  }
}

async function make({ engine, recipients, clock }: CreateOptions, scratch: Scratch) {
  const at = clock()
  const copy = join(scratch.path, 'copy.db')
  engine.copy(copy)
  const encrypted = recipients.length > 0
  const name = newName(at, encrypted)
  const artifact = join(scratch.path, name)
  // One more recipient, whose private key nobody ever sees: how else could the file be read again here?
  const own = encrypted ? await newKeyPair() : null
  const packed = await pack(copy, artifact, own ? [...recipients, own.recipient] : [])
  rmSync(copy)

  const restored = join(scratch.path, 'restored.db')
  const unpacked = await unpack(artifact, restored, own ? [own.identity] : [])
  if (!unpacked.ok) throw new Error(`The backup was written, but not well. ${unpacked.problem}`)
  const { ok: _, ...read } = unpacked
  if (!Bun.deepEquals(read, packed))
    throw new Error('The backup was written, but it does not hold what was copied.')
  // What was copied is what was read back: if that is damaged, so is the database.
  const found = engine.examine(restored)
  if (!found.ok) throw new Error(`The database cannot be backed up. ${found.problem}`)

  const manifest: Manifest = {
    format: 1,
    name,
    created_at: new Date(at).toISOString(),
    version: VERSION,
    encrypted,
    bytes: packed.bytes,
    sha256: packed.sha256,
    database_bytes: packed.database.bytes,
    sums: found.sums,
  }
  return { artifact, manifest }
}
