/** What commands read beside plain texts: files, standard input as `-`, numbers, API fields. */
import { InvalidArgumentError } from 'commander'
import { Misuse } from './session.ts'

/** Above every file that is meant for these commands, and below what would hurt. */
const BYTES_MAX = 64 * 1024 * 1024

export async function readInput(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path))
}

async function readBytes(path: string): Promise<Uint8Array> {
  const file = path === '-' ? Bun.stdin : Bun.file(path)
  if (path !== '-' && !(await file.exists())) throw new Misuse(`There is no file ${path}.`)
  if (path !== '-' && file.size > BYTES_MAX)
    throw new Misuse(`${path} is larger than ${BYTES_MAX / 2 ** 20} MiB.`)
  return await file.bytes()
}

/** A text file in an encoding by its label (WHATWG Encoding); unless one is given, UTF-8, or UTF-16 with its mark. */
export async function readText(path: string, encoding: string | undefined): Promise<string> {
  const bytes = await readBytes(path)
  const label = encoding ?? markOf(bytes) ?? 'utf-8'
  try {
    return new TextDecoder(label as Bun.Encoding, { fatal: true }).decode(bytes)
  } catch {
    throw new Misuse(
      encoding === undefined
        ? `${path} is not UTF-8. Save it as "CSV UTF-8", or say what it is, such as --encoding gbk.`
        : `${path} cannot be read as ${encoding}.`,
    )
  }
}

function markOf(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined
}

/** A secret, without the end of its line. There is no other way in for secrets. */
export async function readSecret(path: string): Promise<string> {
  const secret = (await readInput(path)).trim()
  if (secret === '') throw new Misuse(`There is no secret in ${path}.`)
  return secret
}

export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Misuse(`${name === '-' ? 'Standard input' : name} is not valid JSON.`)
  }
}

/** Stands for what is null in the API: commander would make an empty text of a null. */
export const NOTHING = Symbol('nothing')

type Options = Readonly<Record<string, unknown>>

/** A body for the API: `names` says which option is which field. What was not given is left out. */
export function fieldsOf(options: Options, names: Readonly<Record<string, string>>): Options {
  const given = Object.entries(names).flatMap(([option, field]) => {
    const value = options[option]
    return value === undefined ? [] : [[field, value === NOTHING ? null : value]]
  })
  return Object.fromEntries(given)
}

/** The further fields in the file that `--fields` names. */
export async function readFields(path: string | undefined): Promise<Options> {
  if (path === undefined) return {}
  const value = parseJson(await readInput(path), path)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Misuse(`${path} must hold one JSON object.`)
}

/** Refuses a change of nothing. */
export function mustChange(body: Options): Options {
  if (Object.keys(body).length > 0) return body
  throw new Misuse('There is nothing to change: give at least one option.')
}

/** Reads a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text)
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** How many, of what there may be any number of. */
export function readCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number from 1.')
}

export function readConcurrency(text: string): number | typeof NOTHING {
  if (text === 'none') return NOTHING
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number from 1, or "none".')
}
