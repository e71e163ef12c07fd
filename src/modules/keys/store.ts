/**
 * The port of the key store. Every method is one transaction. Deleted keys are never found again; what they used stays
 * in the books.
 */
import type { Balance } from '../../quota/ledger.ts'
import type { LimitSpec } from '../../quota/limit.ts'

export type NamedLimit = LimitSpec & { name: string }

/** A key's main limit: the one that `quota` sets. Every key has it. */
export const MAIN_LIMIT = 'quota'

export type LimitView = NamedLimit & Balance & { credited: number }

export type KeyRecord = {
  readonly seq: number
  readonly id: string
  readonly hint: string
  readonly name: string
  readonly enabled: boolean
  /** Instant, ms; null never expires. */
  readonly expiresAt: number | null
  readonly concurrency: number | null
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly revision: number
  readonly createdAt: number
  readonly updatedAt: number
  /** Admission of its newest call in the ledger. */
  readonly lastUsedAt: number | null
  /** The main limit first, each with what it has granted at the instant asked for. */
  readonly limits: readonly LimitView[]
}

export type NewKey = Pick<
  KeyRecord,
  'id' | 'hint' | 'name' | 'enabled' | 'expiresAt' | 'concurrency'
> & {
  readonly hash: Buffer
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly limits: readonly NamedLimit[]
}

export type KeyChanges = Partial<
  Pick<NewKey, 'name' | 'enabled' | 'expiresAt' | 'concurrency' | 'tags' | 'metadata' | 'limits'>
>

/** A public id, or the hash of a raw key. */
export type KeyRef = { readonly id: string } | { readonly hash: Buffer }

export type KeyFilter = {
  readonly status?: 'active' | 'disabled' | 'expired'
  readonly tag?: string
  /** Part of a name, any letter case, or of an id. */
  readonly q?: string
}

export type KeyPage = { readonly keys: readonly KeyRecord[]; readonly more: boolean }

export interface KeyStore {
  /** Null if a key with this hash exists. */
  create(key: NewKey, at: number): KeyRecord | null
  find(ref: KeyRef, at: number): KeyRecord | null
  /** Newest first, keys created before (and so with a lower `seq` than) `before`. */
  list(filter: KeyFilter, page: { limit: number; before?: number }, at: number): KeyPage
  /**
   * Changes what is given. Limits are the whole new list: one that keeps unit, window and zone keeps what was used;
   * one that changes any of these starts afresh.
   */
  update(id: string, changes: KeyChanges, at: number): KeyRecord | null
  /** Starts every limit of the key afresh, with a new main amount if `quota` is given. */
  reset(id: string, quota: number | null | undefined, at: number): KeyRecord | null
  /**
   * Adds units to a limit for its present period, or takes them when negative; what was used stays as it is. Null if there
   * is no such key; `no_limit` if it has no limit of that name, or one without an amount.
   */
  credit(
    id: string,
    credit: { limit: string; amount: number; reason: string },
    at: number,
  ): KeyRecord | 'no_limit' | null
  remove(id: string, at: number): boolean
}

/** What the data path knows of a key: enough to refuse early. The ledger checks all of it again as it charges. */
export type Credential = {
  readonly seq: number
  readonly id: string
  readonly enabled: boolean
  readonly expiresAt: number | null
  readonly concurrency: number | null
}

/** Finds the key of a hash, fresh from the store. Throws if the store fails. */
export type FindCredential = (hash: Buffer) => Credential | null
