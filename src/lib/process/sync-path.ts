/** Waits until the disk has what was written to a file, or the names that are in a directory. */
import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Never of a database that is open: closing the file would drop the locks that SQLite holds on it. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
