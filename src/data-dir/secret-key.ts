/**
 * Where the keys come from that seal what is stored: those that the operator gave, else those in the data directory, else
 * a new one, stored there for its owner alone before anything is sealed with it.
 * No sentence here ever holds a key.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Config } from '../config/options.ts'
import type { Parsed } from '../config/parse.ts'
import { AppError } from '../errors.ts'
import { errorCode } from '../lib/error-code.ts'
import { KEY_BYTES, type Keys } from '../lib/seal.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'

/** 32 random bytes with fewer different ones come once in 10^15 times; texts typed by hand have fewer. */
const DIFFERENT_MIN = 16

const RULE =
  'must be 32 random bytes as base64 or hexadecimal; several are separated by commas or lines, the current one first. Make one with: openssl rand -base64 32'

/** Answers the keys as base64url, or a problem that follows the name of their source. */
export function checkSecretKeys(text: string): Parsed<readonly string[]> {
  const keys = text.split(/[,\n]/).map((line) => decode(line.trim()))
  while (keys.at(-1) === 'empty') keys.pop()
  const good = keys.filter((key) => key instanceof Buffer)
  return good.length > 0 && good.length === keys.length
    ? { ok: true, value: good.map((key) => key.toString('base64url')) }
    : { ok: false, problem: RULE }
}

function decode(text: string): Buffer | 'empty' | 'wrong' {
  if (text === '') return 'empty'
  const isHex = /^[0-9a-f]{64}$/i.test(text)
  if (!isHex && !/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return 'wrong'
  const key = Buffer.from(text, isHex ? 'hex' : 'base64')
  return key.length === KEY_BYTES && new Set(key).size >= DIFFERENT_MIN ? key : 'wrong'
}

/** The file that keeps generated keys: one a line, the current one first. */
export type KeyFile = { read(): readonly Buffer[]; write(keys: readonly Uint8Array[]): void }

/** Reads nothing and makes nothing before a key is needed. `file` is null if the operator gives the keys. */
export function openSecretKeys(
  config: Pick<Config, 'secretKey' | 'dataDir'>,
): Keys & { readonly file: KeyFile | null } {
  const { secretKey, dataDir } = config
  if (secretKey !== undefined) {
    const given = secretKey.map((key) => Buffer.from(key, 'base64url'))
    // There is always one, so none is ever made.
    return { all: () => given, create: newSecretKey, file: null }
  }
  const file = secretKeyFile(join(dataDir, 'secret-key'))
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

function secretKeyFile(path: string): KeyFile {
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
