/**
 * Whether the books balance. Each counter must have used what the calls and holds that name it were charged, and what was
 * pruned of them; what it says of calls in flight must be what its holds say; and each gate must count the holds that
 * passed it. Reads all of them, so the transaction should be a snapshot.
 */
import { sql } from 'drizzle-orm'
import type { Tx } from '../transact.ts'

export type UnbalancedCounter = {
  /** Of the key, and of its limit. */
  readonly key: string
  readonly name: string
  readonly used: number
  readonly booked: number
  readonly held: number
  readonly in_flight: number
}

export type UnbalancedGate = {
  readonly name: string
  readonly calls: number
  readonly in_flight: number
}

/** Calls of one key mostly name the same counters: they are added up before their counters are taken apart. */
export async function unbalancedCounters(tx: Tx): Promise<UnbalancedCounter[]> {
  const { rows } = await tx.execute<UnbalancedCounter>(sql`
    WITH alike AS (
      SELECT counters, sum(requests_charged) AS requests, sum(tokens_charged) AS tokens, sum(cost_charged) AS cost
      FROM calls GROUP BY counters
    ), charged AS (
      SELECT c.id, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost
      FROM alike, unnest(counters) AS c(id) GROUP BY c.id
    ), holding AS (
      SELECT c.id, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost
      FROM holds, unnest(counters) AS c(id) GROUP BY c.id
    ), sums AS (
      SELECT c.id, c.limit_id, c.used, c.held,
        coalesce(CASE c.unit WHEN 'requests' THEN h.requests WHEN 'tokens' THEN h.tokens ELSE h.cost END, 0) AS in_flight,
        c.pruned
          + coalesce(CASE c.unit WHEN 'requests' THEN x.requests WHEN 'tokens' THEN x.tokens ELSE x.cost END, 0) AS ended
      FROM counters c LEFT JOIN charged x ON x.id = c.id LEFT JOIN holding h ON h.id = c.id
    )
    SELECT k.id AS key, l.name, s.used, (s.ended + s.in_flight)::bigint AS booked, s.held, s.in_flight::bigint AS in_flight
    FROM sums s JOIN limits l ON l.id = s.limit_id JOIN keys k ON k.seq = l.key_seq
    WHERE s.used <> s.ended + s.in_flight OR s.held <> s.in_flight ORDER BY s.id`)
  return rows
}

export async function unbalancedGates(tx: Tx): Promise<UnbalancedGate[]> {
  const { rows } = await tx.execute<UnbalancedGate>(sql`
    WITH passed AS (SELECT g.name, count(*) AS calls FROM holds, unnest(gates) AS g(name) GROUP BY g.name)
    SELECT name, coalesce(f.calls, 0) AS calls, coalesce(p.calls, 0) AS in_flight
    FROM in_flight f FULL JOIN passed p USING (name)
    WHERE coalesce(f.calls, 0) <> coalesce(p.calls, 0) ORDER BY name`)
  return rows
}
