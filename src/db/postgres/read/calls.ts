/** The ledger's entries, read. A question looks through so many entries at most, whatever it filters by. */
import { and, asc, between, desc, eq, gte, lt, lte, type SQL } from 'drizzle-orm'
import {
  type CallEntry,
  type CallFilter,
  type CallPage,
  NOT_METERED,
} from '../../../domain/call.ts'
import type { Page } from '../../../domain/key.ts'
import { calls, holds } from '../ledger/schema.ts'
import { keys } from '../schema.ts'
import type { Tx } from '../transact.ts'
import { isText } from '../values.ts'

/** Entries that one question looks through: about a tenth of a second. */
const SEEN_MAX = 100_000

/**
 * Replicas number their calls by one sequence, and each call a little after its instant: of two calls whose instants are
 * farther apart than this, the later one has the higher number.
 */
const APART_MS = 60_000

export async function findCall(tx: Tx, seq: number): Promise<CallEntry | null> {
  const isKeys = eq(keys.seq, calls.keySeq)
  const [ended] = await tx.select().from(calls).innerJoin(keys, isKeys).where(eq(calls.seq, seq))
  if (ended) return entry(ended.calls, ended.keys)
  const isHolds = eq(keys.seq, holds.keySeq)
  const [open] = await tx.select().from(holds).innerJoin(keys, isHolds).where(eq(holds.seq, seq))
  return open ? inFlight(open.holds, open.keys) : null
}

export async function listCalls(
  tx: Tx,
  filter: CallFilter,
  { limit, before }: Page,
): Promise<CallPage> {
  const within = await bounds(tx, filter, before)
  const seen = seenOf(tx, within)
  // One look-up for each entry of the page, never a join with a million keys.
  const names = tx
    .select({ id: keys.id, name: keys.name })
    .from(keys)
    .where(eq(keys.seq, seen.keySeq))
    .limit(1)
    .as('names')
  const rows = await tx
    .select()
    .from(seen)
    .crossJoinLateral(names)
    .where(and(...conditions(seen, filter)))
    .orderBy(desc(seen.seq))
    .limit(limit + 1)
  const page = rows.slice(0, limit).map((row) => entry(row.seen, row.names))
  if (rows.length > limit) return { calls: page, next: page.at(-1)?.seq ?? null }
  return { calls: page, next: await endOfSeen(tx, within) }
}

/** The newest first. */
function seenOf(tx: Tx, within: SQL | undefined) {
  const rows = tx.select().from(calls).where(within).orderBy(desc(calls.seq))
  return rows.limit(SEEN_MAX).as('seen')
}

/** The number of the last entry that a question looks at; null if there are none beyond it. */
async function endOfSeen(tx: Tx, within: SQL | undefined): Promise<number | null> {
  const last = await tx
    .select({ seq: calls.seq })
    .from(calls)
    .where(within)
    .orderBy(desc(calls.seq))
    .offset(SEEN_MAX - 1)
    .limit(1)
  return last[0]?.seq ?? null
}

/** What the indexes find by themselves: a key, and numbers. Instants become numbers, since there may be ten million entries. */
async function bounds(
  tx: Tx,
  { keySeq, from, to }: CallFilter,
  before: number | undefined,
): Promise<SQL | undefined> {
  const first = from === undefined ? null : await newestUpTo(tx, from - APART_MS)
  const end = to === undefined ? null : await oldestSince(tx, to + APART_MS)
  return and(
    keySeq === undefined ? undefined : eq(calls.keySeq, keySeq),
    first === null ? undefined : gte(calls.seq, first),
    before === undefined ? undefined : lt(calls.seq, before),
    end === null ? undefined : lte(calls.seq, end),
  )
}

async function newestUpTo(tx: Tx, at: number): Promise<number | null> {
  const rows = tx.select({ seq: calls.seq }).from(calls).where(lte(calls.at, at))
  return (await rows.orderBy(desc(calls.at)).limit(1))[0]?.seq ?? null
}

async function oldestSince(tx: Tx, at: number): Promise<number | null> {
  const rows = tx.select({ seq: calls.seq }).from(calls).where(gte(calls.at, at))
  return (await rows.orderBy(asc(calls.at)).limit(1))[0]?.seq ?? null
}

type Row = typeof calls.$inferSelect
type KeyNames = { readonly id: string; readonly name: string }

function conditions(
  of: ReturnType<typeof seenOf>,
  { from, to, status, outcome, upstream, model }: CallFilter,
): (SQL | undefined)[] {
  return [
    from === undefined ? undefined : gte(of.at, from),
    to === undefined ? undefined : lt(of.at, to),
    status === undefined ? undefined : between(of.status, ...status),
    outcome === undefined ? undefined : eq(of.outcome, outcome),
    upstream === undefined ? undefined : isText(of.upstream, upstream),
    model === undefined ? undefined : isText(of.model, model),
  ]
}

function entry(row: Row, { id: keyId, name: keyName }: KeyNames): CallEntry {
  const { seq, at, upstream, requestId, outcome, status, latencyMs, bytesIn, bytesOut } = row
  return {
    seq, keyId, keyName, at, upstream, requestId, outcome, status,
    reserved: { requests: row.requestsReserved, tokens: row.tokensReserved, cost: row.costReserved },
    charged: { requests: row.requestsCharged, tokens: row.tokensCharged, cost: row.costCharged },
    metered: {
      model: row.model, input: row.tokensInput, output: row.tokensOutput, cached: row.tokensCached,
      reasoning: row.tokensReasoning, parts: row.usageParts, estimated: row.estimated, priceListId: row.priceListId,
    },
    latencyMs, bytesIn, bytesOut,
  } // biome-ignore format: columns first
}

function inFlight(
  row: typeof holds.$inferSelect,
  { id: keyId, name: keyName }: KeyNames,
): CallEntry {
  const { seq, at, upstream, requestId, requests, tokens, cost } = row
  const units = { requests, tokens, cost }
  return {
    seq, keyId, keyName, at, upstream, requestId, outcome: 'in_flight', status: null, reserved: units, charged: units,
    metered: NOT_METERED,
    latencyMs: 0, bytesIn: 0, bytesOut: 0,
  } // biome-ignore format: columns first
}
