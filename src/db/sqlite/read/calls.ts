/** The ledger's entries, read. */
import type { Database } from 'bun:sqlite'
import { and, between, desc, eq, gte, lt } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { CallEntry, CallFilter, CallPage } from '../../../domain/call.ts'
import { NOT_METERED } from '../../../domain/call.ts'
import type { Page } from '../../../domain/key.ts'
import { calls, holds } from '../ledger/schema.ts'
import { keys } from '../schema.ts'
import { createBlockReader, SEQ_MAX } from './blocks.ts'
import type { Steps } from './steps.ts'

export function createCallQueries(client: Database) {
  const db = drizzle({ client })
  const blocks = createBlockReader(client)

  function within(filter: CallFilter, first: number, below: number, limit: number): Row[] {
    return db
      .select()
      .from(calls)
      .innerJoin(keys, eq(keys.seq, calls.keySeq))
      .where(and(gte(calls.seq, first), lt(calls.seq, below), ...conditions(filter)))
      .orderBy(desc(calls.seq))
      .limit(limit)
      .all()
  }

  return {
    find(seq: number): CallEntry | null {
      const ended = db
        .select()
        .from(calls)
        .innerJoin(keys, eq(keys.seq, calls.keySeq))
        .where(eq(calls.seq, seq))
        .get()
      if (ended) return entry(ended.calls, ended.keys)
      const open = db
        .select()
        .from(holds)
        .innerJoin(keys, eq(keys.seq, holds.keySeq))
        .where(eq(holds.seq, seq))
        .get()
      return open ? inFlight(open.holds, open.keys) : null
    },

    *list(filter: CallFilter, { limit, before }: Page): Steps<CallPage> {
      const from = filter.from === undefined ? 0 : blocks.firstSince(filter.from)
      const end = Math.min(
        before ?? SEQ_MAX,
        filter.to === undefined ? SEQ_MAX : blocks.firstSince(filter.to),
      )
      const rows: Row[] = []
      let seen = 0
      for (const [first, below] of blocks.spans(filter.keySeq, from, end)) {
        rows.push(...within(filter, first, below, limit + 1 - rows.length))
        seen += below - first
        if (rows.length > limit) return pageOf(rows, limit, null)
        if (seen >= SEEN_MAX) return pageOf(rows, limit, first)
        yield
      }
      return pageOf(rows, limit, null)
    },
  }
}

type Row = { calls: typeof calls.$inferSelect; keys: typeof keys.$inferSelect }

type KeyNames = { readonly id: string; readonly name: string }

/** Entries that one question looks through: about a tenth of a second. */
const SEEN_MAX = 100_000

/** `next` is where a page goes on that is not full. */
function pageOf(rows: readonly Row[], limit: number, next: number | null): CallPage {
  const page = rows.slice(0, limit).map((row) => entry(row.calls, row.keys))
  return { calls: page, next: rows.length > limit ? (page.at(-1)?.seq ?? null) : next }
}

function conditions({ keySeq, from, to, status, outcome, upstream, model }: CallFilter) {
  return [
    keySeq === undefined ? undefined : eq(calls.keySeq, keySeq),
    from === undefined ? undefined : gte(calls.at, from),
    to === undefined ? undefined : lt(calls.at, to),
    status === undefined ? undefined : between(calls.status, ...status),
    outcome === undefined ? undefined : eq(calls.outcome, outcome),
    upstream === undefined ? undefined : eq(calls.upstream, upstream),
    model === undefined ? undefined : eq(calls.model, model),
  ]
}

function entry(row: typeof calls.$inferSelect, { id: keyId, name: keyName }: KeyNames): CallEntry {
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
