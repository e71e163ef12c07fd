/**
 * Reads a key's limits and what they have granted in the period of a given instant, and opens and corrects the rows that
 * count it. Shared by the ledger, which decides on it inside its transaction, and by the admin API, which shows it.
 */
import type { Database } from 'bun:sqlite'
import { type Account, type Bucket, type Limit, slidingAccount } from '../../../quota/account.ts'
import { isSliding, periodAt, slidingHorizon } from '../../../quota/window.ts'

type CounterRow = { id: number; used: number; credited: number }

export function createCounters(client: Database) {
  const limitsOf = client.query<Limit, [number]>(
    `SELECT id, name, unit, amount, window, timezone, week_start AS weekStart FROM limits WHERE key_seq = ?
     ORDER BY id`,
  )
  const counterOf = client.query<CounterRow, [number, number]>(
    'SELECT id, used, credited FROM counters WHERE limit_id = ? AND period_start = ? AND retired_seq IS NULL',
  )
  const bucketsOf = client.query<Bucket, [number, number]>(
    `SELECT id, period_start AS start, used, credited FROM counters
     WHERE limit_id = ? AND period_start > ? AND retired_seq IS NULL ORDER BY period_start`,
  )

  const openRow = client.query<{ id: number }, [number, number, number | null, number | null]>(
    'INSERT INTO counters (limit_id, period_start, period_end, amount) VALUES (?, ?, ?, ?) RETURNING id',
  )
  const addTo = client.query<{ used: number }, [number, number]>(
    'UPDATE counters SET used = used + ?1 WHERE id = ?2 RETURNING used',
  )

  function account(limit: Limit, at: number): Account {
    const period = periodAt(limit.window, at, limit.timezone, limit.weekStart)
    if (isSliding(limit.window)) {
      const buckets = bucketsOf.all(limit.id, slidingHorizon(limit.window, at))
      const current = buckets.find(({ start }) => start === period.start)
      return slidingAccount(limit, period, current?.id ?? null, buckets)
    }
    const counter = counterOf.get(limit.id, period.start)
    const { id: counterId = null, used = 0, credited = 0 } = counter ?? {}
    return { limit, period, counterId, used, credited, buckets: [] }
  }

  return {
    accounts: (keySeq: number, at: number): Account[] =>
      limitsOf.all(keySeq).map((limit) => account(limit, at)),

    /** The number of the account's counter, which is opened if nothing was counted in the period yet. */
    idOf({ limit, period, counterId }: Account): number {
      if (counterId !== null) return counterId
      const row = openRow.get(limit.id, period.start, period.end, limit.amount)
      if (!row) throw new Error(`the counter of limit ${limit.id} could not be opened`)
      return row.id
    },

    /** Adds to the very row that was charged, live or retired, room or not. Returns what it has used then. */
    add: (counterId: number, n: number): number | null => addTo.get(n, counterId)?.used ?? null,
  }
}
