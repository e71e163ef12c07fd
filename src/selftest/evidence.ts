/** What the self-test writes down while it runs, and what it finds in the books afterwards: all that the audit may use. */

export type Evidence = {
  readonly keys: readonly KeyRecord[]
  readonly calls: readonly CallRecord[]
  /** How often each call, by its id, reached the upstream. */
  readonly hits: ReadonlyMap<number, number>
  /** What the admin API said that a key had used, while calls went on. */
  readonly reads: readonly { readonly key: number; readonly used: number }[]
  /** Holds found after each start, before the first new call. */
  readonly holdsAtStart: readonly number[]
  /** Lives of the server that were ended by force. */
  readonly killed: ReadonlySet<number>
  readonly books: Books
}

/** Calls and reads name a key by its place in the list. */
export type KeyRecord = {
  readonly id: string
  readonly amount: number
  /** The upstream never fails its calls, so nothing is ever refunded and what is used only grows. */
  readonly steady: boolean
  /** More was asked for than the amount, until the last unit must have gone. */
  readonly drained: boolean
  /** Whether the admin has begun to disable it, and the instant at which the API had confirmed that. */
  readonly revoking: boolean
  readonly revokedAt: number | null
}

/** One request of a client. Instants are counted, not timed: a later one is a larger number. */
export type CallRecord = {
  readonly id: number
  readonly key: number
  /** Which life of the server it was sent to. */
  readonly life: number
  /** The upstream breaks off within the answer. The reset that says so may overtake what was sent before it. */
  readonly cut: boolean
  readonly begunAt: number
  /** Null if it never ended. */
  readonly endedAt: number | null
  /** Null if the connection broke before the head of an answer came: whether it was charged is unknown. */
  readonly answer: Answer | null
}

export type Answer = {
  readonly status: number
  /** Whether it came to its end. */
  readonly whole: boolean
  /** Number of the ledger entry; null if the call was refused. */
  readonly charge: number | null
  /** What it cost, as the client was told. */
  readonly cost: number
  /** What had been used, as the client was told. */
  readonly used: number | null
  /** Why it was refused; null if it was let in. */
  readonly code: string | null
}

/** The database after the last stop. */
export type Books = {
  readonly entries: ReadonlyMap<number, EntryRecord>
  /** Sums by key id. */
  readonly accounts: ReadonlyMap<string, Account>
  /** What `PRAGMA integrity_check` says. */
  readonly integrity: string
}

export type EntryRecord = {
  readonly keyId: string
  readonly charged: number
  readonly outcome: string
}

export type Account = {
  /** What the counters say. */
  readonly used: number
  /** How many entries there are, and what they charge. */
  readonly entries: number
  readonly charged: number
  /** The part of `used` whose entries have been pruned. */
  readonly pruned: number
  readonly held: number
  /** What the usage rollup says. */
  readonly rolledUp: number
}
