/**
 * What backups ask of the engine: a copy of one instant, what is in a file, and to put one into its place; and what others are
 * told of them.
 */

/** What a database holds, in numbers. Two files whose sums are the same, byte for byte of their text, hold the same. */
export type Sums = {
  /** Names of the applied migrations, in order. */
  readonly migrations: readonly string[]
  readonly keys: number
  /** Calls that have ended, and calls that were in flight. */
  readonly calls: number
  readonly holds: number
  /** Number of the newest call of both kinds; null if there is none. */
  readonly newest: number | null
  /** Units used, over all counters. */
  readonly requests: number
  readonly tokens: number
  readonly cost: number
  /** Counters that do not agree with the ledger. */
  readonly unbalanced: number
  /** Ids of the secret keys that credentials are sealed with. */
  readonly seals: readonly string[]
}

export type Examined =
  | { readonly ok: true; readonly sums: Sums }
  /** A sentence that says what is wrong with the file. */
  | { readonly ok: false; readonly problem: string }

/** What metrics tell of backups. */
export type BackupStatus = {
  readonly scheduled: boolean
  readonly lastSuccessAt: number | null
  /** Of the latest attempt. */
  readonly failed: boolean
  /** Of the latest success, and how long it took. */
  readonly sizeBytes: number | null
  readonly durationMs: number | null
}

export type Lock = { release(): void }

/** Where the database of before has been put. */
export type Replaced = {
  /** Null if there was none. */
  readonly kept: string | null
  /** Whether its log had to be kept beside it, because it could not be folded in. */
  readonly keptLog: boolean
}

export type BackupEngine = {
  /** Null if somebody has it. However its holder dies, it is free again. */
  lock(path: string): Lock | null
  /** Throws if there is no database to copy. Calls that are served meanwhile are not stopped. */
  copy(to: string): void
  /** Reads all of a file that nobody writes to. */
  examine(path: string): Examined
  /** Reads a few numbers of the database in place; null if it is missing or cannot be read. */
  glance(): Pick<Sums, 'keys' | 'calls'> | null
  /** The lock of the database itself; throws what says that a server runs. */
  lockDatabase(): Lock
  /** A file beside the database, where a new one is prepared. */
  readonly beside: string
  /** Removes a database that nobody has open, and what the engine puts beside one. */
  discard(file: string): void
  /** Only with the lock of the database: `file` becomes the database, at once and as a whole. */
  replace(file: string, at: number): Replaced
}
