/**
 * The keys that seal stored credentials: those that the operator gave, else those in the data
 * directory, else a new one, stored there for its owner alone before anything is sealed with it.
 * No message here ever holds a key.
 */
import { randomBytes } from 'node:crypto'
import { checkSecretKeys } from '../domain/operator-secrets.ts'
import { AppError } from '../errors.ts'
import { errorCode } from '../lib/error-code.ts'
import { readPrivateFile, writePrivateFile } from '../lib/process/private-file.ts'
import { KEY_BYTES, type Keys } from '../lib/seal.ts'
import { secretKeyPath } from './directory.ts'

/** The file of the generated keys: one key a line, the current one first. */
export type KeyFile = { read(): readonly Buffer[]; write(keys: readonly Uint8Array[]): void }

export type SecretKeySettings = {
  /** The operator's own keys as base64url, the current one first. */
  readonly secretKey: readonly string[] | undefined
  readonly dataDir: string
}

/**
 * Reads nothing and makes nothing before a key is needed. `file` is null if the operator gives the
 * keys.
 */
export function openSecretKeys({
  secretKey,
  dataDir,
}: SecretKeySettings): Keys & { readonly file: KeyFile | null } {
  if (secretKey !== undefined) {
    const given = secretKey.map((key) => Buffer.from(key, 'base64url'))
    // At least one key was given, so `create` is never called.
    return { all: () => given, create: newSecretKey, file: null }
  }
  const file = openKeyFile(secretKeyPath(dataDir))
  let known: readonly Buffer[] = []
  return {
    file,
    all() {
      if (known.length === 0) known = file.read()
      return known
    },
    create() {
      const key = newSecretKey()
      file.write([key])
      known = [key]
      return key
    },
  }
}

export function newSecretKey(): Buffer {
  return randomBytes(KEY_BYTES)
}

function openKeyFile(path: string): KeyFile {
  return {
    read() {
      const text = readIfPresent(path)
      if (text === undefined) return []
      const checked = checkSecretKeys(text)
      if (checked.ok) return checked.value.map((key) => Buffer.from(key, 'base64url'))
      throw new AppError(
        'storage_unavailable',
        `The file ${path} does not hold a secret key: each line ${checked.problem}. If credentials were sealed with it, restore it from a backup; otherwise delete it.`,
      )
    },
    write: (keys) =>
      store(path, keys.map((key) => `${Buffer.from(key).toString('base64')}\n`).join('')),
  }
}

function readIfPresent(path: string): string | undefined {
  try {
    return readPrivateFile(path)
  } catch (error) {
    throw new AppError(
      'storage_unavailable',
      `The secret key in ${path} cannot be read (${errorCode(error) || error}). Let this user read it.`,
    )
  }
}

function store(path: string, text: string): void {
  try {
    writePrivateFile(path, text)
  } catch (error) {
    throw new AppError(
      'storage_unavailable',
      `The secret key cannot be stored in ${path} (${errorCode(error) || error}). Let this user write to its directory, or set SECRET_KEY.`,
    )
  }
}
