/**
 * The backups of one installation, in its directory and in S3-compatible storage. In the storage a
 * backup counts once its manifest is there: that is sent last and removed first. An error of the
 * storage is reported by its code alone, because its message may repeat what was signed.
 */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { S3Client } from 'bun'
import type { BackupSettings, Retention, StorageSettings } from '../../domain/backup.ts'
import { errorCode } from '../../lib/error-code.ts'
import {
  listDirectory,
  type Manifest,
  manifestName,
  nameOfManifest,
  readManifest,
  readName,
  removeBackup,
  type Stored,
} from './catalog.ts'

export type BackupPlace = 'local' | 's3'

export type Listed = Stored & { readonly places: readonly BackupPlace[] }

export type Listing = {
  /** Newest first. */
  readonly backups: readonly Listed[]
  /** Why the storage could not be listed; null if it was, or if none is configured. */
  readonly storageProblem: string | null
}

export type Pruned = { readonly name: string; readonly place: BackupPlace }

/** Every method throws an Error with a sentence that names the URL. */
export type BackupStorage = {
  readonly url: string
  send(path: string, manifest: Manifest): Promise<void>
  /** Newest first. Manifests are not read. */
  list(): Promise<Stored[]>
  /** Null if it is not there. */
  manifest(name: string): Promise<Manifest | null>
  download(name: string, to: string): Promise<void>
  remove(name: string): Promise<void>
}

/** `root` precedes every name: empty, or a prefix and a slash. */
type Bucket = { readonly client: S3Client; readonly root: string }

const DAY_MS = 86_400_000

/** S3 allows 10,000 parts: enough for backups of 160 GB, with four parts in memory at a time. */
const PART_BYTES = 16 * 1024 * 1024
const RETRIES = 3

/** Most objects of one answer (S3 API, ListObjectsV2). A prefix of ours has at most 20,000. */
const PAGE = 1000
const PAGES_MAX = 25

export async function listBackups(settings: BackupSettings): Promise<Listing> {
  const local = await listDirectory(settings.directory)
  const storage = openStorage(settings)
  const stored = storage ? await settle(storage.list()) : { value: [], problem: null }
  const known = new Map<string, Listed>()
  for (const one of local) known.set(one.name, { ...one, places: ['local'] })
  for (const one of stored.value ?? []) {
    const here = known.get(one.name)
    known.set(one.name, here ? { ...here, places: ['local', 's3'] } : { ...one, places: ['s3'] })
  }
  // Backups of one second stay in the order found: not every place has their manifests at hand.
  const backups = [...known.values()].toSorted((one, other) => other.at - one.at)
  return { backups, storageProblem: stored.problem }
}

/** Removes the backups that the retention does not keep. A dry run only returns them. */
export async function pruneBackups(
  settings: BackupSettings,
  now: number,
  dryRun: boolean,
  onRemoved: () => void = () => {},
): Promise<Pruned[]> {
  const { directory, retention } = settings
  const local = expired(await listDirectory(directory), retention, now)
  const remove = async (found: typeof local, one: (name: string) => unknown) => {
    if (dryRun) return
    for (const { name } of found) {
      await one(name)
      onRemoved()
    }
  }
  await remove(local, (name) => removeBackup(directory, name))
  const storage = openStorage(settings)
  const remote = storage ? expired(await storage.list(), retention, now) : []
  await remove(remote, async (name) => await storage?.remove(name))
  return [
    ...local.map(({ name }) => ({ name, place: 'local' as const })),
    ...remote.map(({ name }) => ({ name, place: 's3' as const })),
  ]
}

/**
 * Which backups a retention does not keep. The newest sound backup stays, whatever its age. An
 * unsound one does not count, and goes by its age alone.
 */
