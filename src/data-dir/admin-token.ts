/**
 * The admin token: the one that the operator gave, else the one stored in the data directory, else
 * a new one, stored there for its owner alone. No weak token is ever used, wherever it came from,
 * and no message here ever holds a token.
 */
import { randomBytes } from 'node:crypto'
import { checkAdminToken, TOKEN_ADVICE } from '../domain/operator-secrets.ts'
import { errorCode } from '../lib/error-code.ts'
import { readPrivateFile, writePrivateFile } from '../lib/process/private-file.ts'
import { adminTokenPath, openDataDir } from './directory.ts'

export type AdminToken = {
  readonly token: string
  readonly source: 'env' | 'file' | 'stored' | 'generated'
  /** The file that holds it, unless it came from the environment. */
  readonly path?: string
}

/** The settings that decide where the token comes from. */
export type TokenSettings = {
  /** The operator's own token, read from `adminTokenFile` if that is set. */
  readonly adminToken: string | undefined
  readonly adminTokenFile: string | undefined
  readonly dataDir: string
}

/** Throws an Error whose message tells the operator what to do. */
export function openAdminToken({ adminToken, adminTokenFile, dataDir }: TokenSettings): AdminToken {
  if (adminToken !== undefined) {
    return adminTokenFile === undefined
      ? { token: requireStrong(adminToken, 'ADMIN_TOKEN'), source: 'env' }
      : {
          token: requireStrong(adminToken, `The token in ${adminTokenFile}`),
          source: 'file',
          path: adminTokenFile,
        }
  }
  const path = adminTokenPath(dataDir)
  const stored = readIfPresent(path)
  if (stored !== undefined) {
    return {
      token: requireStrong(stored, `The token in ${path} (delete the file to get a new one)`),
      source: 'stored',
      path,
    }
  }
  openDataDir(dataDir)
  return { token: storeNew(path), source: 'generated', path }
}

/**
 * Replaces the stored token by a new one. If the operator gives the token, throws an Error whose
 * message says what to do instead.
 */
export function replaceAdminToken({ adminToken, adminTokenFile, dataDir }: TokenSettings): {
  readonly token: string
  readonly path: string
} {
  if (adminToken !== undefined) {
    const source = adminTokenFile === undefined ? 'ADMIN_TOKEN' : adminTokenFile
    throw new Error(
      `The admin token is given by you, in ${source}, and is not changed here. ${TOKEN_ADVICE}, put it there${adminTokenFile === undefined ? ' and start the server again' : '; a running server takes it within seconds'}.`,
    )
  }
  openDataDir(dataDir)
  const path = adminTokenPath(dataDir)
  return { token: storeNew(path), path }
}

function requireStrong(text: string, name: string): string {
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
