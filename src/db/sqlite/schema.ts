/**
 * The SQLite schema, but for the books, which are in ledger/schema.ts. drizzle-kit writes the migrations in `drizzle/sqlite` from it, and admin queries are built on it.
 * Instants are integers in milliseconds since the epoch; amounts are integers; JSON columns hold text.
 */
import { sql } from 'drizzle-orm'
import {
  blob,
  check,
  index,
  integer,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import type { ReserveMax, Scope } from '../../domain/key.ts'
import type { Unit, WeekStart, Window } from '../../domain/limit.ts'
import type { Price } from '../../domain/upstream/price.ts'
import type { UpstreamSettings } from '../../domain/upstream.ts'

/** What holders present. `seq` is the small internal number that the hot tables refer to; `id` is the public one. */
export const keys = sqliteTable(
  'keys',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    /** SHA-256 of the raw key; null once the key is deleted, so that nothing can present it again. */
    hash: blob('hash', { mode: 'buffer' }).unique(),
    /** Of the secret before the latest rotation, while it still works: until `previousUntil`. */
    previousHash: blob('previous_hash', { mode: 'buffer' }).unique(),
    previousUntil: integer('previous_until'),
    hint: text('hint').notNull(),
    name: text('name').notNull(),
    enabled: integer('enabled', { mode: 'boolean' }).notNull().default(true),
    expiresAt: integer('expires_at'),
    /** Most calls in flight at once; null is no limit. */
    concurrency: integer('concurrency'),
    /** Most units that one call reserves, whatever it asks for; null is no bound. */
    reserveMax: text('reserve_max', { mode: 'json' }).$type<ReserveMax>(),
    /** Where, how and from where the key may call; null is no restriction. */
    scope: text('scope', { mode: 'json' }).$type<Scope>(),
    tags: text('tags', { mode: 'json' }).$type<string[]>().notNull(),
    metadata: text('metadata', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
    /** Raised by every change, so that nothing remembered about the key can be used after it. */
    revision: integer('revision').notNull().default(1),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    deletedAt: integer('deleted_at'),
  },
  (t) => [index('keys_by_created').on(t.createdAt, t.seq)],
)

/** An amount of a unit per window; a null amount is unlimited and 0 denies. */
export const limits = sqliteTable(
  'limits',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    keySeq: integer('key_seq')
      .notNull()
      .references(() => keys.seq),
    /** Unique within the key; `quota` is the key's main limit. */
    name: text('name').notNull(),
    unit: text('unit').$type<Unit>().notNull(),
    amount: integer('amount'),
    window: text('window').$type<Window>().notNull(),
    timezone: text('timezone').notNull(),
    weekStart: text('week_start').$type<WeekStart>().notNull(),
  },
  (t) => [
    uniqueIndex('limits_by_key').on(t.keySeq, t.name),
    check('limits_amount', sql`${t.amount} IS NULL OR ${t.amount} >= 0`),
  ],
)

/**
 * What one limit has granted in one period. A period has its own row for ever: a refund goes to the row that was
 * charged, so it can neither reach a later window nor undo a reset (which retires the row and starts another).
 */
export const counters = sqliteTable(
  'counters',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    limitId: integer('limit_id')
      .notNull()
      .references(() => limits.id, { onDelete: 'cascade' }),
    periodStart: integer('period_start').notNull(),
    /** Null for a lifetime. */
    periodEnd: integer('period_end'),
    /** The limit's amount, repeated here so that the charge is one conditional statement on one row. */
    amount: integer('amount'),
    /** Units granted (or taken) by hand for this period only. */
    credited: integer('credited').notNull().default(0),
    used: integer('used').notNull().default(0),
    /** The part of `used` whose calls have been pruned; keeps the books checkable for ever. */
    pruned: integer('pruned').notNull().default(0),
    /**
     * Set when a reset or a changed window has replaced this row, to the number of the next call; null while it is live.
     * Nothing is decided on the number.
     */
    retiredSeq: integer('retired_seq'),
  },
  (t) => [
    uniqueIndex('counters_live').on(t.limitId, t.periodStart).where(sql`${t.retiredSeq} IS NULL`),
    index('counters_by_limit').on(t.limitId),
    check('counters_used', sql`${t.used} >= 0`),
  ],
)

/** Named targets that the operator manages. Few: all of them are held in memory. */
export const upstreams = sqliteTable('upstreams', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  name: text('name').notNull().unique(),
  baseUrl: text('base_url').notNull(),
  /** The path under which its calls come in, beside `/u/{name}`; null is none. */
  mount: text('mount').unique(),
  enabled: integer('enabled', { mode: 'boolean' }).notNull().default(true),
  /** The operator's secret, sealed (src/lib/seal.ts); null is none. */
  credential: text('credential'),
  settings: text('settings', { mode: 'json' }).$type<UpstreamSettings>().notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

/** Every price list that an upstream has ever had; the newest is in force, and none is ever changed. */
export const priceLists = sqliteTable(
  'price_lists',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    upstream: text('upstream').notNull(),
    at: integer('at').notNull(),
    prices: text('prices', { mode: 'json' }).$type<Price[]>().notNull(),
  },
  (t) => [index('price_lists_by_upstream').on(t.upstream, t.id)],
)

/** Every credit and reset, with who it was for and why. */
export const adjustments = sqliteTable(
  'adjustments',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    keySeq: integer('key_seq').notNull(),
    limitName: text('limit_name').notNull(),
    at: integer('at').notNull(),
    kind: text('kind').$type<'credit' | 'reset'>().notNull(),
    /** Units credited; for a reset, the units that had been used. */
    amount: integer('amount').notNull(),
    reason: text('reason').notNull(),
  },
  (t) => [index('adjustments_by_key').on(t.keySeq, t.id)],
)
