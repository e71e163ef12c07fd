/** The evidence while it is gathered: keys, calls and readings, in the order in which they happened. */
import type { Answer, CallRecord, Evidence, KeyRecord } from './evidence.ts'

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
