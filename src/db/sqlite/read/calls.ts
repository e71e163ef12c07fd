/** The ledger's entries, read. */
import type { Database } from 'bun:sqlite'
import { desc, eq, inArray, lt } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { CallEntry, CallPage } from '../../../domain/call.ts'
import { NOT_METERED } from '../../../domain/call.ts'
import type { Page } from '../../../domain/key.ts'
import { calls, holds, keys } from '../schema.ts'
import { createBlockReader } from './blocks.ts'
import type { Steps } from './steps.ts'

export function createCallQueries(client: Database) {
  const db = drizzle({ client })
  const blocks = createBlockReader(client)

  return {
    find(seq: number): CallEntry | null {
      const ended = db
        .select()
        .from(calls)
        .innerJoin(keys, eq(keys.seq, calls.keySeq))
        .where(eq(calls.seq, seq))
        .get()
      if (ended) return entry(ended.calls, ended.keys.id)
      const open = db
        .select()
        .from(holds)
        .innerJoin(keys, eq(keys.seq, holds.keySeq))
        .where(eq(holds.seq, seq))
        .get()
      return open ? inFlight(open.holds, open.keys.id) : null
    },

    *list(keySeq: number | undefined, { limit, before }: Page): Steps<CallPage> {
      const seqs = keySeq === undefined ? null : yield* blocks.seqs(keySeq, limit + 1, before)
      const rows = db
        .select()
        .from(calls)
        .innerJoin(keys, eq(keys.seq, calls.keySeq))
        .where(
          seqs
            ? inArray(calls.seq, seqs)
            : before === undefined
              ? undefined
              : lt(calls.seq, before),
        )
        .orderBy(desc(calls.seq))
        .limit(limit + 1)
        .all()
      return {
        calls: rows.slice(0, limit).map((row) => entry(row.calls, row.keys.id)),
        more: rows.length > limit,
      }
    },
  }
}

function entry(row: typeof calls.$inferSelect, keyId: string): CallEntry {
  const { seq, at, upstream, requestId, outcome, status, latencyMs, bytesIn, bytesOut } = row
  return {
    seq, keyId, at, upstream, requestId, outcome, status,
    reserved: { requests: row.requestsReserved, tokens: row.tokensReserved, cost: row.costReserved },
    charged: { requests: row.requestsCharged, tokens: row.tokensCharged, cost: row.costCharged },
    metered: {
      model: row.model, input: row.tokensInput, output: row.tokensOutput, cached: row.tokensCached,
      reasoning: row.tokensReasoning, parts: row.usageParts, estimated: row.estimated, priceListId: row.priceListId,
    },
    latencyMs, bytesIn, bytesOut,
  } // biome-ignore format: columns first
}

function inFlight(row: typeof holds.$inferSelect, keyId: string): CallEntry {
  const { seq, at, upstream, requestId, requests, tokens, cost } = row
  const units = { requests, tokens, cost }
  return {
    seq, keyId, at, upstream, requestId, outcome: 'in_flight', status: null, reserved: units, charged: units,
    metered: NOT_METERED,
    latencyMs: 0, bytesIn: 0, bytesOut: 0,
  } // biome-ignore format: columns first
}
