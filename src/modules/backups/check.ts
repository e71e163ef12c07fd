/**
 * Can backups be relied on? Whether one is what it was when it was made: every byte is compared,
 * and its contents too, if it is not encrypted or its private key is given. And whether there are
 * as many of them as the schedule says.
 */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Cron } from 'croner'
import type { BackupEngine, BackupSettings, Sums } from '../../domain/backup.ts'
import type { Finding } from '../../domain/store.ts'
import { partOf, UNWATCHED, type Watch } from '../../lib/watch.ts'
import {
  listDirectory,
  type Manifest,
  manifestName,
  openScratch,
  readManifest,
  readName,
  type Stored,
} from './catalog.ts'
import { readContents, sharesOf, unpack } from './pack.ts'
import type { Attempt } from './record.ts'
import { openStorage } from './storage.ts'

/** A file that may be a backup. */
export type Candidate = {
  readonly path: string
  /** Null for a file from elsewhere. */
  readonly manifest: Manifest | null
}

export type Verified =
  /** Null sums: only the bytes were compared, and they are what the manifest says. */
  | { readonly ok: true; readonly sums: Sums | null; readonly isRestored: boolean }
  | { readonly ok: false; readonly problem: string }

/** The parts of the record that matter for the schedule. */
type Latest = { readonly latest: Attempt | null; readonly success: { readonly at: string } | null }

/** The name that stands for the newest backup wherever one is named. */
const LATEST = 'latest'

const CHANGED = {
  ok: false,
  problem: 'It is not what its manifest says: one of the two has been changed.',
} as const

const OTHER_KIND = {
  ok: false,
  problem:
    'It is of another kind of database than DATABASE_URL names. "quota-proxy migrate-data" moves one to the other.',
} as const

/** How many times the longest pause of the schedule a backup may be old. The pause is one time. */
const INTERVALS_MAX = 2

/** To unpack and to examine take about as long each. */
const STEP = 1 / 2

/** Covers a week of any schedule that names days of it. */
const RUNS_SEEN = 32

/**
 * Calls `use` with the backup of this name or path. One that is only in the storage is downloaded
 * first, into a directory that is removed afterwards. Throws an Error with a sentence if there is
 * none.
 */
export async function withBackup<T>(
  settings: BackupSettings,
  engine: BackupEngine,
  reference: string,
  use: (candidate: Candidate) => Promise<T>,
): Promise<T> {
  const { directory } = settings
  const name = reference === LATEST ? await latestName(settings, engine) : reference
  const isName = readName(name) !== null
  const local = await candidateAt(isName ? join(directory, name) : name)
  if (local) return await use(local)
  const storage = isName ? openStorage(settings) : null
  const manifest = await storage?.manifest(name)
  if (!storage || !manifest) {
    const where = isName ? ` in ${directory}${storage ? ` or ${storage.url}` : ''}` : ''
    throw new Error(`There is no backup ${name}${where}. "quota-proxy backup list" shows all.`)
  }
  const scratch = openScratch(engine, directory, 'fetch')
  if (!scratch) throw new Error('Another backup is being fetched. Wait until that has ended.')
  try {
    const path = join(scratch.path, name)
    await storage.download(name, path)
    return await use({ path, manifest })
  } finally {
    scratch.close()
  }
}

/** Restores the backup to a file that is removed again. */
export async function verifyBackup(
  engine: BackupEngine,
  directory: string,
  candidate: Candidate,
  identities: readonly string[],
  watch: Watch = UNWATCHED,
): Promise<Verified> {
  if (candidate.manifest?.encrypted && identities.length === 0)
    return await compareBytes(candidate, watch)
  const scratch = openScratch(engine, directory, 'verify')
  if (!scratch) throw new Error('Another backup is being verified. Wait until that has ended.')
  try {
    return await restoreTo(engine, candidate, join(scratch.path, 'restored.db'), identities, watch)
  } finally {
    scratch.close()
  }
}

/** Writes the database of the backup to `to`, examines it, and compares it with the manifest. */
export async function restoreTo(
  engine: BackupEngine,
  { path, manifest }: Candidate,
  to: string,
  identities: readonly string[],
  watch: Watch = UNWATCHED,
): Promise<Verified> {
  watch.begin(manifest?.database_bytes ?? statSync(path).size)
  const unpacked = await unpack(path, to, identities, partOf(watch, STEP))
  if (!unpacked.ok) return unpacked
  if (manifest && unpacked.sha256 !== manifest.sha256) return CHANGED
  const contents = await readContents(to)
  if (contents !== null && contents !== engine.extension) return OTHER_KIND
  const examined = await engine.examine(to)
  watch.step(STEP)
  if (!examined.ok) return examined
  const { sums } = examined
  if (sums && manifest && !Bun.deepEquals(sums, manifest.sums)) return CHANGED
  // What was not restored is known by the manifest, whose checksum of the file is right.
  return { ok: true, sums: sums ?? manifest?.sums ?? null, isRestored: sums !== null }
}

/** Whether backups are made as often as the schedule says; null if there is no schedule. */
export function examineBackups(record: Latest, schedule: string | null, at: number): Finding {
  return { check: 'backup', ...judge(record, schedule, at) }
}

function judge({ latest, success }: Latest, schedule: string | null, at: number) {
  const newest = success ? `the latest is of ${success.at}` : 'there is none yet'
  if (schedule === null) return { ok: true, detail: `none are scheduled; ${newest}` }
  if (latest && !latest.ok)
    return { ok: false, detail: `the attempt of ${latest.at} failed: ${latest.error}` }
  const ageMs = success ? at - Date.parse(success.at) : 0
  const isOld = ageMs > INTERVALS_MAX * longestPauseMs(schedule, at)
  const detail = isOld ? `${newest}; is the server running, and its clock right?` : newest
  return { ok: !isOld, detail }
}

function longestPauseMs(schedule: string, at: number): number {
  const cron = new Cron(schedule, { timezone: 'UTC', paused: true })
  const runs = cron.nextRuns(RUNS_SEEN, new Date(at))
  const pauses = runs.slice(1).map((run, i) => run.getTime() - (runs[i]?.getTime() ?? 0))
  return Math.max(0, ...pauses)
}

/** Asks the storage only if there is no backup here, because it may be out of reach. */
async function latestName(settings: BackupSettings, engine: BackupEngine): Promise<string> {
  const isSound = ({ problem, extension }: Stored) =>
    problem === null && extension === engine.extension
  const local = (await listDirectory(settings.directory)).find(isSound)
  const newest = local ?? (await openStorage(settings)?.list())?.find(isSound)
  if (newest) return newest.name
  throw new Error('There is no backup yet. "quota-proxy backup create" makes one.')
}

/** The manifest lies beside the file. Null if there is no such file. */
async function candidateAt(path: string): Promise<Candidate | null> {
  if (!existsSync(path) || !statSync(path).isFile()) return null
  const manifest = join(dirname(path), manifestName(basename(path)))
  const text = await readFile(manifest, 'utf8').catch(() => '')
  return { path, manifest: readManifest(text, basename(path)) }
}

async function compareBytes({ path, manifest }: Candidate, watch: Watch): Promise<Verified> {
  watch.begin(statSync(path).size)
  const onBytes = sharesOf(path, partOf(watch, 1))
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk)
    onBytes(chunk.length)
  }
  const isSame = hash.digest('hex') === manifest?.sha256
  return isSame ? { ok: true, sums: null, isRestored: false } : CHANGED
}
