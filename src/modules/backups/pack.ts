/**
 * Turns a database file into a backup and back: compressed with zstd, then encrypted with age if
 * there are recipients. Files of any size pass in pieces. Every tool for zstd and age can read a
 * backup too.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import type { BackupExtension } from '../../domain/backup.ts'
import { errorCode } from '../../lib/error-code.ts'

export type Packed = Measured & {
  /** The database file in the backup. */
  readonly database: Measured
}

export type Measured = { readonly bytes: number; readonly sha256: string }

export type Unpacked =
  | (Packed & { readonly ok: true })
  /** A sentence: what is wrong with the file, or what is missing to read it. */
  | { readonly ok: false; readonly problem: string }

type Chunks = AsyncIterable<Uint8Array>

/**
 * First bytes: RFC 8878 section 3.1.1, age-encryption.org/v1, sqlite.org/fileformat.html, and pg_backup_archiver.h of
 * PostgreSQL.
 */
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const AGE = Buffer.from('age-encryption.org/v1\n')
const CONTENTS: readonly (readonly [BackupExtension, Buffer])[] = [
  ['db', Buffer.from('SQLite format 3\0')],
  ['dump', Buffer.from('PGDMP')],
]

/** A private key of age, as `age-keygen` writes it. */
const IDENTITY = /^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]+$/

/**
 * The checksum lets every tool notice a damaged backup. The level is the usual one: a fifth of the
 * size, at disk speed.
 */
const LEVEL = {
  params: {
    [constants.ZSTD_c_compressionLevel]: 3,
    [constants.ZSTD_c_checksumFlag]: 1,
  },
}

export async function pack(
  from: string,
  to: string,
  recipients: readonly string[],
  onShare: OnShare = () => {},
): Promise<Packed> {
  const [database, measure] = [createMeasure(sharesOf(from, onShare)), createMeasure()]
  await pipeline(
    createReadStream(from),
    database.pass,
    createZstdCompress(LEVEL),
    (chunks: Chunks) => (recipients.length > 0 ? encrypt(chunks, recipients) : chunks),
    measure.pass,
    createWriteStream(to, { flags: 'wx', mode: 0o600 }),
  )
  return { ...measure.result(), database: database.result() }
}

/**
 * Writes the database out of a backup, encrypted or not, or out of a plain file. Does not
 * examine it.
 */
export async function unpack(
  from: string,
  to: string,
  identities: readonly string[],
  onShare: OnShare = () => {},
): Promise<Unpacked> {
  const kind = await kindOf(from)
  if (kind === null) return { ok: false, problem: 'It is no backup of quota-proxy.' }
  if (kind === 'plain' && hasLog(from)) {
    const problem = `What was written last is in ${from}-wal and would be lost. Fold it in first: sqlite3 ${from} "PRAGMA wal_checkpoint(TRUNCATE)".`
    return { ok: false, problem }
  }
  if (kind === 'age' && identities.length === 0) {
    const problem = 'It is encrypted. Give the file with its private key: --identity-file.'
    return { ok: false, problem }
  }
  const [database, measure] = [createMeasure(), createMeasure(sharesOf(from, onShare))]
  try {
    await pipeline(
      createReadStream(from),
      measure.pass,
      (chunks: Chunks) => (kind === 'age' ? decrypt(chunks, identities) : chunks),
      (chunks: Chunks) => (kind === 'plain' ? chunks : decompress(chunks)),
      database.pass,
      createWriteStream(to, { flags: 'wx', mode: 0o600 }),
    )
    return { ok: true, ...measure.result(), database: database.result() }
  } catch (error) {
    return { ok: false, problem: `It cannot be read: ${sentence(error)}` }
  }
}

function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0
}

/** A new key pair of age. Its private half exists in memory only. */
export async function newKeyPair(): Promise<{ recipient: string; identity: string }> {
  const { generateX25519Identity, identityToRecipient } = await import('age-encryption')
  const identity = await generateX25519Identity()
  return { recipient: await identityToRecipient(identity), identity }
}

async function kindOf(path: string): Promise<'zstd' | 'age' | 'plain' | null> {
  const head = await headOf(path)
  if (startsWith(head, ZSTD)) return 'zstd'
  if (startsWith(head, AGE)) return 'age'
  return contentsOf(head) === null ? null : 'plain'
}

/** What an unpacked file is; null if it is neither of the two. */
export async function readContents(path: string): Promise<BackupExtension | null> {
  return contentsOf(await headOf(path))
}

function contentsOf(head: Buffer): BackupExtension | null {
  return CONTENTS.find(([, magic]) => startsWith(head, magic))?.[0] ?? null
}

function startsWith(head: Buffer, magic: Buffer): boolean {
  return head.subarray(0, magic.length).equals(magic)
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(AGE.length), 0, AGE.length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

async function* encrypt(chunks: Chunks, recipients: readonly string[]): Chunks {
  // Loaded here, because most installations do not encrypt their backups.
  const { Encrypter } = await import('age-encryption')
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  yield* await encrypter.encrypt(webStream(chunks))
}

async function* decrypt(chunks: Chunks, identities: readonly string[]): Chunks {
  const { Decrypter } = await import('age-encryption')
  const decrypter = new Decrypter()
  for (const identity of identities) decrypter.addIdentity(identity)
  yield* await decrypter.decrypt(webStream(chunks))
}

async function* decompress(chunks: Chunks): Chunks {
  yield* Readable.from(chunks, { objectMode: false }).compose(createZstdDecompress())
}

function webStream(chunks: Chunks): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(new Uint8Array(value))
    },
  })
}

/** Told of each share of the file that has been read; all are 1. */
export type OnShare = (share: number) => void

/** Bytes of a file as shares of it. */
export function sharesOf(path: string, onShare: OnShare): (bytes: number) => void {
  const { size } = statSync(path)
  return (bytes) => onShare(bytes / size)
}

/** Counts and hashes the bytes that pass. */
function createMeasure(onBytes: (bytes: number) => void = () => {}) {
  const hash = createHash('sha256')
  let bytes = 0
  return {
    async *pass(chunks: Chunks): Chunks {
      for await (const chunk of chunks) {
        bytes += chunk.length
        hash.update(chunk)
        onBytes(chunk.length)
        yield chunk
      }
    },
    result: (): Measured => ({ bytes, sha256: hash.digest('hex') }),
  }
}

/** Reads a file of private keys. Throws an Error whose message holds nothing of the file. */
export function readIdentities(path: string): string[] {
  const lines = readIdentityFile(path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (lines.length > 0 && lines.every((line) => IDENTITY.test(line))) return lines
  throw new Error(
    '--identity-file must name a file with a private key of age on each line, such as age-keygen writes; one that is itself encrypted has to be decrypted first.',
  )
}

function readIdentityFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`--identity-file names a file that cannot be read (${errorCode(error)}).`)
  }
}

function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.endsWith('.') ? message : `${message}.`
}
