/**
 * The store as the rest of the server sees it, whatever engine keeps it: what can be asked of it,
 * what it says of itself, and what an examination of it finds.
 */
import type { Watch } from '../lib/watch.ts'
import type { CallReader } from './call.ts'
import type { KeyReader } from './key.ts'
import type { UsageReader } from './usage.ts'

/**
 * The store cannot be used at present: nothing was written, and the same may succeed later. Every
 * port that is kept in the store may reject with it; no other error of an engine leaves its room.
 */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure'
  /** As the engine says it, for the log. */
  readonly code: string
  /** Whether somebody else has the store for the moment, so that it may work again at once. */
  readonly isLock: boolean

  constructor(message: string, code: string, isLock = false) {
    super(message)
    this.code = code
    this.isLock = isLock
  }
}

export type Capabilities = {
  /** Whether backups of it can be made, and if not, why. */
  readonly backups: { readonly ok: true } | { readonly ok: false; readonly reason: string }
  /**
   * The file that it is kept in, which other processes can read meanwhile; null if there is none.
   */
  readonly sharedFile: string | null
}

/**
 * The port of all that is asked: what a holder or an operator wants to know, and no call waits for.
 * Whoever asks is named, so that those who ask at once take turns. Every method may throw
 * `rate_limit_exceeded`: to somebody who asks too much at once, and for what takes too long.
 */
export type Reads = {
  readonly keys: KeyReader
  readonly usage: UsageReader
  readonly calls: CallReader
}

/** By the id of the key that asks, or `OPERATOR`. */
export type ReadsFor = (asker: string) => Reads

/** No id of a key looks like it. */
export const OPERATOR = 'operator'

/** What the examination of a store or of a backup looks at. */
export const CHECKS = [
  'books',
  'holds',
  'integrity',
  'foreign_keys',
  'clock',
  'prices',
  'wal',
  'disk',
  'sqlite',
  'server',
  'replicas',
  'bloat',
  'backup',
] as const

export type Finding = {
  readonly check: (typeof CHECKS)[number]
  readonly ok: boolean
  /** How many of what is checked are not well, where they are counted. */
  readonly count?: number
  /** What was found, and what to do if it is not well. */
  readonly detail: string
}

export type Examining = {
  readonly watch?: Watch
  /** Upstreams without prices that are not in the store. */
  readonly unpriced?: readonly string[]
}

export type Examination = { readonly ok: boolean; readonly findings: readonly Finding[] }
