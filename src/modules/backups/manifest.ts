/** What stands beside a backup: where it comes from, how to recognise it, and what is in it. */

import type { Sums } from '../../domain/backup.ts'
import { readName } from './name.ts'

/** As it is in the file, for scripts too. */
export type Manifest = {
  readonly format: 1
  readonly name: string
  /** The instant that the backup shows. */
  readonly created_at: string
  /** Of the binary that made it. */
  readonly version: string
  readonly encrypted: boolean
  readonly bytes: number
  readonly sha256: string
  readonly database_bytes: number
  readonly sums: Sums
}

/** Null unless the text is the manifest of the backup of this name, and says of it what can be checked. */
export function readManifest(text: string, name: string): Manifest | null {
  try {
    const manifest = JSON.parse(text) as Manifest
    const named = readName(name)
    const isWhole =
      manifest.format === 1 &&
      manifest.name === name &&
      Number.isSafeInteger(manifest.bytes) &&
      /^[0-9a-f]{64}$/.test(manifest.sha256) &&
      // The name tells seconds.
      Math.trunc(Date.parse(manifest.created_at) / 1000) * 1000 === named?.at &&
      Array.isArray(manifest.sums.migrations)
    return isWhole ? manifest : null
  } catch {
    return null
  }
}
