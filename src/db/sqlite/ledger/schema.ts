/** The tables of the books: calls in flight, calls that have ended, and their sums. */
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { Outcome, UsageParts } from '../../../domain/call.ts'

/**
 * Numbers of the counters that a call was charged to, one a limit: each holds the call's units of its limit's unit. One that
 * is gone was forgotten, or its limit was removed; no number is used twice.
 */
function countersCharged() {
  return text('counters', { mode: 'json' }).$type<number[]>().notNull().default([])
}

/** Units reserved for a call in flight. A row left here by a crash is resolved at the next start. */
export const holds = sqliteTable('holds', {
  seq: integer('seq').primaryKey(),
  keySeq: integer('key_seq').notNull(),
  at: integer('at').notNull(),
  upstream: text('upstream').notNull(),
  requestId: text('request_id').notNull(),
  requests: integer('requests').notNull(),
  tokens: integer('tokens').notNull(),
  cost: integer('cost').notNull(),
  counters: countersCharged(),
})

/** The ledger: one entry per call, written once when the call ends, never changed, pruned by age and number. */
export const calls = sqliteTable('calls', {
  seq: integer('seq').primaryKey(),
  keySeq: integer('key_seq').notNull(),
  /** When the call was admitted. */
  at: integer('at').notNull(),
  /** The upstream's name; empty for an endpoint given in an envelope. */
  upstream: text('upstream').notNull(),
  requestId: text('request_id').notNull(),
  outcome: text('outcome').$type<Outcome>().notNull(),
  /** The upstream's status; null when it gave none. */
  status: integer('status'),
  requestsReserved: integer('requests_reserved').notNull(),
  requestsCharged: integer('requests_charged').notNull(),
  tokensReserved: integer('tokens_reserved').notNull(),
  tokensCharged: integer('tokens_charged').notNull(),
  costReserved: integer('cost_reserved').notNull(),
  costCharged: integer('cost_charged').notNull(),
  latencyMs: integer('latency_ms').notNull(),
  bytesIn: integer('bytes_in').notNull(),
  bytesOut: integer('bytes_out').notNull(),
  /** What the upstream said it had done; null where it said nothing. */
  model: text('model'),
  tokensInput: integer('tokens_input'),
  tokensOutput: integer('tokens_output'),
  /** Of the input, read from the upstream's cache; of the output, thought and not shown. */
  tokensCached: integer('tokens_cached'),
  tokensReasoning: integer('tokens_reasoning'),
  /** Whether tokens or cost are charged as estimated, because the upstream did not report them. */
  estimated: integer('estimated', { mode: 'boolean' }).notNull().default(false),
  /** The list by which the cost was reckoned; null if nothing had a price. */
  priceListId: integer('price_list_id'),
  counters: countersCharged(),
  /** What else was reported of the work, such as cache writes, sound and images; null if nothing was. */
  usageParts: text('usage_parts', { mode: 'json' }).$type<UsageParts>(),
})

/**
 * In which blocks of 256 numbers a key has entries: `key_seq << 32 | seq >> 8`. An index of `calls` by key would be written
 * to for each call; this one is for each key and block.
 */
export const callBlocks = sqliteTable('call_blocks', { id: integer('id').primaryKey() })

/** Objects of an upstream, such as background responses, whose report was charged: read again, they cost nothing. */
export const chargedObjects = sqliteTable(
  'charged_objects',
  {
    upstream: text('upstream').notNull(),
    object: text('object').notNull(),
    at: integer('at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.upstream, t.object] }),
    index('charged_objects_by_age').on(t.at),
  ],
)

/** Calls rolled up by key, upstream and hour, in the transaction that writes the entry; kept far longer than calls. */
export const usageHourly = sqliteTable(
  'usage_hourly',
  {
    id: integer('id').primaryKey(),
    /** First instant of the hour, UTC. */
    hour: integer('hour').notNull(),
    keySeq: integer('key_seq').notNull(),
    upstream: text('upstream').notNull(),
    calls: integer('calls').notNull(),
    /** Calls that ended in anything but an upstream answer below 500. */
    failed: integer('failed').notNull(),
    requests: integer('requests').notNull(),
    tokens: integer('tokens').notNull(),
    cost: integer('cost').notNull(),
    bytesIn: integer('bytes_in').notNull(),
    bytesOut: integer('bytes_out').notNull(),
    latencyMs: integer('latency_ms').notNull(),
    /** As the upstream names it; empty if none is known, and `other` for the rest of an hour with very many. */
    model: text('model').notNull().default(''),
    /** Calls whose tokens or cost were charged by an estimate. */
    estimated: integer('estimated').notNull().default(0),
  },
  (t) => [
    uniqueIndex('usage_hourly_row').on(t.hour, t.keySeq, t.upstream, t.model),
    index('usage_hourly_by_key').on(t.keySeq, t.hour),
  ],
)
