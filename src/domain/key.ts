/** A key: what it may be, whether it may be used, and the ports that keep and read keys. */
import type { Refusal } from '../errors.ts'
import type { Balance, LimitSpec, Unit } from './limit.ts'

/** The longest name of a key. Names are for people and need not be unique. */
export const KEY_NAME_CHARS_MAX = 200
export const TAG_CHARS_MAX = 64

export const KEY_STATUSES = ['active', 'disabled', 'expired'] as const
export type KeyStatus = (typeof KEY_STATUSES)[number]

type Usability = { readonly enabled: boolean; readonly expiresAt: number | null }

export function keyStatus({ enabled, expiresAt }: Usability, at: number): KeyStatus {
  if (!enabled) return 'disabled'
  return expiresAt !== null && expiresAt <= at ? 'expired' : 'active'
}

/** Unknown, deleted and malformed keys all get this answer, so that nothing tells them apart. */
export const UNKNOWN_KEY: Refusal = {
  code: 'invalid_api_key',
  message: 'This API key is not valid. Check for a typo, or ask whoever gave it to you.',
}

const UNUSABLE: Readonly<Record<Exclude<KeyStatus, 'active'>, Refusal>> = {
  disabled: {
    code: 'api_key_disabled',
    message: 'This API key is disabled. Ask whoever gave it to you.',
  },
  expired: {
    code: 'api_key_expired',
    message: 'This API key has expired. Ask whoever gave it to you for a new one.',
  },
}

/** Null if the key may be used at `at`. */
export function whyUnusable(key: Usability, at: number): Refusal | null {
  const status = keyStatus(key, at)
  return status === 'active' ? null : UNUSABLE[status]
}

export type NamedLimit = LimitSpec & { name: string }

/** The limit that `quota` sets. Every key has it. */
export const MAIN_LIMIT = 'quota'

/**
 * What a key is restricted to. An absent member restricts nothing, an empty list allows nothing.
 * `methods` are upper-case; `paths` and `models` are globs; `ipAllow` are addresses and networks in
 * CIDR notation. A path begins after the upstream's base URL. If an envelope names an endpoint that
 * belongs to no upstream, it is the whole path of that endpoint.
 */
export type Scope = {
  readonly upstreams?: readonly string[]
  readonly methods?: readonly string[]
  readonly paths?: readonly string[]
  readonly models?: readonly string[]
  readonly ipAllow?: readonly string[]
}

/**
 * Most units that one call reserves, whatever it asks for; an absent member is no bound. What the call really costs is
 * settled by the upstream's report, which may pass a limit by the rest.
 */
export type ReserveMax = { readonly tokens?: number; readonly cost?: number }
export const RESERVABLE = ['tokens', 'cost'] as const satisfies readonly (keyof ReserveMax)[]

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
  /** Null is no bound. */
  readonly reserveMax: ReserveMax | null
  /** Null restricts nothing. */
  readonly scope: Scope | null
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly revision: number
  /** Until when the secret before the latest rotation works; null if it works no more. */
  readonly previousUntil: number | null
  /** Null while it is not deleted. */
  readonly deletedAt: number | null
  readonly createdAt: number
  readonly updatedAt: number
  /** When its newest call in the ledger was admitted. */
  readonly lastUsedAt: number | null
  /** The main limit first, each with what it has granted in its present period. */
  readonly limits: readonly LimitView[]
}

export type NewKey = Pick<
  KeyRecord,
  'id' | 'hint' | 'name' | 'enabled' | 'expiresAt' | 'concurrency' | 'reserveMax' | 'scope'
> & {
  readonly hash: Buffer
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly limits: readonly NamedLimit[]
}

export type KeyChanges = Partial<
  Pick<
    NewKey,
    | 'name'
    | 'enabled'
    | 'expiresAt'
    | 'concurrency'
    | 'reserveMax'
    | 'scope'
    | 'tags'
    | 'metadata'
    | 'limits'
  >
>

/** What takes the place of the secret that a key has now. */
export type NextSecret = {
  readonly hash: Buffer
  readonly hint: string
  readonly previousUntil: number | null
}

/** A public id, or the hash of a raw key. */
export type KeyRef = { readonly id: string } | { readonly hash: Buffer }

