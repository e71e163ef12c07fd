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

/**
 * A process that serves the store: `serving`; one that has stopped or was replaced by another in its place: `left`; and one
 * whose lease has run out: `lost`.
 */
export const REPLICA_STATES = ['serving', 'left', 'lost'] as const

/** Instants are by the clock of the store. */
export type ReplicaView = {
  /** Of a host and its data directory. */
  readonly id: string
  readonly version: string
  readonly state: (typeof REPLICA_STATES)[number]
  /** Whether it is the process that says so. */
  readonly here: boolean
  readonly startedAt: number
  readonly seenAt: number
  readonly endedAt: number | null
  /** What is left of its lease; null where there is none. */
  readonly leaseMs: number | null
  /** The latest batch of the ledger that it wrote; null where they have no numbers. */
  readonly batch: number | null
  /** Calls in flight that it has reserved units for. */
  readonly holds: number
}

/** What the store is, and who serves it. */
export type StoreView = {
  readonly engine: string
  readonly version: string
  readonly bytes: number
  readonly schema: {
    /** How many migrations were applied. */
    readonly applied: number
    readonly newest: string
    /** The migration that a binary must know at least, to understand what is there. */
    readonly oldest: string
  }
  /** What the clock of the store is ahead of ours, ms; null where both are one. */
  readonly clockAheadMs: number | null
  /** Calls in flight of replicas that have ended; any that serves ends them within seconds. */
  readonly orphans: number
  /** Those that serve, and those that ended within the last day, the newest end first. */
  readonly replicas: readonly ReplicaView[]
}

/** The port of those who serve the store together. */
export type Replicas = {
  /** `at` is now. */
  view(at: number): Promise<StoreView>
  /** What this process knows without asking: how many serve, the rest of its lease, and how many it has found dead. */
  known(): { readonly serving: number; readonly leaseMs: number | null; readonly lost: number }
}
