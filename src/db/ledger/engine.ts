/** What the ledger asks of an engine: all that needs the database, and nothing else. */
import type { Refusal } from '../../errors.ts'
import type { Claim } from '../../quota/ledger.ts'
import type { Job } from './jobs.ts'
import type { ClockStep } from './timekeeper.ts'

/** At once where statements are answered at once, so that nobody waits for another turn of the event loop. */
export type Awaitable<T> = T | Promise<T>

export type Batch = {
  readonly jobs: readonly Job[]
  /** What sliding windows have counted moves with the clock before anything else is done; null if the clock was left alone. */
  readonly step: ClockStep | null
}

/** Everything throws a StoreFailure, or rejects with one, if the store cannot be used at present. */
export interface LedgerEngine {
  /**
   * Writes all of a batch in one transaction and sets the answer of each job: what ends makes room before anybody asks for
   * it. Throws with nothing written; any error but a StoreFailure is the fault of one of the jobs.
   */
  write(batch: Batch): Awaitable<void>
  /** Writes in vain, to see whether it could: charges the claim, if there is one, and takes the charge back. */
  tryOut(claim: Claim | null): Awaitable<void>
  /** Why the claim would be refused now; null if it might be granted. Writes nothing. */
  foresee(claim: Claim): Awaitable<Refusal | null>
  /** Whether the work of an object of an upstream was charged. */
  isCharged(upstream: string, object: string): Awaitable<boolean>
}
