/** The data directory itself, and where its files lie in it. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../lib/error-code.ts'

/** The kernel's room for the path of a socket, with the byte that ends it (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107

/** The path of the generated admin token. */
export function adminTokenPath(dataDir: string): string {
  return join(dataDir, 'admin-token')
}

/** The path of the generated secret keys. */
export function secretKeyPath(dataDir: string): string {
  return join(dataDir, 'secret-key')
}

/**
 * Makes the directory for its owner alone. One that exists stays as it is; if others can enter it,
 * that is a warning. Throws an Error whose message tells the operator what to do.
 */
export function openDataDir(path: string): { readonly warning?: string } {
  try {
    fs.mkdirSync(path, { recursive: true, mode: 0o700 })
    const mode = fs.statSync(path).mode & 0o777
    if ((mode & 0o077) === 0) return {}
    return {
      warning: `Other users of this machine may enter the data directory ${path} (mode ${mode.toString(8)}); run: chmod 700 ${path}`,
    }
  } catch (error) {
    throw new Error(
      `The data directory ${path} cannot be used (${errorCode(error) || error}). Set DATA_DIR to a directory that this user may write to.`,
      { cause: error },
    )
  }
}

/** Where the server of a data directory listens for commands. Null if the path is too long for the kernel. */
export function controlSocketPath(dataDir: string): string | null {
  const path = join(dataDir, 'control.sock')
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX ? null : path
}
