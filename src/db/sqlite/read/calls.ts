/** The ledger's entries, read. */
import type { Database } from 'bun:sqlite'
import { desc, eq, inArray, lt } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { CallEntry, CallPage } from '../../../domain/call.ts'
import { NOT_METERED } from '../../../domain/call.ts'
import type { Page } from '../../../domain/key.ts'
import { BLOCK_CALLS } from '../ledger/entries.ts'
import { calls, holds, keys } from '../schema.ts'
import type { Steps } from './steps.ts'

export function createCallQueries(client: Database) {
  const db = drizzle({ client })
  const seqsOf = createSeqsOf(client)

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
      const seqs = keySeq === undefined ? null : yield* seqsOf(keySeq, limit + 1, before ?? SEQ_MAX)
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

/** More calls than any server answers, and within 32 bits of blocks. */
const SEQ_MAX = 2 ** 40 - 1

/** The newest numbers of a key's entries below one, block by block: each that is looked through has at least one. */
function createSeqsOf(client: Database) {
  const previous = client.query<{ block: number | null }, [number, number]>(
    `SELECT max(id) & ${0xffffffff} AS block FROM call_blocks WHERE id >= (?1 << 32) AND id <= ((?1 << 32) | ?2)`,
  )
  const within = client.query<{ seq: number }, [number, number, number, number]>(
    'SELECT seq FROM calls WHERE seq >= ? AND seq < ? AND key_seq = ? ORDER BY seq DESC LIMIT ?',
  )
  return function* seqsOf(keySeq: number, limit: number, before: number): Steps<number[]> {
    const seqs: number[] = []
    for (let last = Math.floor((before - 1) / BLOCK_CALLS); last >= 0; ) {
      const block = previous.get(keySeq, last)?.block ?? null
      if (block === null) break
      const first = block * BLOCK_CALLS
      const end = Math.min(before, first + BLOCK_CALLS)
      for (const { seq } of within.all(first, end, keySeq, limit - seqs.length)) seqs.push(seq)
      if (seqs.length >= limit) break
      last = block - 1
      yield
    }
    return seqs
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
