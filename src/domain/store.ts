/** What a store says of itself, whatever engine keeps it. */

/**
 * The store cannot be used at present: nothing was written, and the same may succeed later. Every port that is kept in the
 * store may reject with it; no other error of an engine leaves its room.
 */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure'
  /** As the engine says it, for the log. */
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

export type Capabilities = {
  /** Whether backups of it can be made, and if not, why. */
  readonly backups: { readonly ok: true } | { readonly ok: false; readonly reason: string }
  /** The file that it is kept in, which other processes can read meanwhile; null if there is none. */
  readonly sharedFile: string | null
}
