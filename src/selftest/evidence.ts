/**
 * What the self-test writes down while it runs, and what it finds in the books afterwards: all that
 * the audit may use. The journal gathers it in the order in which it happens.
 */

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
  /** Whether the database was killed, too, so that it was away for a while. */
  readonly databaseKilled: boolean
  readonly books: Books
}

/** Calls and reads name a key by its place in the list. */
export type KeyRecord = {
  readonly id: string
  readonly amount: number
  /**
   * The upstream never fails its calls, so nothing is ever refunded and what is used only grows.
   */
  readonly steady: boolean
  /** More was asked for than the amount, until the last unit must have gone. */
  readonly drained: boolean
  /**
   * Whether the admin has begun to disable it, and the instant at which the API had confirmed that.
   */
  readonly revoking: boolean
  readonly revokedAt: number | null
}

/** One request of a client. Instants are counted, not timed: a later one is a larger number. */
export type CallRecord = {
  readonly id: number
  readonly key: number
  /** Which life of the server it was sent to. */
  readonly life: number
  /**
   * The upstream breaks off within the answer. The reset that says so may overtake what was sent
   * before it.
   */
  readonly cut: boolean
  readonly begunAt: number
  /** Null if it never ended. */
  readonly endedAt: number | null
  /**
   * Null if the connection broke before the head of an answer came: whether it was charged is
   * unknown.
   */
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
  /** What the database says of its own files: `ok` if nothing. */
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

/**
 * Calls that were charged in a batch of which nobody knew whether it was written, and were refused for that; then their
 * server lost its lease or its life before it could give back what they had reserved.
 */
export function undecided(key: KeyRecord, answers: readonly Answer[], books: Books): number {
  const told = new Set(answers.map(({ charge }) => charge))
  const untold = [...books.entries].filter(
    ([charge, { keyId, outcome }]) =>
      keyId === key.id && outcome === 'interrupted' && !told.has(charge),
  )
  const refused = answers.filter(({ code }) => code === 'storage_unavailable')
  return Math.min(untold.length, refused.length)
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] }

export type TestedKey = Writable<KeyRecord> & {
  /** Its place in the list of keys. */
  readonly index: number
  readonly secret: string
  /** How many calls were asked of it; decides what the upstream does with the next. */
  calls: number
}

export type Journal = ReturnType<typeof createJournal>

export function createJournal() {
  const keys: TestedKey[] = []
  const calls: Writable<CallRecord>[] = []
  const reads: Evidence['reads'][number][] = []
  let instant = 0

  return {
    keys: keys as readonly TestedKey[],
    calls: calls as readonly CallRecord[],
    reads: reads as Evidence['reads'],

    /** Every instant is later than the one before. */
    now: () => ++instant,

    addKey(id: string, secret: string, amount: number): TestedKey {
      const index = keys.length
      // Every second one, so that each load has both kinds.
      const steady = index % 2 === 0
      const untouched = { calls: 0, drained: false, revoking: false, revokedAt: null }
      const key: TestedKey = { index, id, secret, amount, steady, ...untouched }
      keys.push(key)
      return key
    },

    addRead(key: TestedKey, used: number): void {
      reads.push({ key: key.index, used })
    },

    begin(key: TestedKey, life: number, cut: boolean): Writable<CallRecord> {
      const begunAt = ++instant
      const call = { id: begunAt, key: key.index, life, cut, begunAt, endedAt: null, answer: null }
      calls.push(call)
      return call
    },

    end(call: Writable<CallRecord>, answer: Answer | null): CallRecord {
      call.endedAt = ++instant
      call.answer = answer
      return call
    },
  }
}