export type KeyFilter = {
  readonly status?: KeyStatus
  readonly tag?: string
  /** Part of a name, any letter case, or of an id. */
  readonly q?: string
  /** Also keys that are deleted; without it these are left out. */
  readonly isEver?: boolean
}

/** Rows with a lower `seq` than `before`, newest first. */
export type Page = { readonly limit: number; readonly before?: number | undefined }

export type KeyPage = { readonly keys: readonly KeyRecord[]; readonly more: boolean }

/** A credit or a reset of one limit, as the operator made it. */
export type Adjustment = {
  readonly seq: number
  readonly at: number
  readonly kind: 'credit' | 'reset'
  /**
   * The limit's name at that time. A limit of this name may be gone by now, or count another unit.
   */
  readonly limit: string
  /** Units credited, negative if taken; for a reset, the units used before it. */
  readonly amount: number
  /** Empty if none was given. */
  readonly reason: string
}

export type AdjustmentPage = {
  readonly adjustments: readonly Adjustment[]
  readonly more: boolean
}

/** Every method is one transaction, and may reject with a StoreFailure. It never finds a deleted key; what that key used stays in the books. */
export interface KeyStore {
  /** Null if a key with this hash exists. */
  create(key: NewKey, at: number): Promise<KeyRecord | null>
  /** For who is about to change it. */
  find(ref: KeyRef, at: number): Promise<KeyRecord | null>
  /**
   * Changes what is given. Limits are the whole new list: one that keeps unit, window and zone keeps what was used;
   * one that changes any of these starts afresh. `changed` if `revision` is given and the key has another one by now.
   */
  update(
    id: string,
    changes: KeyChanges,
    at: number,
    revision?: number,
  ): Promise<KeyRecord | 'changed' | null>
  /** Starts every limit of the key afresh, with a new main amount if `quota` is given. */
  reset(id: string, quota: number | null | undefined, at: number): Promise<KeyRecord | null>
  /**
   * Gives the key another secret. The one before it works until `previousUntil`, if that is given,
   * but no longer than to the next rotation; older ones stop working. Null if there is no such key;
   * `taken` if a key has this hash.
   */
  rotate(id: string, secret: NextSecret, at: number): Promise<KeyRecord | 'taken' | null>
  /**
   * Adds units to a limit for its present period, or takes them if the amount is negative. What was
   * used stays. Null if there is no such key; `no_limit` if it has no limit of that name, or one
   * without an amount.
   */
  credit(
    id: string,
    credit: { limit: string; amount: number; reason: string },
    at: number,
  ): Promise<KeyRecord | 'no_limit' | null>
  remove(id: string, at: number): Promise<boolean>
}

/** Answers questions about keys from what is committed. Only whoever asks waits for the answer. */
export interface KeyReader {
  find(ref: KeyRef, at: number): Promise<KeyRecord | null>
  /** The key with this id, also if it is deleted. */
  findEver(id: string, at: number): Promise<KeyRecord | null>
  list(filter: KeyFilter, page: Page, at: number): Promise<KeyPage>
  /** Of one key. A reset has an entry for each limit that it started afresh. */
  adjustments(keySeq: number, page: Page): Promise<AdjustmentPage>
}

/**
 * What the data path knows of a key: enough to refuse early. The ledger checks all of it again with
 * the charge.
 */
export type Credential = {
  readonly seq: number
  readonly id: string
  /** For the log that people read. */
  readonly name: string
  readonly enabled: boolean
  /** The end of the key, or of the secret that found it if that comes first. */
  readonly expiresAt: number | null
  readonly concurrency: number | null
  readonly reserveMax: ReserveMax | null
  /** The units of which the key has a limit with an amount. */
  readonly limitedUnits: readonly Unit[]
  readonly scope: Scope | null
  /** Of the record. Every change of the key raises it, so that the charge notices a record that is out of date. */
  readonly revision: number
}

/** Whether a secret may be used, and until when. */
export type Standing = Pick<Credential, 'enabled' | 'expiresAt'>

/** What has become of secrets, by their hashes in hex; one that leads to no key is not there. Rejects if the store fails. */
export type FindStandings = (hashes: readonly Buffer[]) => Promise<ReadonlyMap<string, Standing>>

/** Finds the key of a hash, fresh from the store. Rejects if the store fails. */
export type FindCredential = (hash: Buffer) => Promise<Credential | null>
