/** Private keys of age, in the file that `age-keygen` writes. */
import { readFileSync } from 'node:fs'
import { errorCode } from '../../lib/error-code.ts'

const IDENTITY = /^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]+$/

/** Throws an Error with a sentence that says nothing of what is in the file. */
export function readIdentities(path: string): string[] {
  const lines = read(path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (lines.length > 0 && lines.every((line) => IDENTITY.test(line))) return lines
  throw new Error(
    '--identity-file must name a file with a private key of age on each line, such as age-keygen writes; one that is itself encrypted has to be decrypted first.',
  )
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`--identity-file names a file that cannot be read (${errorCode(error)}).`)
  }
}
