/**
 * Examines a database without changing it: are the books balanced, is anything held that should not be, are the indexes
 * whole, is the server set so that nothing acknowledged is lost? The transaction should be a snapshot, since replicas may be
 * writing meanwhile; then all that is found is true of one moment.
 */
import { sql } from 'drizzle-orm'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import type { Examination, Examining, Finding } from '../../../domain/store.ts'
import { UNWATCHED } from '../../../lib/watch.ts'
import { unbalancedCounters, unbalancedGates } from '../ledger/books.ts'
import { withSnapshot } from '../snapshot.ts'
import type { Tx } from '../transact.ts'
import { integrity } from './integrity.ts'
import { bloat, replicas, server } from './server.ts'

/** A call in flight for longer than any deadline allows was not ended. */
const HOLD_MS_MAX = 2 * 3_600_000
/** Entries from the future by more than this mean that a clock was put back. */
const NEWEST_MS_MAX = 60_000
/** More than two clocks of machines that ask a time server differ, and than a busy machine takes to read both. */
const CLOCKS_MS_MAX = 10_000

/** Shares of the time that an examination takes; the other checks take none. */
const BOOKS = 0.7

/** Null if there is no database of ours. `at` is now. */
export function examineServer(
  addresses: readonly PostgresAddress[],
  at: number,
  how?: Examining,
): Promise<Examination | null> {
  const startedMs = performance.now()
  return withSnapshot(addresses, async (tx) => {
    const there = await one<{ is_there: boolean }>(
      tx,
      sql`SELECT to_regclass('schema_migrations') IS NOT NULL AS is_there`,
    )
    if (!there.is_there) return null
    const now = at + Math.round(performance.now() - startedMs)
    const findings = await examinePostgres(tx, now, how)
    return { ok: findings.every(({ ok }) => ok), findings }
  })
}

export async function examinePostgres(
  tx: Tx,
  at: number,
  { watch = UNWATCHED, unpriced = [] }: Examining = {},
): Promise<Finding[]> {
  // Before anything that takes long.
  const clocks = await clock(tx, at)
  const { bytes } = await one<{ bytes: number }>(
    tx,
    sql`SELECT (pg_total_relation_size('calls') + pg_total_relation_size('counters'))::bigint AS bytes`,
  )
  watch.begin(bytes)
  const balanced = await books(tx)
  watch.step(BOOKS)
  const findings = [
    balanced,
    await holds(tx),
    await integrity(tx),
    clocks,
    await prices(tx, unpriced),
    await server(tx),
    await replicas(tx),
    await bloat(tx),
  ]
  watch.step(1 - BOOKS)
  return findings
}

async function books(tx: Tx): Promise<Finding> {
  const [counters, gates] = [await unbalancedCounters(tx), await unbalancedGates(tx)]
  const total = await one<{ counters: number; gates: number }>(
    tx,
    sql`SELECT (SELECT count(*) FROM counters) AS counters, (SELECT count(*) FROM in_flight) AS gates`,
  )
  const problems: string[] = []
  const [counter, gate] = [counters[0], gates[0]]
  if (counter) {
    const { key, name, used, booked, held, in_flight } = counter
    const what =
      used === booked
        ? `${held} held, ${in_flight} by calls in flight`
        : `${used} used, ${booked} in the ledger`
    problems.push(
      `${counters.length} of ${total.counters} counters do not balance, such as ${name} of ${key}: ${what}`,
    )
  }
  if (gate) {
    problems.push(
      `${gates.length} counts of calls in flight are wrong, such as ${gate.name}: ${gate.calls} counted, ${gate.in_flight} in flight`,
    )
  }
  const count = counters.length + gates.length
  const well = `${total.counters} counters balance with the ledger, and ${total.gates} limits on calls in flight with what is in flight`
  return { check: 'books', ok: count === 0, count, detail: problems.join('; ') || well }
}

