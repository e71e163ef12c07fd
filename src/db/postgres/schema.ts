/**
 * The PostgreSQL schema, but for the books, which are in ledger/schema.ts. drizzle-kit writes the migrations in
 * `drizzle/postgres` from it. Names and meanings are those of the SQLite schema; what only replicas need is in
 * replicas.ts. Instants are integers in milliseconds since the epoch; amounts are integers.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import type { ReserveMax, Scope } from '../../domain/key.ts'
import type { Unit, WeekStart, Window } from '../../domain/limit.ts'
import type { Price } from '../../domain/upstream/price.ts'
import type { UpstreamSettings } from '../../domain/upstream.ts'

/** Amounts and instants are below 2^53, so that a number of JavaScript holds them. */
export const int8 = (name: string) => bigint(name, { mode: 'number' })

export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** What holders present. `seq` is the small internal number that the hot tables refer to; `id` is the public one. */
export const keys = pgTable(
  'keys',
  {
    seq: int8('seq').primaryKey().generatedByDefaultAsIdentity(),
    id: text('id').notNull().unique(),
    /** SHA-256 of the raw key; null once the key is deleted, so that nothing can present it again. */
    hash: bytea('hash').unique(),
    /** Of the secret before the latest rotation, while it still works: until `previousUntil`. */
    previousHash: bytea('previous_hash').unique(),
    previousUntil: int8('previous_until'),
    hint: text('hint').notNull(),
    name: text('name').notNull(),
    enabled: boolean('enabled').notNull().default(true),
    expiresAt: int8('expires_at'),
    /** Most calls in flight at once; null is no limit. */
    concurrency: integer('concurrency'),
    /** Most units that one call reserves, whatever it asks for; null is no bound. */
    reserveMax: jsonb('reserve_max').$type<ReserveMax>(),
    /** Where, how and from where the key may call; null is no restriction. */
    scope: jsonb('scope').$type<Scope>(),
    tags: jsonb('tags').$type<string[]>().notNull(),
    metadata: jsonb('metadata').$type<Record<string, unknown>>().notNull(),
    /** Raised by every change, so that nothing remembered about the key can be used after it. */
    revision: integer('revision').notNull().default(1),
    createdAt: int8('created_at').notNull(),
    updatedAt: int8('updated_at').notNull(),
    deletedAt: int8('deleted_at'),
  },
  (t) => [index('keys_by_created').on(t.createdAt, t.seq)],
)

