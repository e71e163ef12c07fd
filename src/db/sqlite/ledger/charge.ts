/**
 * How a claim becomes a charge: together with the others of its key when the counters are known, else alone after reading
 * everything. The conditional statement is the guard: it charges only while there is room, on a counter that is live, for
 * a key that is enabled, not expired and of the caller's revision, whatever this process believes. Runs inside the
 * ledger's transaction.
 */
import type { Database } from 'bun:sqlite'
import { UNKNOWN_KEY, whyUnusable } from '../../../domain/key.ts'
import type { Balance } from '../../../domain/limit.ts'
import type { Refusal } from '../../../errors.ts'
import { type Account, balance, limitState } from '../../../quota/account.ts'
import { decide } from '../../../quota/decide.ts'
import type { Claim, Hold, Reservation } from '../../../quota/ledger.ts'
import { isSliding, slidingHorizon } from '../../../quota/window.ts'
import {
  balanceOf,
  createRemembered,
  latestOf,
  type Remembered,
  sumOf,
} from '../../ledger/remembered.ts'
import type { Corrections } from '../../ledger/settle.ts'
import { createCounters } from './counters.ts'
import type { Entries } from './entries.ts'

/** What a claim meets: room for it in all accounts, or why not. */
type Look =
  | { readonly ok: true; readonly accounts: readonly Account[] }
  | Extract<Reservation, { ok: false }>

type LookAt = (claim: Claim) => Look
type Grant = (
  claim: Claim,
  charges: Hold['charges'],
  balances: readonly Balance[],
) => Extract<Reservation, { ok: true }>
type Counter = Account & { readonly counterId: number }
type Statements = ReturnType<typeof prepare>
type Counters = ReturnType<typeof createCounters>

export type Charger = {
  /** Charges claims of one key by one statement a limit. Null, with nothing charged, if they cannot all be granted so. */
  chargeTogether(claims: readonly Claim[]): Reservation[] | null
  /** Looks, then charges: the way of a key not yet known, of sliding windows, and of every refusal. */
  chargeAlone(claim: Claim): Reservation
  /** Why the claim would be refused now. */
  refusalOf(claim: Claim): Refusal | null
  /** Corrects charges on the very rows that were charged. Returns what these have used then. */
  correct(corrections: Corrections): ReadonlyMap<number, number>
  /** Forgets what is remembered of keys: the transaction in which it was learned was not written. */
  forget(): void
}

type Own = {
  readonly statements: Statements
  readonly counters: Counters
  readonly look: LookAt
  readonly remembered: ReturnType<typeof createRemembered>
  readonly grant: Grant
}

/** `held` says how much of a counter belongs to calls in flight. */
export function createCharger(
  client: Database,
  entries: Entries,
  held: (counterId: number) => number,
): Charger {
  const counters = createCounters(client)
  const own: Own = {
    statements: prepare(client),
    counters,
    look: createLook(client, counters, held),
    remembered: createRemembered(),
    grant: createGrant(entries),
  }
  return {
    chargeTogether: (claims) => chargeTogether(own, claims),
    chargeAlone: (claim) => chargeAlone(own, claim),
    refusalOf(claim) {
      const found = own.look(claim)
      return found.ok || found.changed ? null : found.refusal
    },
    correct(corrections) {
      const used = new Map<number, number>()
      for (const [counterId, difference] of corrections) {
        const now = counters.add(counterId, difference)
        if (now !== null) used.set(counterId, now)
      }
      return used
    },
    forget: own.remembered.clear,
  }
}

/** Gives a granted call its number, and writes its hold. */
function createGrant(entries: Entries): Grant {
  return (claim, charges, balances) => {
    const hold = { seq: entries.next(), claim, charges, balances }
    entries.open(hold)
    return { ok: true, hold }
  }
}

function chargeTogether(
  { statements, counters, remembered, grant }: Own,
  claims: readonly Claim[],
): Reservation[] | null {
  const known = remembered.find(claims)
  const before = known && chargeAll(statements, counters, known, claims)
  if (!before) return null
  const { charges } = known
  return claims.map((claim) => {
    // Each call is told what had been used when it was granted, so that no two of a key are told the same.
    const balances = charges.map((charge, i) => {
      const used = (before[i] ?? 0) + claim.units[charge.unit]
      before[i] = used
      return balanceOf(charge, used)
    })
    return grant(claim, charges, balances)
  })
}

