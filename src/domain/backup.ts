/**
 * What backups need from the settings and from the database engine: take a consistent copy, examine
 * a file, put a file in the place of the database. Also the status that metrics report.
 */

export type BackupSettings = {
  readonly databaseUrl: string
  readonly directory: string
  readonly retention: Retention
  /** Public keys of age. Without one, backups are not encrypted. */
  readonly recipients: readonly string[]
  /** A cron expression; null if backups are made on request only. */
  readonly schedule: string | null
  /** Of the schedule. */
  readonly timezone: string
  /** Null if copies are sent nowhere. */
  readonly storage: StorageSettings | null
}

export type Retention = {
  /** How many backups are kept at most. */
  readonly count: number
  /** How many days a backup is kept at most. */
  readonly days: number
}

/** S3-compatible storage. */
export type StorageSettings = {
  /** `s3://bucket` or `s3://bucket/prefix`. */
  readonly url: string
  /** Null for Amazon's own, which follows from the region. */
  readonly endpoint: string | null
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** What a database holds, in numbers. Files with the same sums hold the same. */
export type Sums = {
  /** Names of the applied migrations, in order. */
  readonly migrations: readonly string[]
  readonly keys: number
  /** Calls that have ended. */
  readonly calls: number
  /** Calls in flight. */
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
  /** Null sums: it was read to its end, but there was no place where it could be restored. */
  | { readonly ok: true; readonly sums: Sums | null }
  /** A sentence that says what is wrong with the file. */
  | { readonly ok: false; readonly problem: string }

/** What metrics report of backups. */
export type BackupStatus = {
  readonly scheduled: boolean
  readonly lastSuccessAt: number | null
  /** Whether the latest attempt failed. */
  readonly failed: boolean
  /** Size of the latest successful backup, and how long it took. */
  readonly sizeBytes: number | null
  readonly durationMs: number | null
}

export type Lock = { release(): void }

/** Where the old database has been put. */
export type Replaced = {
  /** Null if there was none. */
  readonly kept: string | null
  /** Whether its log is kept beside it, because SQLite could not fold the log in. */
  readonly keptLog: boolean
}

/** What the name of a backup says of its contents: a database of SQLite, or a dump of PostgreSQL. */
export type BackupExtension = 'db' | 'dump'

/** What servers of one database know together of its backups. */
export type SharedBackups = {
  /** True for one of all processes that ask for the same instant of the schedule. */
  claim(due: number): Promise<boolean>
  /** The record that was written last; null if there is none. */
  read(): Promise<unknown>
  write(record: unknown): Promise<void>
}

export type BackupEngine = {
  readonly extension: BackupExtension
  /** Null where only one process can serve the database. */
  readonly shared: SharedBackups | null
  /** Null if another process holds it. A lock is free again however its holder dies. */
  lock(path: string): Lock | null
  /** Throws, with a sentence, if there is no database. */
  mustExist(): void
  /** Of the present database; 0 if there is none. */
  bytes(): Promise<number>
  /**
   * Throws if there is no database to copy. Calls are served meanwhile. Resolves with what was copied, if nobody can tell
   * that from the file.
   */
  copy(to: string): Promise<Sums | null>
  /** Reads a whole file that nobody writes to. */
  examine(path: string): Promise<Examined>
  /** Counts in the present database; null if it is missing or cannot be read. */
  counts(): Promise<Pick<Sums, 'keys' | 'calls'> | null>
  /** Locks the database itself. Throws if a server has it, and says so. */
  lockDatabase(): Promise<Lock>
  /** Where `replace` expects its file. */
  readonly stagingPath: string
  /** Removes a database that nobody has open, and the files that the engine adds to it. */
  remove(file: string): void
  /** Makes `file` the database, in one step. Needs the lock of the database. */
  replace(file: string, at: number): Promise<Replaced>
}