export function expired<T extends { readonly at: number; readonly problem: string | null }>(
  newestFirst: readonly T[],
  { count, days }: Retention,
  now: number,
): T[] {
  const isOld = ({ at }: T) => at < now - days * DAY_MS
  const sound = newestFirst.filter(({ problem }) => problem === null)
  const kept = new Set(sound.filter((one, i) => i === 0 || (i < count && !isOld(one))))
  return newestFirst.filter((one) => !kept.has(one) && (one.problem === null || isOld(one)))
}

/** Null if the settings name no storage. */
export function openStorage({ storage }: BackupSettings): BackupStorage | null {
  if (!storage) return null
  const { url } = storage
  const bucket = openBucket(storage)
  const { client, root } = bucket

  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw new Error(`${what} ${url} (${errorCode(error) || 'unknown reason'}).`)
    }
  }

  return {
    url,
    send: (path, manifest) =>
      attempt('The backup could not be sent to', () => send(bucket, path, manifest)),
    list: () => attempt('The backups cannot be listed at', () => listBucket(bucket)),
    manifest: (name) =>
      attempt('The backup cannot be read at', async () => {
        const file = client.file(root + manifestName(name))
        return (await file.exists()) ? readManifest(await file.text(), name) : null
      }),
    download: (name, to) =>
      attempt('The backup cannot be read at', async () => {
        const bytes = client.file(root + name).stream()
        await pipeline(bytes, createWriteStream(to, { flags: 'wx', mode: 0o600 }))
      }),
    remove: (name) =>
      attempt('An old backup could not be removed from', async () => {
        await client.delete(root + manifestName(name))
        await client.delete(root + name)
      }),
  }
}

function openBucket(settings: StorageSettings): Bucket {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(settings.url) ?? []
  const { region, accessKeyId, secretAccessKey } = settings
  const client = new S3Client({
    bucket,
    region,
    // Always given: Bun would take a missing one from variables that are meant for other programs.
    endpoint: settings.endpoint ?? `https://s3.${region}.amazonaws.com`,
    accessKeyId,
    secretAccessKey,
    partSize: PART_BYTES,
    queueSize: 4,
    retry: RETRIES,
  })
  return { client, root: prefix === '' ? '' : `${prefix}/` }
}

async function send({ client, root }: Bucket, path: string, manifest: Manifest): Promise<void> {
  const key = root + manifest.name
  await client.write(key, Bun.file(path))
  const { size } = await client.stat(key)
  if (size !== manifest.bytes) throw Object.assign(new Error(), { code: 'wrong length' })
  await client.write(root + manifestName(manifest.name), JSON.stringify(manifest))
}

async function listBucket(bucket: Bucket): Promise<Stored[]> {
  const sizes = await objectSizes(bucket)
  const names = new Set([...sizes.keys()].map((file) => nameOfManifest(file) ?? file))
  return [...names]
    .map(readName)
    .filter((named) => named !== null)
    .map((named) => {
      const bytes = sizes.get(named.name)
      const hasManifest = sizes.has(manifestName(named.name))
      const problem = bytes === undefined ? 'is gone' : hasManifest ? null : 'has no manifest'
      return { ...named, bytes: bytes ?? 0, manifest: null, problem }
    })
    .toSorted((one, other) => other.at - one.at)
}

/** Bytes of every object that may be ours, by its name. */
async function objectSizes({ client, root }: Bucket): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  let startAfter: string | undefined
  for (let page = 0; page < PAGES_MAX; page++) {
    const { contents = [], isTruncated } = await client.list({
      prefix: `${root}quota-`,
      maxKeys: PAGE,
      ...(startAfter !== undefined && { startAfter }),
    })
    for (const { key, size = 0 } of contents) sizes.set(key.slice(root.length), size)
    startAfter = contents.at(-1)?.key
    if (!isTruncated || startAfter === undefined) break
  }
  return sizes
}

type Settled<T> =
  | { readonly value: T; readonly problem: null }
  | { readonly value: null; readonly problem: string }

/** A rejection becomes a value. */
export async function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work, problem: null }
  } catch (error) {
    return { value: null, problem: error instanceof Error ? error.message : String(error) }
  }
}
