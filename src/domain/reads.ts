/**
 * The port of all that is asked: what a holder or an operator wants to know, and no call waits for. Who asks is named, so
 * that those who ask at once take turns. Whoever asks too much at once is refused, and so is what takes too long to answer:
 * every method may throw `rate_limit_exceeded`.
 */
import type { CallReader } from './call.ts'
import type { KeyReader } from './key.ts'
import type { UsageReader } from './usage.ts'

export type Reads = {
  readonly keys: KeyReader
  readonly usage: UsageReader
  readonly calls: CallReader
}

/** By the id of the key that asks, or `OPERATOR`. */
export type ReadsFor = (asker: string) => Reads

/** No id of a key looks like it. */
export const OPERATOR = 'operator'
