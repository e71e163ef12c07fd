/**
 * The port of the quota ledger: what the data path may ask of it and what it promises.
 *
 * - Reserving is atomic over all limits of a key: either every one of them is charged or none is.
 * - A reservation that was answered survives the process being killed.
 * - Calls of one key are granted in the order in which they asked.
 * - A hold ends exactly once: `settle` is idempotent, and what a crash leaves open is settled at the next start as
 *   `interrupted`, with its reservation charged.
 * - A refund goes back to the very period that was charged, or nowhere.
 * - If the store cannot answer, `reserve` says `storage_unavailable`; nothing is granted on a guess.
 * - What was done already is recorded whole or not at all, and once.
 * - Nothing is granted to a caller that knows an older or newer state of the key than the store: the charge itself checks
 *   the key's revision, that it is enabled and that it has not expired. So a caller may remember keys between calls.
 */

import type { Metered, Outcome } from '../domain/call.ts'
import type { Balance, Unit, Units } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'

export type Claim = {
  /** As the caller has read it. Every change of a key raises its revision. */
  readonly key: {
    readonly seq: number
    readonly revision: number
    /** Most calls in flight at once, which a ledger of several processes counts over all of them; null is no limit. */
    readonly concurrency?: number | null
  }
  /** When the call is let in, ms. Decides which periods are charged. A ledger that has a clock goes by that. */
  readonly at: number
  readonly upstream: string
  /** Where the call goes, as the caller knows it; absent for what is not checked again. */
  readonly target?: ClaimTarget | undefined
  readonly requestId: string
  readonly units: Units
}

export type ClaimTarget = {
  /** By which calls in flight are counted. */
  readonly name: string
  /** Of the upstream by which the call was resolved; null if the store does not keep any. */
  readonly revision: number | null
  readonly concurrency: number | null
}

export type Hold = {
  /** Number of the call; the ledger entry will bear it. */
  readonly seq: number
  readonly claim: Claim
  /** Which counters were charged, so that exactly those can be refunded. */
  readonly charges: readonly { readonly counterId: number; readonly unit: Unit }[]
  readonly balances: readonly Balance[]
}

export type Reservation =
  | { readonly ok: true; readonly hold: Hold }
  | {
      readonly ok: false
      readonly changed: false
      readonly refusal: Refusal
      readonly balances: readonly Balance[]
      /** When, by the clock of the ledger; absent if that is the claim's. */
      readonly at?: number
    }
  /** The key or the upstream has another revision in the store: nothing was charged, and the caller has to look again. */
  | { readonly ok: false; readonly changed: true }

export type Settlement = {
  readonly outcome: Outcome
  readonly status: number | null
  /** What the call really cost; may exceed what was reserved, and is then recorded in full. */
  readonly charged: Units
  readonly latencyMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Absent if nothing was metered. */
  readonly metered?: Metered | undefined
  /**
   * The object of the upstream whose work the tokens and the cost are for. They are charged the first time that any call of
   * this upstream settles with it, and never again.
   */
  readonly object?: string | undefined
}

/** Nobody is left to read it. */
export const CLIENT_LEFT: Refusal = {
  code: 'client_closed_request',
  message: 'The client left before the call was answered.',
}

export interface Ledger {
  /**
   * Why the claim would be refused at this moment; null if it might be granted, once a key that has changed has been read
   * again. Grants nothing. Never rejects.
   */
  foresee(claim: Claim): Promise<Refusal | null>
  /**
   * Never rejects: a store that fails is a refusal. It is decided when the event loop has looked at every socket once more, and
   * a `client` that has left by then is charged nothing.
   */
  reserve(claim: Claim, client?: AbortSignal): Promise<Reservation>
  /**
   * Ends a hold; a second call for the same hold does nothing. Resolves with the balances after it, once it is
   * written. While the store fails it resolves at once with the balances before, and is written when the store is back.
   */
  settle(hold: Hold, settlement: Settlement): Promise<readonly Balance[]>
  /**
   * Enters work that was done already, such as what a WebSocket has reported: `units` are charged to the limits that the key
   * has now, in one transaction with their entry. Nothing of it can be refused: what does not fit passes the limit, and a
   * key that may do no more pays for what it did. Resolves when that is written, with why more of these units would be
   * refused; null if they might be granted. While the store fails it resolves at once with `storage_unavailable`, and is
   * written when the store is back.
   */
  record(claim: Claim, settlement: Settlement): Promise<Refusal | null>
  /** Whether the work of an object was charged. Never rejects: a store that fails knows of none, and `settle` looks again. */
  isCharged(upstream: string, object: string): Promise<boolean>
  /** Resolves when every settlement asked for so far is written, or after one last try has failed. */
  flush(): Promise<void>
}
