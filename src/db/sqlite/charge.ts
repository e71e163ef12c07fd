/**
 * How a claim becomes a charge: together with the others of its key when the counters are known, else alone after reading
 * everything. The conditional UPDATE is the guard: it charges only while there is room, on a counter that is live, for a
 * key that is enabled and not expired, whatever this process believes. Runs inside the ledger's transaction.
 */
import type { Database } from 'bun:sqlite'
import { UNKNOWN_KEY, whyUnusable } from '../../domain/key.ts'
import type { Unit } from '../../domain/limit.ts'
import { type Balance, type Units, withUsed } from '../../domain/limit.ts'
import type { Refusal } from '../../errors.ts'
import { decide } from '../../quota/decide.ts'
import type { Claim, Hold, Reservation } from '../../quota/ledger.ts'
import { isSliding, slidingHorizon } from '../../quota/window.ts'
import { type Account, balance, createCounters, limitState } from './counters.ts'
import type { Entries } from './entries.ts'

/** What is remembered of a key between calls: the counters to charge. Never what is left in them. */
type Remembered = {
  readonly revision: number
  /** Instants at which these counters are the ones to charge: `[from, until)`, ms. */
  readonly from: number
  readonly until: number
  readonly accounts: readonly Charged[]
}

type Charged = Account & { readonly counterId: number }

/** What a claim meets: room for it in all accounts, or why not. */
type Look =
  | { readonly ok: true; readonly revision: number; readonly accounts: readonly Account[] }
  | Extract<Reservation, { ok: false }>

/** Keys whose counters are remembered; the rest cost a few more reads. About 1 KiB each. */
const REMEMBERED_MAX = 10_000

/** `held` says how much of a counter belongs to calls in flight. */
export function createCharger(
  client: Database,
  entries: Entries,
  held: (counterId: number) => number,
) {
  const counters = createCounters(client)
  const statements = prepare(client)
  const remembered = new Map<number, Remembered>()
  let nextSeq = entries.nextSeq()

  /** Charges a whole group by one statement a limit. Null, with nothing charged, if they cannot all be granted so. */
  function chargeTogether(claims: readonly Claim[]): Reservation[] | null {
    const first = claims[0]
    const known = first && remembered.get(first.key.seq)
    if (!first || !known) return null
    for (const claim of claims) {
      if (claim.at < known.from || claim.at >= known.until) return null
    }

    const after: number[] = []
    for (const account of known.accounts) {
      const n = sum(claims, account.limit.unit)
      const row = statements.charge.get(
        n,
        account.counterId,
        first.key.seq,
        known.revision,
        latest(claims),
      )
      if (!row) {
        for (let i = 0; i < after.length; i++) {
          const charged = known.accounts[i]
          if (charged) statements.adjust.get(-sum(claims, charged.limit.unit), charged.counterId)
        }
        return null
      }
      after.push(row.used)
    }
    // Each call is told what had been used when it was granted, so that no two of a key are told the same.
    const used = known.accounts.map(
      (account, i) => (after[i] ?? 0) - sum(claims, account.limit.unit),
    )
    return claims.map((claim) => {
      const balances = known.accounts.map((account, i) => {
        used[i] = (used[i] ?? 0) + claim.units[account.limit.unit]
        return balance(account, used[i])
      })
      return { ok: true, hold: hold(claim, known.accounts, balances) }
    })
  }

  /** Reads everything and decides, as of now. */
  function look(claim: Claim): Look {
    const key = statements.key.get(claim.key.seq)
    if (!key) return { ok: false, refusal: UNKNOWN_KEY, balances: [] }
    const unusable = whyUnusable(
      { enabled: key.enabled === 1, expiresAt: key.expires_at },
      claim.at,
    )
    if (unusable) return { ok: false, refusal: unusable, balances: [] }

    const accounts = counters.accounts(claim.key.seq, claim.at)
    const states = accounts.map((account) => limitState(account, heldOf(account), claim.at))
    const over = decide(states, claim.units, claim.at)
    if (!over) return { ok: true, revision: key.revision, accounts }
    return { ok: false, refusal: over, balances: accounts.map((account) => balance(account)) }
  }

  /** Looks, then charges: the way of a key not yet known, of sliding windows, and of every refusal. */
  function chargeAlone(claim: Claim): Reservation {
    remembered.delete(claim.key.seq)
    const found = look(claim)
    if (!found.ok) return found
    const { revision, accounts } = found
    const charged = accounts.map((account) => charge(account, claim, revision))
    remember(claim, revision, charged)
    const balances = charged.map((account) => balance(account))
    return { ok: true, hold: hold(claim, charged, balances) }
  }

  function charge(account: Account, claim: Claim, revision: number): Charged {
    const { limit, period } = account
    const n = claim.units[limit.unit]
    const counterId =
      account.counterId ??
      statements.openCounter.get(limit.id, period.start, period.end, limit.amount, nextSeq)?.id ??
      0
    const row = isSliding(limit.window)
      ? statements.chargeSliding.get(n, counterId, limit.id, slidingHorizon(limit.window, claim.at))
      : statements.charge.get(n, counterId, claim.key.seq, revision, claim.at)
    if (!row) throw new Error(`limit ${limit.id} had room but could not be charged`)
    return { ...account, counterId, used: account.used + n }
  }

  function heldOf(account: Account): number {
    if (account.buckets.length > 0) {
      return account.buckets.reduce((units, bucket) => units + held(bucket.id), 0)
    }
    return account.counterId === null ? 0 : held(account.counterId)
  }

  function remember(claim: Claim, revision: number, accounts: Remembered['accounts']): void {
    // Without a limit there is no statement that would look at the key again.
    if (accounts.length === 0 || accounts.some(({ limit }) => isSliding(limit.window))) return
    if (remembered.size >= REMEMBERED_MAX) {
      const oldest = remembered.keys().next().value
      if (oldest !== undefined) remembered.delete(oldest)
    }
    remembered.set(claim.key.seq, {
      revision,
      accounts,
      from: Math.max(...accounts.map((account) => account.period.start)),
      until: Math.min(...accounts.map((account) => account.period.end ?? Infinity)),
    })
  }

  function hold(
    claim: Claim,
    accounts: Remembered['accounts'],
    balances: readonly Balance[],
  ): Hold {
    const seq = nextSeq++
    entries.open(seq, claim)
    return {
      seq,
      claim,
      charges: accounts.map(({ counterId, limit }) => ({ counterId, unit: limit.unit })),
      balances,
    }
  }

  /** Settles the difference between what was reserved and what the call really cost. */
  function correct({ claim, charges, balances }: Hold, charged: Units): readonly Balance[] {
    return balances.map((before, i) => {
      const charge = charges[i]
      const difference = charged[before.unit] - claim.units[before.unit]
      if (!charge || difference === 0) return before
      const row = statements.adjust.get(difference, charge.counterId)
      // A bucket of a sliding window is not the whole of what counts in it.
      const used = row && !isSliding(before.window) ? row.used : before.used + difference
      return withUsed(before, used)
    })
  }

  function refusalOf(claim: Claim): Refusal | null {
    const found = look(claim)
    return found.ok ? null : found.refusal
  }

  return { chargeTogether, chargeAlone, refusalOf, correct, forget: () => remembered.clear() }
}

