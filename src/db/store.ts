/** What is handed out of an open database: its ports, and what keeps it going. The same for every engine. */

import type { FindCredential, FindStandings, KeyStore } from '../domain/key.ts'
import type { Capabilities, Examination, Examining, ReadsFor, Replicas } from '../domain/store.ts'
import type { UpstreamStore } from '../domain/upstream.ts'
import type { SteadyClock } from '../lib/clock.ts'
import type { Sealer } from '../lib/seal.ts'
import type { LedgerEvents } from './ledger/events.ts'
import type { GroupLedger } from './ledger/ledger.ts'

/** `normal` outlives the death of the process, `full` a loss of power too. */
export type Durability = 'normal' | 'full'

export type Retention = {
  /** Entries older than this are forgotten. */
  readonly callsDays: number
  /** Of younger ones, only so many newest are kept. */
  readonly callsMax: number
  readonly usageDays: number
}

/** One step; resolves with true if there may be more to do at once. */
export type Prune = (at: number) => Promise<boolean>

/** A migration of a database, as an operator is told of it. */
export type MigrationView = {
  readonly name: string
  readonly state: MigrationState
  readonly appliedAt: number | null
}

/** `unknown` is in the database and not in this binary, `changed` is in both with another text. */
export type MigrationState = 'applied' | 'pending' | 'unknown' | 'changed'

export type StoreOptions = {
  /** A `DATABASE_URL`. */
  readonly url: string
  readonly durability: Durability
  /** Asked at each step: it can be changed while the server runs. */
  readonly retention: () => Retention
  readonly events: LedgerEvents
  /** By which calls are let in; without it, each is at the instant that it says. */
  readonly clock?: SteadyClock
  /** Seals what must not stand in the database in readable form. */
  readonly sealer: Sealer
  /** For who is about to seal everything anew, and may have lost the key of before. */
  readonly isResealing?: boolean
  /** Whose place a process takes where several serve a database; without it, it is one more. */
  readonly replica?: string
}

export type Store = {
  readonly capabilities: Capabilities
  readonly find: FindCredential
  readonly standings: FindStandings
  readonly ledger: Pick<
    GroupLedger,
    | 'foresee'
    | 'reserve'
    | 'settle'
    | 'record'
    | 'isCharged'
    | 'flush'
    | 'failing'
    | 'open'
    | 'watch'
  >
  /** Whether calls are refused since nothing can be written; looks for itself, and at once. */
  isFailing(): boolean
  readonly keys: KeyStore
  readonly upstreams: UpstreamStore
  /** `reload` takes up what another process has changed of the upstreams, and is awaited before calls are charged by it. */
  watchUpstreams(reload: () => Promise<void>): void
  readonly reads: ReadsFor
  readonly prune: Prune
  /** What all servers of the database have noted of backups; null where there is one server. */
  readonly backupRecord: (() => Promise<unknown>) | null
  readonly replicas: Replicas
  /** Names of the migrations that were applied now. */
  readonly migrated: readonly string[]
  /** Calls that a crash had left open; they are settled as `interrupted`. */
  readonly interrupted: number
  /** Looks through everything, in the way of calls: for a database that no other process can see. */
  examine(at: number, how?: Examining): Promise<Examination>
  /**
   * Keeps the write-ahead log short from a thread of its own, where there is one. Returns a function that stops the thread,
   * to be awaited before `close`.
   */
  startCheckpoints(onError: (error: string) => void): () => Promise<void>
  /**
   * Answers `reads` from a thread of its own from now on, if a thread can see the database; else it is read in short
   * slices. Returns a function that stops the thread, to be awaited before `close`.
   */
  startReader(): () => Promise<void>
  /** Writes everything into the database itself and lets go of it. */
  close(): Promise<void>
}
