/**
 * Makes one backup, sends a copy, removes old backups, and records how it went. A backup gets its
 * name only when it has been verified: the very file is restored, compared to the byte with what
 * was copied, and examined. Whenever the process is killed, it leaves nothing that looks like a
 * backup and is none.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupEngine, BackupSettings } from '../../domain/backup.ts'
import type { Clock } from '../../lib/clock.ts'
import { VERSION } from '../../lib/process/version.ts'
import { partOf, UNWATCHED, type Watch } from '../../lib/watch.ts'
import {
  type BackupOutcome,
  BUSY,
  ELSEWHERE,
  type Manifest,
  newName,
  openScratch,
  publish,
  removeLeftovers,
  type Scratch,
} from './catalog.ts'
import { newKeyPair, pack, unpack } from './pack.ts'
import { type BackupRecord, readRecords, writeRecord } from './record.ts'
import { openStorage, pruneBackups, settle } from './storage.ts'

/** To copy, to pack, to unpack and to examine take about as long each. */
const STEP = 1 / 4

/**
 * Never rejects. Records every attempt, unless another process is making a backup. `due` is an instant of the schedule, for
 * which only one server of the database makes one; null if somebody wants a backup now.
 */
export async function attemptBackup(
  settings: BackupSettings,
  engine: BackupEngine,
  clock: Clock,
  watch: Watch = UNWATCHED,
  due: number | null = null,
): Promise<BackupOutcome> {
  const at = new Date(clock()).toISOString()
  const startedMs = performance.now()
  const elapsed = () => Math.round(performance.now() - startedMs)
  const outcome = await attempt(settings, engine, clock, elapsed, watch, due)
  if (!outcome.ok && outcome.reason !== 'failed') return outcome
  const { success } = await readRecords(settings.directory, engine.shared?.read ?? null)
  const duration_ms = elapsed()
  const record: BackupRecord = {
    latest: { at, ok: outcome.ok, error: outcome.ok ? null : outcome.error, duration_ms },
    success: outcome.ok ? successOf(outcome.backup, duration_ms) : success,
  }
  try {
    writeRecord(settings.directory, record)
    await engine.shared?.write(record)
  } catch (error) {
    if (outcome.ok)
      return failed(`The backup was made, but not noted: ${messageOf(error)}`, outcome.backup)
  }
  return outcome
}

async function attempt(
  settings: BackupSettings,
  engine: BackupEngine,
  clock: Clock,
  elapsed: () => number,
  watch: Watch,
  due: number | null,
): Promise<BackupOutcome> {
  try {
    if (due !== null && engine.shared && !(await engine.shared.claim(due))) return ELSEWHERE
    const manifest = await createBackup(settings, engine, clock, watch)
    if (!manifest) return BUSY
    const problem = await sendAndPrune(settings, manifest, clock)
    if (problem !== null)
      return failed(`The backup is in ${settings.directory}, but: ${problem}`, manifest)
    return { ok: true, backup: manifest, duration_ms: elapsed() }
  } catch (error) {
    return failed(messageOf(error), null)
  }
}

/** Null if another process is making one. Throws an Error with a sentence if there is no backup. */
async function createBackup(
  { directory, recipients }: BackupSettings,
  engine: BackupEngine,
  clock: Clock,
  watch: Watch,
): Promise<Manifest | null> {
  const scratch = openScratch(engine, directory, 'create')
  if (!scratch) return null
  try {
    await removeLeftovers(directory)
    const { artifact, manifest } = await makeVerified(engine, recipients, clock, scratch, watch)
    publish(directory, artifact, manifest)
    return manifest
  } finally {
    scratch.close()
  }
}

async function makeVerified(
  engine: BackupEngine,
  recipients: readonly string[],
  clock: Clock,
  scratch: Scratch,
  watch: Watch,
) {
  const at = clock()
  const copy = join(scratch.path, 'copy.db')
  watch.begin(await engine.bytes())
  const copied = await engine.copy(copy)
  watch.step(STEP)
  const encrypted = recipients.length > 0
  const name = newName(at, engine.extension, encrypted)
  const artifact = join(scratch.path, name)
  // One more recipient, whose private key never leaves this process: with it the file can be read
  // again here.
  const own = encrypted ? await newKeyPair() : null
  const packed = await pack(
    copy,
    artifact,
    own ? [...recipients, own.recipient] : [],
    partOf(watch, STEP),
  )
  rmSync(copy)

  const restored = join(scratch.path, 'restored.db')
  const unpacked = await unpack(artifact, restored, own ? [own.identity] : [], partOf(watch, STEP))
  if (!unpacked.ok) throw new Error(`The backup was written, but not well. ${unpacked.problem}`)
  const { ok: _, ...read } = unpacked
  if (!Bun.deepEquals(read, packed))
    throw new Error('The backup was written, but it does not hold what was copied.')
  // The file holds exactly what was copied. If that is damaged, so is the database.
  const found = await engine.examine(restored)
  watch.step(STEP)
  if (!found.ok) throw new Error(`The database cannot be backed up. ${found.problem}`)
  const sums = found.sums ?? copied
  if (!sums) throw new Error('The backup was written, but nobody could say what it holds.')

  const manifest: Manifest = {
    format: 1,
    name,
    created_at: new Date(at).toISOString(),
    version: VERSION,
    encrypted,
    bytes: packed.bytes,
    sha256: packed.sha256,
    database_bytes: packed.database.bytes,
    sums,
    ...(!found.sums && { verified: 'read' as const }),
  }
  return { artifact, manifest }
}

/** Returns what went wrong after the backup was made, or null. Nothing here undoes the backup. */
async function sendAndPrune(
  settings: BackupSettings,
  manifest: Manifest,
  clock: Clock,
): Promise<string | null> {
  const path = join(settings.directory, manifest.name)
  const storage = openStorage(settings)
  const sent = storage ? await settle(storage.send(path, manifest)) : null
  const pruned = await settle(pruneBackups(settings, clock(), false))
  return sent?.problem ?? pruned.problem
}

function successOf({ created_at, name, bytes, sums }: Manifest, duration_ms: number) {
  return { at: created_at, name, bytes, duration_ms, unbalanced: sums.unbalanced }
}

function failed(error: string, backup: Manifest | null): BackupOutcome {
  return { ok: false, reason: 'failed', error, backup }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