function prepare(client: Database) {
  return {
    key: client.query<{ enabled: number; expires_at: number | null; revision: number }, [number]>(
      'SELECT enabled, expires_at, revision FROM keys WHERE seq = ? AND deleted_at IS NULL',
    ),
    openCounter: client.query<
      { id: number },
      [number, number, number | null, number | null, number]
    >(
      'INSERT INTO counters (limit_id, period_start, period_end, amount, first_seq) VALUES (?, ?, ?, ?, ?) RETURNING id',
    ),
    /** The charge. Grants all of n or nothing; a key that has changed may have other counters by now. */
    charge: client.query<{ used: number }, [number, number, number, number, number]>(
      `UPDATE counters SET used = used + ?1
       WHERE id = ?2 AND retired_seq IS NULL AND (amount IS NULL OR used + ?1 <= max(0, amount + credited))
         AND EXISTS (SELECT 1 FROM keys WHERE seq = ?3 AND revision = ?4 AND enabled = 1
           AND (expires_at IS NULL OR expires_at > ?5))
       RETURNING used`,
    ),
    /** The charge of a sliding window: what counts is spread over its live buckets. */
    chargeSliding: client.query<{ used: number }, [number, number, number, number]>(
      `UPDATE counters SET used = used + ?1
       WHERE id = ?2 AND retired_seq IS NULL AND (amount IS NULL OR (
         SELECT sum(live.used) + ?1 <= max(0, counters.amount + sum(live.credited)) FROM counters AS live
         WHERE live.limit_id = ?3 AND live.period_start > ?4 AND live.retired_seq IS NULL))
       RETURNING used`,
    ),
    /** Corrects a charge on the very row that was charged, live or retired. The books of a closed bucket are what it holds. */
    adjust: client.query<{ used: number }, [number, number]>(
      `UPDATE counters SET used = used + ?1, pruned = pruned + iif(period_end = period_start, ?1, 0)
       WHERE id = ?2 RETURNING used`,
    ),
  }
}

function sum(claims: readonly Claim[], unit: Unit): number {
  let total = 0
  for (const claim of claims) total += claim.units[unit]
  return total
}

function latest(claims: readonly Claim[]): number {
  let at = 0
  for (const claim of claims) at = Math.max(at, claim.at)
  return at
}
