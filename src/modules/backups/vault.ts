/** The backups of one installation, wherever they lie: what the commands and the schedule do with them. */
import { join } from 'node:path'
import type { Config } from '../../config/options.ts'
import type { BackupEngine } from '../../domain/backup.ts'
import type { Clock } from '../../lib/clock.ts'
import { createBackup } from './create.ts'
import { listDirectory, openScratch, removeBackup, type Stored } from './directory.ts'
import type { Manifest } from './manifest.ts'
import { readName } from './name.ts'
import { openRemote } from './remote.ts'
import { expired, type Keep } from './retention.ts'
import { type Candidate, candidateAt } from './verify.ts'

export type Place = 'local' | 's3'

export type Listed = Stored & { readonly places: readonly Place[] }

export type Listing = {
  /** Newest first. */
  readonly backups: readonly Listed[]
  /** Why those in the storage are not told of; null if they are, or if there is none. */
  readonly remoteProblem: string | null
}

export type Pruned = { readonly name: string; readonly place: Place }

export type Created = {
  readonly manifest: Manifest
  /** What did not go well after the backup was made: it could not be sent, or old ones not be removed. */
  readonly problem: string | null
}

/** Newest of all, wherever a backup is named. */
export const LATEST = 'latest'

export async function listBackups(config: Config): Promise<Listing> {
  const local = await listDirectory(config.backupDir)
  const remote = openRemote(config)
  const listed = remote ? await settle(remote.list()) : { value: [], problem: null }
  const known = new Map<string, Listed>()
  for (const one of local) known.set(one.name, { ...one, places: ['local'] })
  for (const one of listed.value ?? []) {
    const here = known.get(one.name)
    known.set(one.name, here ? { ...here, places: ['local', 's3'] } : { ...one, places: ['s3'] })
  }
  // Those of one second stand as they were found: their manifests are not at hand everywhere.
  const backups = [...known.values()].toSorted((one, other) => other.at - one.at)
  return { backups, remoteProblem: listed.problem }
}

/** Throws an Error with a sentence if there is no backup. What comes after it cannot undo it. */
export async function backUp(config: Config, engine: BackupEngine, clock: Clock): Promise<Created> {
  const { backupDir: directory, backupAgeRecipients: recipients } = config
  const manifest = await createBackup({ engine, directory, recipients, clock })
  const remote = openRemote(config)
  const sent = remote ? await settle(remote.send(join(directory, manifest.name), manifest)) : null
  const pruned = await settle(prune(config, clock(), false))
  return { manifest, problem: sent?.problem ?? pruned.problem }
}

/** Removes what is not to be kept, or only tells it. */
export async function prune(config: Config, now: number, dryRun: boolean): Promise<Pruned[]> {
  const keep: Keep = { count: config.backupKeep, days: config.backupKeepDays }
  const { backupDir: directory } = config
  const local = expired(await listDirectory(directory), keep, now)
  if (!dryRun) for (const { name } of local) removeBackup(directory, name)
  const remote = openRemote(config)
  const away = remote ? expired(await remote.list(), keep, now) : []
  if (!dryRun) for (const { name } of away) await remote?.remove(name)
  return [
    ...local.map(({ name }) => ({ name, place: 'local' as const })),
    ...away.map(({ name }) => ({ name, place: 's3' as const })),
  ]
}

/**
 * Hands over the backup of this name or path. One that is only in the storage is fetched first, into a directory that is
 * removed afterwards. Throws an Error with a sentence if there is none.
 */
export async function withBackup<T>(
  config: Config,
  engine: BackupEngine,
  reference: string,
  use: (candidate: Candidate) => Promise<T>,
): Promise<T> {
  const name = reference === LATEST ? await latest(config) : reference
  const isName = readName(name) !== null
  const local = await candidateAt(isName ? join(config.backupDir, name) : name)
  if (local) return await use(local)
  const remote = isName ? openRemote(config) : null
  const manifest = await remote?.manifest(name)
  if (!remote || !manifest) {
    const where = isName
      ? ` ${name} in ${config.backupDir}${remote ? ` or ${remote.url}` : ''}`
      : ` ${name}`
    throw new Error(`There is no backup${where}. "quota-proxy backup list" shows all.`)
  }
  const scratch = openScratch(engine, config.backupDir, 'fetch')
  if (!scratch) throw new Error('Another backup is being fetched. Wait until that has ended.')
  try {
    const path = join(scratch.path, name)
    await remote.download(name, path)
    return await use({ path, manifest })
  } finally {
    scratch.close()
  }
}

/** The storage is asked only if there is none here: it may be what is out of reach. */
async function latest(config: Config): Promise<string> {
  const isSound = ({ problem }: Stored) => problem === null
  const local = (await listDirectory(config.backupDir)).find(isSound)
  const newest = local ?? (await openRemote(config)?.list())?.find(isSound)
  if (newest) return newest.name
  throw new Error('There is no backup yet. "quota-proxy backup create" makes one.')
}

type Settled<T> =
  | { readonly value: T; readonly problem: null }
  | { readonly value: null; readonly problem: string }

async function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work, problem: null }
  } catch (error) {
    return { value: null, problem: error instanceof Error ? error.message : String(error) }
  }
}
