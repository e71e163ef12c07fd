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
 */
import type { Refusal } from '../errors.ts'
import type { Unit, Window } from './limit.ts'

export type Units = { readonly [unit in Unit]: number }

/** How a call ended. `answered` is any answer of the upstream that reached its end, whatever the status. */
export const OUTCOMES = [
  'answered',
  'client_aborted',
  'upstream_error',
  'upstream_timeout',
  'upstream_truncated',
  'not_sent',
  'interrupted',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** One limit as a holder sees it after a charge. */
export type Balance = {
  readonly name: string
  readonly unit: Unit
  readonly window: Window
  /** Amount of this period with credits; null is unlimited. */
  readonly amount: number | null
  readonly used: number
  /** Never negative; null is unlimited. */
  readonly remaining: number | null
  /** Length of the window in whole seconds; null for a lifetime. */
  readonly windowS: number | null
  /** When the window ends (for a sliding one, when units come back); null for a lifetime. */
  readonly resetsAt: number | null
}

/** The balance with another amount used. */
export function withUsed(balance: Balance, used: number): Balance {
  return { ...balance, used, remaining: remainingOf(balance.amount, used) }
}

/** Never negative: credits taken back, and actuals beyond their estimate, can leave more used than there is. */
export function remainingOf(amount: number | null, used: number): number | null {
  return amount === null ? null : Math.max(0, amount - used)
}

export type Claim = {
  readonly key: { readonly seq: number }
  /** When the call is let in, ms. Decides which periods are charged. A ledger that has a clock goes by that. */
  readonly at: number
  readonly upstream: string
  readonly requestId: string
  readonly units: Units
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
  | { readonly ok: false; readonly refusal: Refusal; readonly balances: readonly Balance[] }

/** What is known of the work behind a call; kept with its entry. */
export type Metered = {
  /** As the upstream reported it; null where it did not. */
  readonly model: string | null
  readonly input: number | null
  readonly output: number | null
  /** Of the input, read from the upstream's cache; of the output, thought and not shown. */
  readonly cached: number | null
  readonly reasoning: number | null
  /** Whether tokens or cost are charged as estimated. */
  readonly estimated: boolean
  /** The price list by which the cost was reckoned; null if nothing had a price. */
  readonly priceListId: number | null
}

export const NOT_METERED: Metered = {
  model: null,
  input: null,
  output: null,
  cached: null,
  reasoning: null,
  estimated: false,
  priceListId: null,
}

export type Settlement = {
  readonly outcome: Outcome
  readonly status: number | null
  /** What the call really cost; may exceed what was reserved, and is then recorded in full. */
  readonly charged: Units
  readonly latencyMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Absent if nothing was metered. */
  readonly metered?: Metered
}

export interface Ledger {
  /** Why the claim would be refused at this moment; null if it might be granted. Grants nothing. Never rejects. */
  foresee(claim: Claim): Promise<Refusal | null>
  /** Never rejects: a store that fails is a refusal. */
  reserve(claim: Claim): Promise<Reservation>
  /**
   * Ends a hold; a second call for the same hold does nothing. Resolves with the balances after it, once it is
   * written. While the store fails it resolves at once with the balances before, and is written when the store is back.
   */
  settle(hold: Hold, settlement: Settlement): Promise<readonly Balance[]>
  /** Resolves when every settlement asked for so far is written, or after one last try has failed. */
  flush(): Promise<void>
}

export const NO_UNITS: Units = { requests: 0, tokens: 0, cost: 0 }
