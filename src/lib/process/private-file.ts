/**
 * Small files that only their owner may read. Whoever reads one, at any moment and after any crash,
 * finds either the whole old text or the whole new one. Throws the errors of the file system.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from '../error-code.ts'

/** Undefined if there is no such file. */
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
    // Without this, a loss of power could bring the old file back.
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