/** Since when is for the clock of the database, which holds are written by. */
async function holds(tx: Tx): Promise<Finding> {
  const { open, stuck, orphans } = await one<{ open: number; stuck: number; orphans: number }>(
    tx,
    sql`SELECT count(*) AS open,
      count(*) FILTER (WHERE h.at < floor(extract(epoch FROM now()) * 1000) - ${HOLD_MS_MAX}) AS stuck,
      count(*) FILTER (WHERE r.seq IS NULL) AS orphans
      FROM holds h LEFT JOIN replicas r ON r.seq = h.replica AND r.ended_at IS NULL`,
  )
  const problems: string[] = []
  if (stuck > 0)
    problems.push(
      `${stuck} of ${open} holds are older than any call may be; restart the replicas to settle them`,
    )
  if (orphans > 0)
    problems.push(
      `${orphans} of ${open} holds belong to a replica that has ended; any replica that runs settles them within seconds`,
    )
  const [ok, count] = [problems.length === 0, Math.max(stuck, orphans)]
  return { check: 'holds', ok, count, detail: problems.join('; ') || `${open} open, none stuck` }
}

async function clock(tx: Tx, at: number): Promise<Finding> {
  const { now, newest } = await one<{ now: number; newest: number | null }>(
    tx,
    sql`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
      (SELECT at FROM calls ORDER BY seq DESC LIMIT 1) AS newest`,
  )
  const [apartMs, aheadMs] = [now - at, (newest ?? now) - now]
  const problems: string[] = []
  if (Math.abs(apartMs) > CLOCKS_MS_MAX) {
    const side = apartMs > 0 ? 'ahead of' : 'behind'
    problems.push(
      `the clock of the database is ${seconds(apartMs)} ${side} the one here; it decides which period it is, so set the wrong one right`,
    )
  }
  if (aheadMs > NEWEST_MS_MAX)
    problems.push(
      `the newest entry is ${seconds(aheadMs)} in the future; is the clock of the database right?`,
    )
  return {
    check: 'clock',
    ok: problems.length === 0,
    detail:
      problems.join('; ') ||
      'the clock of the database agrees with the one here, and the newest entry is not from the future',
  }
}

function seconds(ms: number): string {
  return `${Math.round(Math.abs(ms) / 1000)} s`
}

/** Nothing is wrong with the database then: such calls are refused. */
async function prices(tx: Tx, unpriced: readonly string[]): Promise<Finding> {
  // Enabled upstreams that meter tokens without any price, and that some key with a limit in money may call.
  const { rows } = await tx.execute<{ name: string }>(sql`
    WITH unpriced AS (
      SELECT u.name FROM upstreams u
      WHERE u.enabled AND u.settings #>> '{meter,kind}' = 'tokens' AND NOT EXISTS (
        SELECT 1 FROM price_lists p WHERE p.upstream = u.name AND p.prices <> '[]'
          AND p.id = (SELECT max(id) FROM price_lists WHERE upstream = u.name))
      UNION SELECT value FROM jsonb_array_elements_text(${JSON.stringify(unpriced)}::jsonb) value
    )
    SELECT name FROM unpriced WHERE EXISTS (
      SELECT 1 FROM limits l JOIN keys k ON k.seq = l.key_seq
      WHERE l.unit = 'cost' AND l.amount IS NOT NULL AND k.enabled AND k.deleted_at IS NULL
        AND (k.scope ->> 'upstreams' IS NULL OR k.scope -> 'upstreams' ? unpriced.name))
    ORDER BY name`)
  const [first] = rows
  return {
    check: 'prices',
    ok: true,
    count: rows.length,
    detail: first
      ? `${rows.length} upstreams have no prices, such as ${first.name}: calls there are refused for keys with a limit in money; enter some with "quota-proxy prices import"`
      : 'no key with a limit in money may call an upstream without prices',
  }
}

/** Of a question that always has one answer. */
async function one<T extends Record<string, unknown>>(
  tx: Tx,
  question: ReturnType<typeof sql>,
): Promise<T> {
  const [row] = (await tx.execute<T>(question)).rows
  if (!row) throw new Error('the database gave no answer')
  return row as T
}
