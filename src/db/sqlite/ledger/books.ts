/**
 * Whether the books balance: each counter must have used what the calls that name it were charged, and what was pruned of
 * them. A database of before 0003_charges has calls that name no counter, and is held to the rule of its time.
 */
import type { Database } from 'bun:sqlite'
import type { Unit } from '../../../domain/limit.ts'

export type Unbalanced = {
  /** Of the key, and of its limit. */
  readonly key: string
  readonly name: string
  readonly used: number
  readonly booked: number
}

type Counter = {
  readonly id: number
  readonly unit: Unit
  readonly used: number
  readonly pruned: number
  readonly key: string
  readonly name: string
}

type Sum = { counters: string; requests: number; tokens: number; cost: number }

const ENTRIES = `SELECT counters, requests_charged AS requests, tokens_charged AS tokens, cost_charged AS cost FROM calls
  UNION ALL SELECT counters, requests, tokens, cost FROM holds`

const COUNTERS = `SELECT c.id, l.unit, c.used, c.pruned, k.id AS key, l.name
  FROM counters c JOIN limits l ON l.id = c.limit_id JOIN keys k ON k.seq = l.key_seq ORDER BY c.id`

/** How many entries are read before somebody is told of it. */
const ROWS_TOLD = 5_000

/** Every counter whose `used` is not what its calls and holds say. Reads all of them. */
export function unbalancedCounters(
  client: Database,
  onShare: (share: number) => void = () => {},
): Unbalanced[] {
  if (!hasCharges(client)) return client.query<Unbalanced, []>(UNBALANCED_BY_NUMBERS).all()
  const sums = sumsByCounter(client, onShare)
  const wrong: Unbalanced[] = []
  for (const { id, unit, used, pruned, key, name } of client
    .query<Counter, []>(COUNTERS)
    .iterate()) {
    const booked = pruned + (sums.get(id)?.[unit] ?? 0)
    if (used !== booked) wrong.push({ key, name, used, booked })
  }
  return wrong
}

/** Added up here: SQLite would sort all calls by their counters first, which takes six times as long. */
function sumsByCounter(client: Database, onShare: (share: number) => void): Map<number, Sum> {
  const total = Number(client.query('SELECT count(*) FROM calls').values()[0]?.[0] ?? 0)
  let seen = 0
  const alike = new Map<string, Sum>()
  for (const entry of client.query<Sum, []>(ENTRIES).iterate()) {
    const sum = alike.get(entry.counters)
    if (sum) add(sum, entry)
    else alike.set(entry.counters, entry)
    seen++
    if (seen % ROWS_TOLD === 0 && seen <= total) onShare(ROWS_TOLD / total)
  }
  const sums = new Map<number, Sum>()
  for (const entry of alike.values()) {
    for (const id of JSON.parse(entry.counters) as number[]) {
      const sum = sums.get(id)
      if (sum) add(sum, entry)
      else sums.set(id, { ...entry })
    }
  }
  return sums
}

function add(sum: Sum, { requests, tokens, cost }: Sum): void {
  sum.requests += requests
  sum.tokens += tokens
  sum.cost += cost
}

function hasCharges(client: Database): boolean {
  return (
    client.query("SELECT 1 FROM pragma_table_info('calls') WHERE name = 'counters'").get() !== null
  )
}

/** What a call was charged to, from its number and its instant: as 0003_charges has written it down. */
const UNBALANCED_BY_NUMBERS = `
  WITH entries AS (
    SELECT key_seq, seq, at, requests_charged AS requests, tokens_charged AS tokens, cost_charged AS cost FROM calls
    UNION ALL SELECT key_seq, seq, at, requests, tokens, cost FROM holds
  ), sums AS (
    SELECT c.used, l.key_seq, l.name, c.pruned + coalesce(sum(
      CASE l.unit WHEN 'requests' THEN e.requests WHEN 'tokens' THEN e.tokens ELSE e.cost END), 0) AS booked
    FROM counters c JOIN limits l ON l.id = c.limit_id
    LEFT JOIN entries e ON e.key_seq = l.key_seq AND e.seq >= c.first_seq
      AND (c.retired_seq IS NULL OR e.seq < c.retired_seq)
      AND e.at >= c.period_start AND (c.period_end IS NULL OR e.at < c.period_end)
    GROUP BY c.id
  )
  SELECT k.id AS key, s.name, s.used, s.booked
  FROM sums s JOIN keys k ON k.seq = s.key_seq WHERE s.used <> s.booked`
