/**
 * What the ledger remembers of a key between calls: which counters to charge, never what is left in them. The charge
 * checks that they are still the right ones. Also what an engine does with what it remembers, as far as that is arithmetic.
 */
import { type Balance, remainingOf, UNITS, type Unit, WINDOWS } from '../../domain/limit.ts'
import { type Account, balance } from '../../quota/account.ts'
import type { Claim } from '../../quota/ledger.ts'
import { isSliding } from '../../quota/window.ts'

/** A counter to charge, with what its balance says until its period ends. */
export type Charged = Omit<Balance, 'used' | 'remaining'> & { readonly counterId: number }

export type Remembered = {
  readonly revision: number
  /** Instants at which these counters are the ones to charge: `[from, until)`, ms. */
  readonly from: number
  readonly until: number
  /** One for each limit; empty for a key without limits. */
  readonly charges: readonly Charged[]
}

/**
 * Keys whose counters are remembered; the others cost a few more reads. A key with one limit takes 260 bytes and each
 * further limit 100: 40 MB if every key has one limit.
 */
const KEYS_MAX = 150_000

/** Names of limits are few; each is kept once, whoever has read it how often. */
const NAMES_MAX = 1_000

export function createRemembered() {
  const keys = new Map<number, Remembered>()
  const names = new Map<string, string>()

  /** A string of a row is a string of its own: kept for each key, the same few would take more room than all the rest. */
  function intern(name: string): string {
    const known = names.get(name)
    if (known !== undefined) return known
    if (names.size >= NAMES_MAX) names.clear()
    names.set(name, name)
    return name
  }

  return {
    /** What to charge for claims of one key and revision; undefined if that is not known for all of them. */
    find(claims: readonly Claim[]): Remembered | undefined {
      const key = claims[0]?.key
      const known = key && keys.get(key.seq)
      if (!known || known.revision !== key.revision) return undefined
      for (const { at } of claims) if (at < known.from || at >= known.until) return undefined
      return known
    },

    /** Counters of sliding windows change too often to be worth it. */
    add({ key }: Claim, accounts: readonly (Account & { readonly counterId: number })[]): void {
      keys.delete(key.seq)
      if (accounts.some(({ limit }) => isSliding(limit.window))) return
      if (keys.size >= KEYS_MAX) {
        const oldest = keys.keys().next().value
        if (oldest !== undefined) keys.delete(oldest)
      }
      let from = 0
      let until = Infinity
      for (const { period } of accounts) {
        from = Math.max(from, period.start)
        until = Math.min(until, period.end ?? Infinity)
      }
      const charges = accounts.map((account) => chargedOf(account, intern(account.limit.name)))
      keys.set(key.seq, { revision: key.revision, from, until, charges })
    },

    drop: (seq: number) => void keys.delete(seq),
    clear: () => keys.clear(),
  }
}

export function chargedOf(
  account: Account & { readonly counterId: number },
  name = account.limit.name,
): Charged {
  const { unit, window, amount, windowS, resetsAt } = balance(account)
  const own = { unit: sameOf(UNITS, unit), window: sameOf(WINDOWS, window) }
  return { counterId: account.counterId, name, ...own, amount, windowS, resetsAt }
}

/** What the holder is told when so much is used. */
export function balanceOf(charged: Charged, used: number): Balance {
  const { name, unit, window, amount, windowS, resetsAt } = charged
  return {
    name,
    unit,
    window,
    amount,
    used,
    remaining: remainingOf(amount, used),
    windowS,
    resetsAt,
  }
}

function sameOf<T extends string>(list: readonly T[], text: T): T {
  return list[list.indexOf(text)] ?? text
}

/** The units that claims ask for together. */
export function sumOf(claims: readonly Claim[], unit: Unit): number {
  let total = 0
  for (const claim of claims) total += claim.units[unit]
  return total
}

export function latestOf(claims: readonly Claim[]): number {
  let at = 0
  for (const claim of claims) at = Math.max(at, claim.at)
  return at
}
