/**
 * Small files with a secret in them, for their owner alone. Whoever reads one, at any moment and after any crash, finds
 * all of what was there before or all of what was written. Throws what the file system says.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from '../lib/error-code.ts'

/** Undefined if there is none. */
export function readPrivateFile(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    sync(temporary, 'wx', (fd) => fs.writeFileSync(fd, text))
    fs.renameSync(temporary, path)
    // Or the loss of power could bring back the name of before.
    sync(dirname(path), 'r', () => {})
  } catch (error) {
    fs.rmSync(temporary, { force: true })
    throw error
  }
}

function sync(path: string, flags: string, write: (fd: number) => void): void {
  const fd = fs.openSync(path, flags, 0o600)
  try {
    write(fd)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}
