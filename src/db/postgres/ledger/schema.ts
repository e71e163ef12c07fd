/** The tables of the books: calls in flight, calls that have ended, and their sums. */
import { sql } from 'drizzle-orm'
import {
  boolean,
  index,
  integer,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core'
import type { Outcome, UsageParts } from '../../../domain/call.ts'
import { int8 } from '../schema.ts'

/** Numbers of calls, over all replicas. One that was drawn and not used is a gap. */
export const callSeq = pgSequence('call_seq')

/**
 * Numbers of the counters that a call was charged to, one a limit: each holds the call's units of its limit's unit. One that
 * is gone was forgotten, or its limit was removed; no number is used twice.
 */
function countersCharged() {
  return int8('counters').array().notNull().default(sql`'{}'`)
}

/** Units reserved for a call in flight. A row left here by a crash is resolved when the lease of its replica has run out. */
export const holds = pgTable(
  'holds',
  {
    seq: int8('seq').primaryKey(),
    keySeq: int8('key_seq').notNull(),
    at: int8('at').notNull(),
    upstream: text('upstream').notNull(),
    requestId: text('request_id').notNull(),
    requests: int8('requests').notNull(),
    tokens: int8('tokens').notNull(),
    cost: int8('cost').notNull(),
    counters: countersCharged(),
    /** Which rows of `in_flight` count it. */
    gates: text('gates').array().notNull().default(sql`'{}'`),
    replica: int8('replica').notNull(),
    /** The batch of its replica that made it, and its place there: how a commit is found out whose answer was lost. */
    batch: int8('batch').notNull(),
    place: integer('place').notNull(),
  },
  (t) => [index('holds_by_replica').on(t.replica)],
)

/** The ledger: one entry per call, written once when the call ends, never changed, pruned by age and number. */
export const calls = pgTable(
  'calls',
  {
    seq: int8('seq').primaryKey(),
    keySeq: int8('key_seq').notNull(),
    /** When the call was admitted. */
    at: int8('at').notNull(),
    /** The upstream's name; empty for an endpoint given in an envelope. */
    upstream: text('upstream').notNull(),
    requestId: text('request_id').notNull(),
    outcome: text('outcome').$type<Outcome>().notNull(),
    /** The upstream's status; null when it gave none. */
    status: integer('status'),
    requestsReserved: int8('requests_reserved').notNull(),
    requestsCharged: int8('requests_charged').notNull(),
    tokensReserved: int8('tokens_reserved').notNull(),
    tokensCharged: int8('tokens_charged').notNull(),
    costReserved: int8('cost_reserved').notNull(),
    costCharged: int8('cost_charged').notNull(),
    latencyMs: int8('latency_ms').notNull(),
    bytesIn: int8('bytes_in').notNull(),
    bytesOut: int8('bytes_out').notNull(),
    /** What the upstream said it had done; null where it said nothing. */
    model: text('model'),
    tokensInput: int8('tokens_input'),
    tokensOutput: int8('tokens_output'),
    /** Of the input, read from the upstream's cache; of the output, thought and not shown. */
    tokensCached: int8('tokens_cached'),
    tokensReasoning: int8('tokens_reasoning'),
    /** Whether tokens or cost are charged as estimated, because the upstream did not report them. */
    estimated: boolean('estimated').notNull().default(false),
    /** The list by which the cost was reckoned; null if nothing had a price. */
    priceListId: int8('price_list_id'),
    counters: countersCharged(),
    /** What else was reported of the work, such as cache writes, sound and images; null if nothing was. */
    usageParts: jsonb('usage_parts').$type<UsageParts>(),
  },
  (t) => [index('calls_by_key').on(t.keySeq, t.seq), index('calls_by_age').on(t.at)],
)

/** Objects of an upstream, such as background responses, whose report was charged: read again, they cost nothing. */
export const chargedObjects = pgTable(
  'charged_objects',
  {
    upstream: text('upstream').notNull(),
    object: text('object').notNull(),
    at: int8('at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.upstream, t.object] }),
    index('charged_objects_by_age').on(t.at),
  ],
)

/** Calls rolled up by key, upstream, model and hour, in the transaction that writes the entry; kept far longer than calls. */
export const usageHourly = pgTable(
  'usage_hourly',
  {
    /** First instant of the hour, UTC. */
    hour: int8('hour').notNull(),
    keySeq: int8('key_seq').notNull(),
    upstream: text('upstream').notNull(),
    /** As the upstream names it; empty if none is known, and `other` for the rest of an hour with very many. */
    model: text('model').notNull().default(''),
    calls: int8('calls').notNull(),
    /** Calls that ended in anything but an upstream answer below 500. */
    failed: int8('failed').notNull(),
    requests: int8('requests').notNull(),
    tokens: int8('tokens').notNull(),
    cost: int8('cost').notNull(),
    bytesIn: int8('bytes_in').notNull(),
    bytesOut: int8('bytes_out').notNull(),
    latencyMs: int8('latency_ms').notNull(),
    /** Calls whose tokens or cost were charged by an estimate. */
    estimated: int8('estimated').notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.keySeq, t.hour, t.upstream, t.model] }),
    index('usage_hourly_by_hour').on(t.hour),
  ],
)
