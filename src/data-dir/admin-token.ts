/**
 * Where the admin token comes from: the one that the operator gave, else the one stored in the data
 * directory, else a new one, stored there for its owner alone.
 * No weak token is ever used, wherever it came from, and no sentence here ever holds a token.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Config } from '../config/options.ts'
import type { Parsed } from '../config/parse.ts'
import { errorCode } from '../lib/error-code.ts'
import { openDataDir } from './directory.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'

export type AdminToken = {
  readonly token: string
  readonly source: 'env' | 'file' | 'stored' | 'generated'
  /** The file that holds it, unless it came from the environment. */
  readonly path?: string
}

const ADVICE = 'Make one with: openssl rand -hex 32'

/** Sixteen characters of hexadecimal are 64 bits, far out of reach of guesses over a network. */
const LENGTH_MIN = 16

/** Random hexadecimal of the shortest length has fewer different characters once in a million times. */
const DIFFERENT_MIN = 5

/** A token of nothing but such words was copied from an example. No word begins another, so that this stays linear. */
const PLACEHOLDER =
  /^(?:admin|api|change|default|example|here|key|me|my|pass|phrase|please|proxy|quota|random|replace|secret|secure|strong|super|test|this|token|value|with|word|your)+\d*$/

const SEQUENCES = '01234567890123456789 0123456789abcdef abcdefghijklmnopqrstuvwxyz'

/** Answers the token without white space around it, or a problem that follows the name of its source. */
export function checkAdminToken(text: string): Parsed<string> {
  const token = text.trim()
  const plain = token.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (!/^[\x21-\x7e]*$/.test(token)) {
    return refused('must be visible ASCII characters without white space')
  }
  if (PLACEHOLDER.test(plain)) return refused('is a placeholder from an example')
  if (token.length < LENGTH_MIN) return refused(`must have at least ${LENGTH_MIN} characters`)
  if (new Set(token).size < DIFFERENT_MIN || SEQUENCES.includes(plain)) {
    return refused('is too easy to guess')
  }
  return { ok: true, value: token }
}

/** Throws an Error whose message tells the operator what to do. */
export function openAdminToken(options: { readonly config: Config }): AdminToken {
  const { adminToken, adminTokenFile, dataDir } = options.config
  if (adminToken !== undefined) {
    return adminTokenFile === undefined
      ? { token: strong(adminToken, 'ADMIN_TOKEN'), source: 'env' }
      : {
          token: strong(adminToken, `The token in ${adminTokenFile}`),
          source: 'file',
          path: adminTokenFile,
        }
  }
  const path = join(dataDir, 'admin-token')
  const stored = readIfPresent(path)
  if (stored !== undefined) {
    return {
      token: strong(stored, `The token in ${path} (delete the file to get a new one)`),
      source: 'stored',
      path,
    }
  }
  openDataDir(dataDir)
  return { token: storeNew(path), source: 'generated', path }
}

/** Puts a new token in the place of the stored one. Throws if it is the operator who gives it, with what to do. */
export function replaceAdminToken({ adminToken, adminTokenFile, dataDir }: Config): {
  readonly token: string
  readonly path: string
} {
  if (adminToken !== undefined) {
    const place = adminTokenFile === undefined ? 'ADMIN_TOKEN' : adminTokenFile
    throw new Error(
      `The admin token is given by you, in ${place}, and is not changed here. ${ADVICE}, put it there${adminTokenFile === undefined ? ' and start the server again' : '; a running server takes it within seconds'}.`,
    )
  }
  openDataDir(dataDir)
  const path = join(dataDir, 'admin-token')
  return { token: storeNew(path), path }
}

function strong(text: string, name: string): string {
  const checked = checkAdminToken(text)
  if (checked.ok) return checked.value
  throw new Error(`${name} ${checked.problem}`)
}

function readIfPresent(path: string): string | undefined {
  try {
    return readPrivateFile(path)
  } catch (error) {
    throw new Error(`The admin token in ${path} cannot be read (${errorCode(error) || error}).`, {
      cause: error,
    })
  }
}

function storeNew(path: string): string {
  const token = `qpa_${randomBytes(32).toString('base64url')}`
  try {
    writePrivateFile(path, `${token}\n`)
    return token
  } catch (error) {
    throw new Error(`The admin token cannot be stored in ${path} (${errorCode(error) || error}).`, {
      cause: error,
    })
  }
}

function refused(what: string): Parsed<never> {
  return { ok: false, problem: `${what}. ${ADVICE}` }
}
