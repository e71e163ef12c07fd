/**
 * Reads the limits of keys and what they have granted in the period of a given instant: three questions for a whole page of
 * keys, and never one for each. Also opens the row that counts a period. Shared by the ledger, by changes of keys, and by
 * what the admin API shows.
 */
import { and, asc, eq, isNull, type SQL, sql } from 'drizzle-orm'
import { type Account, type Bucket, type Limit, slidingAccount } from '../../../quota/account.ts'
import { isSliding, type Period, periodAt, slidingHorizon } from '../../../quota/window.ts'
import { counters, limits } from '../schema.ts'
import type { Tx } from '../transact.ts'
import { isOneOf, numbers } from '../values.ts'

export type Accounts = {
  /** By the `seq` of a key, in the order of the limits' ids. A key that was asked for is there, limits or none. */
  readonly accounts: Map<number, Account[]>
  /** By the id of a counter, what belongs to calls in flight. A counter that was not read is absent. */
  readonly held: ReadonlyMap<number, number>
}

/** By the `seq` of a key, in the order of their ids. A key that was asked for is there, limits or none. */
export async function readLimits(
  tx: Tx,
  keySeqs: readonly number[],
): Promise<Map<number, Limit[]>> {
  const found = new Map<number, Limit[]>(keySeqs.map((seq) => [seq, []]))
  if (keySeqs.length === 0) return found
  const { id, keySeq, name, unit, amount, window, timezone, weekStart } = limits
  const rows = await tx
    .select({ keySeq, id, name, unit, amount, window, timezone, weekStart })
    .from(limits)
    .where(isOneOf(keySeq, keySeqs))
    .orderBy(asc(id))
  for (const { keySeq: seq, ...limit } of rows) found.get(seq)?.push(limit)
  return found
}

export async function readAccounts(
  tx: Tx,
  keySeqs: readonly number[],
  at: number,
): Promise<Accounts> {
  const found = await readLimits(tx, keySeqs)
  const periodOf = createPeriods(at)
  const all = [...found.values()].flat()
  const sliding = all.filter(({ window }) => isSliding(window))
  const calendar = all.filter(({ window }) => !isSliding(window))
  const single = await readCounters(tx, calendar, periodOf)
  const buckets = await readBuckets(tx, sliding, at)

  const held = new Map<number, number>()
  for (const row of [...single.values(), ...[...buckets.values()].flat()])
    held.set(row.id, row.held)
  const account = (limit: Limit): Account => {
    const period = periodOf(limit)
    if (isSliding(limit.window)) {
      const parts = (buckets.get(limit.id) ?? []).map(bucketOf)
      const current = parts.find(({ start }) => start === period.start)
      return slidingAccount(limit, period, current?.id ?? null, parts)
    }
    const { id: counterId = null, used = 0, credited = 0 } = single.get(limit.id) ?? {}
    return { limit, period, counterId, used, credited, buckets: [] }
  }
  const accounts = new Map<number, Account[]>()
  for (const [seq, own] of found) accounts.set(seq, own.map(account))
  return { accounts, held }
}

/** The number of the account's counter, which is opened if nothing was counted in the period yet. */
export async function openCounter(tx: Tx, { limit, period, counterId }: Account): Promise<number> {
  if (counterId !== null) return counterId
  const { start: periodStart, end: periodEnd } = period
  const [opened] = await tx
    .insert(counters)
    .values({ limitId: limit.id, unit: limit.unit, periodStart, periodEnd, amount: limit.amount })
    .onConflictDoNothing({
      target: [counters.limitId, counters.periodStart],
      where: sql`retired_at IS NULL`,
    })
    .returning({ id: counters.id })
  if (opened) return opened.id
  // Somebody else has opened it meanwhile.
  const live = and(
    eq(counters.limitId, limit.id),
    eq(counters.periodStart, periodStart),
    isNull(counters.retiredAt),
  )
  const [there] = await tx.select({ id: counters.id }).from(counters).where(live)
  if (!there) throw new Error(`the counter of limit ${limit.id} could not be opened`)
  return there.id
}

type Row = Bucket & { readonly limitId: number; readonly held: number }

const COLUMNS = sql`c.limit_id AS "limitId", c.id, c.period_start AS start, c.used, c.credited, c.held`

/** By the limit: the live counter of the period. */
async function readCounters(
  tx: Tx,
  of: readonly Limit[],
  periodOf: (limit: Limit) => Period,
): Promise<Map<number, Row>> {
  if (of.length === 0) return new Map()
  const starts = of.map((limit) => periodOf(limit).start)
  const { rows } = await tx.execute<Row>(sql`
    SELECT ${COLUMNS} FROM ${pairs(of, starts)} JOIN counters c
      ON c.limit_id = w.id AND c.period_start = w.start AND c.retired_at IS NULL`)
  return new Map(rows.map((row) => [row.limitId, row]))
}

/** By the limit: the live buckets that count at an instant, oldest first. */
async function readBuckets(tx: Tx, of: readonly Limit[], at: number): Promise<Map<number, Row[]>> {
  if (of.length === 0) return new Map()
  const horizons = of.map(({ window }) => (isSliding(window) ? slidingHorizon(window, at) : at))
  const { rows } = await tx.execute<Row>(sql`
    SELECT ${COLUMNS} FROM ${pairs(of, horizons)} JOIN counters c
      ON c.limit_id = w.id AND c.period_start > w.start AND c.retired_at IS NULL
    ORDER BY c.period_start`)
  return Map.groupBy(rows, ({ limitId }) => limitId)
}

function pairs(of: readonly Limit[], starts: readonly number[]): SQL {
  return sql`unnest(${numbers(of.map(({ id }) => id))}, ${numbers(starts)}) AS w(id, start)`
}

function bucketOf({ id, start, used, credited }: Row): Bucket {
  return { id, start, used, credited }
}

/** Reckons each period once: most limits of a page have the same one, and calendars are slow. */
function createPeriods(at: number): (limit: Limit) => Period {
  const known = new Map<string, Period>()
  return ({ window, timezone, weekStart }) => {
    const name = `${window} ${timezone} ${weekStart}`
    const period = known.get(name) ?? periodAt(window, at, timezone, weekStart)
    known.set(name, period)
    return period
  }
}