function chargeAlone(own: Own, claim: Claim): Reservation {
  const { look, remembered, grant } = own
  const found = look(claim)
  if (!found.ok) {
    if (!found.changed) remembered.drop(claim.key.seq)
    return found
  }
  const charged = found.accounts.map((account) => chargeOne(own, account, claim))
  remembered.add(claim, charged)
  const charges = charged.map(({ counterId, limit }) => ({ counterId, unit: limit.unit }))
  const balances = charged.map((account) => balance(account))
  return grant(claim, charges, balances)
}

/** Reads everything and decides, as of now. */
function createLook(
  client: Database,
  counters: Counters,
  held: (counterId: number) => number,
): LookAt {
  const keyOf = client.query<
    { enabled: number; expiresAt: number | null; revision: number },
    [number]
  >(
    'SELECT enabled, expires_at AS expiresAt, revision FROM keys WHERE seq = ? AND deleted_at IS NULL',
  )
  return (claim) => {
    const { key, at, units } = claim
    const row = keyOf.get(key.seq)
    if (!row) return { ok: false, changed: false, refusal: UNKNOWN_KEY, balances: [] }
    const { expiresAt, revision } = row
    const unusable = whyUnusable({ enabled: row.enabled === 1, expiresAt }, at)
    if (unusable) return { ok: false, changed: false, refusal: unusable, balances: [] }
    if (revision !== key.revision) return CHANGED

    const accounts = counters.accounts(key.seq, at)
    const states = accounts.map((account) => limitState(account, held, at))
    const refusal = decide(states, units, at)
    if (!refusal) return { ok: true, accounts }
    const balances = accounts.map((account) => balance(account))
    return { ok: false, changed: false, refusal, balances }
  }
}

const CHANGED = { ok: false, changed: true } as const

/** What each counter had used before. Null, with nothing charged, if there is not room for all claims. */
function chargeAll(
  statements: Statements,
  counters: Counters,
  { revision, charges }: Remembered,
  claims: readonly Claim[],
): number[] | null {
  const seq = claims[0]?.key.seq ?? 0
  const at = latestOf(claims)
  // Without a limit there is no charge that would look at the key.
  if (charges.length === 0) return statements.check.get(seq, revision, at) ? [] : null
  const before: number[] = []
  for (const { counterId, unit } of charges) {
    const n = sumOf(claims, unit)
    const row = statements.charge.get(n, counterId, seq, revision, at)
    if (!row) {
      before.forEach((_, i) => {
        const charged = charges[i]
        if (charged) counters.add(charged.counterId, -sumOf(claims, charged.unit))
      })
      return null
    }
    before.push(row.used - n)
  }
  return before
}

function chargeOne(
  { statements, counters }: Own,
  account: Account,
  { key, units, at }: Claim,
): Counter {
  const { limit } = account
  const n = units[limit.unit]
  const counterId = counters.idOf(account)
  const row = isSliding(limit.window)
    ? statements.chargeSliding.get(
        n,
        counterId,
        key.seq,
        key.revision,
        at,
        limit.id,
        slidingHorizon(limit.window, at),
      )
    : statements.charge.get(n, counterId, key.seq, key.revision, at)
  if (!row) throw new Error(`limit ${limit.id} had room but could not be charged`)
  return { ...account, counterId, used: account.used + n }
}

function prepare(client: Database) {
  type Key = [seq: number, revision: number, at: number]
  type Charge = [n: number, counterId: number, ...Key]
  const isCurrent = `SELECT 1 FROM keys WHERE seq = ?3 AND revision = ?4 AND enabled = 1
    AND (expires_at IS NULL OR expires_at > ?5)`
  return {
    /** The charge. Grants all of n or nothing; a key that has changed may have other counters by now. */
    charge: client.query<{ used: number }, Charge>(
      `UPDATE counters SET used = used + ?1
       WHERE id = ?2 AND retired_seq IS NULL AND (amount IS NULL OR used + ?1 <= max(0, amount + credited))
         AND EXISTS (${isCurrent})
       RETURNING used`,
    ),
    /** The charge of a sliding window: what counts is spread over its live buckets. */
    chargeSliding: client.query<{ used: number }, [...Charge, limitId: number, horizon: number]>(
      `UPDATE counters SET used = used + ?1
       WHERE id = ?2 AND retired_seq IS NULL AND EXISTS (${isCurrent}) AND (amount IS NULL OR (
         SELECT sum(live.used) + ?1 <= max(0, counters.amount + sum(live.credited)) FROM counters AS live
         WHERE live.limit_id = ?6 AND live.period_start > ?7 AND live.retired_seq IS NULL))
       RETURNING used`,
    ),
    /** What a charge asks of the key, for one that has no limit. A deleted key is disabled. */
    check: client.query<unknown, Key>(
      isCurrent.replace('?3', '?1').replace('?4', '?2').replace('?5', '?3'),
    ),
  }
}