/** An amount of a unit per window; a null amount is unlimited and 0 denies. */
export const limits = pgTable(
  'limits',
  {
    id: int8('id').primaryKey().generatedByDefaultAsIdentity(),
    keySeq: int8('key_seq')
      .notNull()
      .references(() => keys.seq),
    /** Unique within the key; `quota` is the key's main limit. */
    name: text('name').notNull(),
    unit: text('unit').$type<Unit>().notNull(),
    amount: int8('amount'),
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
 * What one limit has granted in one period. A period has its own row for ever: a refund goes to the row that was charged,
 * so it can neither reach a later window nor undo a reset (which retires the row and starts another). No index holds what
 * a charge changes, so that PostgreSQL keeps a new version of the row on its page (a heap-only tuple); the migration
 * leaves room for that.
 */
export const counters = pgTable(
  'counters',
  {
    id: int8('id').primaryKey().generatedByDefaultAsIdentity(),
    limitId: int8('limit_id')
      .notNull()
      .references(() => limits.id, { onDelete: 'cascade' }),
    /** That of the limit: what was counted in another unit is deleted when a limit changes its unit. */
    unit: text('unit').$type<Unit>().notNull(),
    periodStart: int8('period_start').notNull(),
    /** Null for a lifetime. */
    periodEnd: int8('period_end'),
    /** The limit's amount, repeated here so that the charge is one conditional statement on one row. */
    amount: int8('amount'),
    /** Units granted (or taken) by hand for this period only. */
    credited: int8('credited').notNull().default(0),
    used: int8('used').notNull().default(0),
    /** The part of `used` that belongs to calls in flight on all replicas and may yet come back. */
    held: int8('held').notNull().default(0),
    /** The part of `used` whose calls have been pruned; keeps the books checkable for ever. */
    pruned: int8('pruned').notNull().default(0),
    /** When a reset or a changed window replaced this row; null while it is live. */
    retiredAt: int8('retired_at'),
  },
  (t) => [
    uniqueIndex('counters_live').on(t.limitId, t.periodStart).where(sql`${t.retiredAt} IS NULL`),
    index('counters_by_limit').on(t.limitId),
    check('counters_used', sql`${t.used} >= 0`),
  ],
)

/** Named targets that the operator manages. Few: all of them are held in the memory of each replica. */
export const upstreams = pgTable('upstreams', {
  id: int8('id').primaryKey().generatedByDefaultAsIdentity(),
  name: text('name').notNull().unique(),
  baseUrl: text('base_url').notNull(),
  /** The path under which its calls come in, beside `/u/{name}`; null is none. */
  mount: text('mount').unique(),
  enabled: boolean('enabled').notNull().default(true),
  /** The operator's secret, sealed (src/lib/seal.ts); null is none. */
  credential: text('credential'),
  settings: jsonb('settings').$type<UpstreamSettings>().notNull(),
  /**
   * Of all upstreams, the revision at which this one was changed last: a call that was resolved by an older one is not
   * charged.
   */
  revision: int8('revision').notNull(),
  createdAt: int8('created_at').notNull(),
  updatedAt: int8('updated_at').notNull(),
})

/** Every price list that an upstream has ever had; the newest is in force, and none is ever changed. */
export const priceLists = pgTable(
  'price_lists',
  {
    id: int8('id').primaryKey().generatedByDefaultAsIdentity(),
    upstream: text('upstream').notNull(),
    at: int8('at').notNull(),
    prices: jsonb('prices').$type<Price[]>().notNull(),
  },
  (t) => [index('price_lists_by_upstream').on(t.upstream, t.id)],
)

/** Every credit and reset, with who it was for and why. */
export const adjustments = pgTable(
  'adjustments',
  {
    id: int8('id').primaryKey().generatedByDefaultAsIdentity(),
    keySeq: int8('key_seq').notNull(),
    limitName: text('limit_name').notNull(),
    at: int8('at').notNull(),
    kind: text('kind').$type<'credit' | 'reset'>().notNull(),
    /** Units credited; for a reset, the units that had been used. */
    amount: int8('amount').notNull(),
    reason: text('reason').notNull(),
  },
  (t) => [index('adjustments_by_key').on(t.keySeq, t.id)],
)

/**
 * The processes that serve this database. A hold belongs to one of them. One whose lease has run out is taken to be dead:
 * whoever notices first says so in its row, and ends its calls. A process whose row says so may write nothing.
 */
export const replicas = pgTable(
  'replicas',
  {
    seq: int8('seq').primaryKey().generatedByDefaultAsIdentity(),
    /** Of a host and its data directory: a process that starts there takes the place of the one before. */
    id: text('id').notNull(),
    /** Raised after each lost connection, and at the end: what was sent before that can write no more. */
    epoch: integer('epoch').notNull().default(1),
    /** The latest batch of the ledger that was written. */
    batch: int8('batch').notNull().default(0),
    version: text('version').notNull(),
    startedAt: int8('started_at').notNull(),
    /** By the clock of the database, as all instants here. */
    leaseUntil: int8('lease_until').notNull(),
    /** When it left, or was taken to be dead; null while it serves. */
    endedAt: int8('ended_at'),
  },
  (t) => [index('replicas_by_id').on(t.id)],
)

/** One row: what replicas compare to know whether they are up to date, and whether they belong together. */
export const installation = pgTable(
  'installation',
  {
    id: integer('id').primaryKey().default(1),
    /** Raised by every change of an upstream or its prices. */
    upstreamsRevision: int8('upstreams_revision').notNull().default(1),
    /** A known text, sealed with the secret key of whoever came first: another key opens no credential. */
    keyCheck: text('key_check'),
  },
  (t) => [check('installation_one', sql`${t.id} = 1`)],
)

/** Work that one of all replicas does: the instant of its schedule that was taken last, and how it went. */
export const chores = pgTable('chores', {
  name: text('name').primaryKey(),
  due: int8('due').notNull(),
  record: jsonb('record').$type<unknown>(),
})

/** Calls in flight of what has a limit of them, on all replicas: `key:{seq}` and `upstream:{name}`. */
export const inFlight = pgTable('in_flight', {
  name: text('name').primaryKey(),
  calls: integer('calls').notNull().default(0),
})
