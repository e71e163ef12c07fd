/** What commands read beside their arguments: files, and standard input as `-`. The only way in for secrets. */
import { Misuse } from './admin.ts'

/** Above every file that is meant for these commands, and below what would hurt. */
const BYTES_MAX = 64 * 1024 * 1024

export async function readInput(path: string): Promise<string> {
  const file = path === '-' ? Bun.stdin : Bun.file(path)
  if (path !== '-' && !(await file.exists())) throw new Misuse(`There is no file ${path}.`)
  if (path !== '-' && file.size > BYTES_MAX)
    throw new Misuse(`${path} is larger than ${BYTES_MAX / 2 ** 20} MiB.`)
  return await file.text()
}

/** A secret, without the end of its line. */
export async function readSecret(path: string): Promise<string> {
  const secret = (await readInput(path)).trim()
  if (secret === '') throw new Misuse(`There is no secret in ${path}.`)
  return secret
}

/** The fields of an API object. */
export async function readFields(path: string | undefined): Promise<Record<string, unknown>> {
  if (path === undefined) return {}
  const value = parseJson(await readInput(path), path)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Misuse(`${path} must hold one JSON object.`)
}

export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Misuse(`${name} is not valid JSON.`)
  }
}

/** Text that says on a terminal, or under `--json` as the API said it, what was done. */
export function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
