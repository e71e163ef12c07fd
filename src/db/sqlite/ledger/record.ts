/**
 * Charges work that was done already to whatever limits its key has now, room or not. There is no guard here, since there is
 * nothing left to refuse: only what has happened may come this way. Runs inside the ledger's transaction.
 */
import type { Database } from 'bun:sqlite'
import { leastOf, type Units } from '../../../domain/limit.ts'
import type { Refusal } from '../../../errors.ts'
import { type Account, limitState } from '../../../quota/account.ts'
import { decide } from '../../../quota/decide.ts'
import type { Claim, Hold } from '../../../quota/ledger.ts'
import { createCounters } from './counters.ts'
import type { Entries } from './entries.ts'

export type Recorder = {
  /** What was charged, and why more of the same units would be refused; null if it might be granted. */
  charge(claim: Claim): { readonly hold: Hold; readonly refusal: Refusal | null }
}

/** `held` says how much of a counter belongs to calls in flight. */
export function createRecorder(
  client: Database,
  entries: Entries,
  held: (counterId: number) => number,
): Recorder {
  const counters = createCounters(client)

  function chargeOne(account: Account, units: Units) {
    const { unit } = account.limit
    const counterId = counters.idOf(account)
    counters.add(counterId, units[unit])
    return { counterId, unit }
  }

  return {
    charge(claim) {
      const { key, at, units } = claim
      const before = counters.accounts(key.seq, at)
      const charges = before.map((account) => chargeOne(account, units))
      const hold = { seq: entries.next(), claim, charges, balances: [] }
      const states = counters
        .accounts(key.seq, at)
        .filter(({ limit }) => units[limit.unit] > 0)
        .map((account) => limitState(account, held, at))
      return { hold, refusal: decide(states, leastOf(units), at) }
    },
  }
}
