/** Where the server of a data directory listens for the commands of its owner. */
import { join } from 'node:path'

/** The kernel's room for the path of a socket, with the byte that ends it (unix(7)). */
const PATH_BYTES_MAX = 107

/** Null if the path would be too long for the kernel. */
export function controlSocketPath(dataDir: string): string | null {
  const path = join(dataDir, 'control.sock')
  return Buffer.byteLength(path) > PATH_BYTES_MAX ? null : path
}
