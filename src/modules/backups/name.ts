/** What a backup is called, and what its name tells. Nothing with another name is ever taken for ours, or removed. */
import { randomBytes } from 'node:crypto'
import { compact } from '../../lib/clock.ts'

const NAME = /^quota-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{6}\.db\.zst(\.age)?$/

/** `at` is the instant that the backup shows, to the second. */
export type Named = { readonly name: string; readonly at: number; readonly encrypted: boolean }

export function newName(at: number, encrypted: boolean): string {
  const chance = randomBytes(3).toString('hex')
  return `quota-${compact(at)}-${chance}.db.zst${encrypted ? '.age' : ''}`
}

/** Null if it is not the name of a backup. */
export function readName(name: string): Named | null {
  const [, year, month, day, hour, minute, second, age] = NAME.exec(name) ?? []
  if (year === undefined) return null
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at) ? null : { name, at, encrypted: age !== undefined }
}

/** The file beside a backup that tells of it. */
export function manifestName(name: string): string {
  return `${name}.json`
}

/** The name of the backup that a manifest tells of; null for other files. */
export function nameOfManifest(file: string): string | null {
  const name = file.endsWith('.json') ? file.slice(0, -'.json'.length) : ''
  return readName(name) && name
}
