/**
 * Answers the questions of holders and operators, for which no call waits. Askers take turns, so
 * each question names who asks. Every method may throw `rate_limit_exceeded`: if one asker asks too
 * much at once, or if the answer takes too long.
 */
import type { CallReader } from './call.ts'
import type { KeyReader } from './key.ts'
import type { UsageReader } from './usage.ts'

export type Reads = {
  readonly keys: KeyReader
  readonly usage: UsageReader
  readonly calls: CallReader
}

/** `asker` is the id of the key that asks, or `OPERATOR`. */
export type ReadsFor = (asker: string) => Reads

/** No key has an id like this. */
export const OPERATOR = 'operator'
