/**
 * Copies of backups in S3-compatible storage. A backup is there once its manifest is: that is sent last, and removed first.
 * What the storage says is told by its code alone, since its messages may repeat what was signed.
 */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { S3Client } from 'bun'
import type { Config } from '../../config/options.ts'
import { errorCode } from '../../lib/error-code.ts'
import type { Stored } from './directory.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { manifestName, nameOfManifest, readName } from './name.ts'

export type Remote = {
  /** Where it is, for people. */
  readonly url: string
  send(path: string, manifest: Manifest): Promise<void>
  /** Newest first. Manifests are not read. */
  list(): Promise<Stored[]>
  /** Null if it is not there. */
  manifest(name: string): Promise<Manifest | null>
  download(name: string, to: string): Promise<void>
  remove(name: string): Promise<void>
}

/** S3 allows 10,000 parts: enough for backups of 160 GB, with four of them in memory at a time. */
const PART_BYTES = 16 * 1024 * 1024
const RETRIES = 3

/** The most that one answer holds (S3 API, ListObjectsV2). Twenty thousand objects are the most that a prefix of ours can have. */
const PAGE = 1000
const PAGES_MAX = 25

/** Null if none is set. */
export function openRemote(config: Config): Remote | null {
  const { backupS3Url: url, backupS3AccessKeyId, backupS3SecretAccessKey } = config
  if (!url || !backupS3AccessKeyId || !backupS3SecretAccessKey) return null
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(url) ?? []
  const region = config.backupS3Region
  const client = new S3Client({
    bucket,
    region,
    // Named in any case: what is not given, Bun would take from variables that are meant for other programs.
    endpoint: config.backupS3Endpoint ?? `https://s3.${region}.amazonaws.com`,
    accessKeyId: backupS3AccessKeyId,
    secretAccessKey: backupS3SecretAccessKey,
    partSize: PART_BYTES,
    queueSize: 4,
    retry: RETRIES,
  })
  const root = prefix === '' ? '' : `${prefix}/`

  async function objects(): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    let startAfter: string | undefined
    for (let page = 0; page < PAGES_MAX; page++) {
      const { contents = [], isTruncated } = await client.list({
        prefix: `${root}quota-`,
        maxKeys: PAGE,
        ...(startAfter !== undefined && { startAfter }),
      })
      for (const { key, size = 0 } of contents) found.set(key.slice(root.length), size)
      startAfter = contents.at(-1)?.key
      if (!isTruncated || startAfter === undefined) break
    }
    return found
  }

  return {
    url,
    send: (path, manifest) =>
      telling(url, 'The backup could not be sent to', async () => {
        const key = root + manifest.name
        await client.write(key, Bun.file(path))
        const { size } = await client.stat(key)
        if (size !== manifest.bytes) throw Object.assign(new Error(), { code: 'wrong length' })
        await client.write(root + manifestName(manifest.name), JSON.stringify(manifest))
      }),
    list: () =>
      telling(url, 'The backups cannot be listed at', async () => {
        const all = await objects()
        const names = new Set([...all.keys()].map((file) => nameOfManifest(file) ?? file))
        return [...names]
          .map(readName)
          .filter((named) => named !== null)
          .map((named) => {
            const bytes = all.get(named.name) ?? 0
            const hasManifest = all.has(manifestName(named.name))
            const problem = !all.has(named.name)
              ? 'is gone'
              : hasManifest
                ? null
                : 'has no manifest'
            return { ...named, bytes, manifest: null, problem }
          })
          .toSorted((one, other) => other.at - one.at)
      }),
    manifest: (name) =>
      telling(url, 'The backup cannot be read at', async () => {
        const file = client.file(root + manifestName(name))
        return (await file.exists()) ? readManifest(await file.text(), name) : null
      }),
    download: (name, to) =>
      telling(url, 'The backup cannot be read at', async () => {
        const bytes = client.file(root + name).stream()
        await pipeline(bytes, createWriteStream(to, { flags: 'wx', mode: 0o600 }))
      }),
    remove: (name) =>
      telling(url, 'An old backup could not be removed from', async () => {
        await client.delete(root + manifestName(name))
        await client.delete(root + name)
      }),
  }
}

async function telling<T>(url: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new Error(`${what} ${url} (${errorCode(error) || 'unknown reason'}).`)
  }
}
