/** Keys, as they are shown: each with its limits, and what these have granted at an instant. */
import type { Database } from 'bun:sqlite'
import { and, desc, eq, gt, isNull, lte, or, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { KeyFilter, KeyPage, KeyRecord, KeyRef, LimitView, Page } from '../../../domain/key.ts'
import { type Account, balance } from '../../../quota/account.ts'
import { createCounters } from '../ledger/counters.ts'
import { keys } from '../schema.ts'
import { createBlockReader } from './blocks.ts'
import type { Steps } from './steps.ts'

export type Row = typeof keys.$inferSelect

/** Keys that one step of a search looks at: half a millisecond with one tag each, two with as many as there can be. */
const STEP_ROWS = 500

export function createKeyRecords(client: Database) {
  const db = drizzle({ client })
  const books = createCounters(client)
  const blocks = createBlockReader(client)

  function record(row: Row, at: number): KeyRecord {
    const lastUsedAt = blocks.lastAt(row.seq)
    const { hash: _, previousHash: __, ...shown } = row
    const isOver = row.previousUntil !== null && row.previousUntil <= at
    const previousUntil = isOver ? null : row.previousUntil
    return { ...shown, previousUntil, lastUsedAt, limits: books.accounts(row.seq, at).map(view) }
  }

  function findRow(ref: KeyRef): Row | undefined {
    const which = 'id' in ref ? eq(keys.id, ref.id) : hasHash(ref.hash)
    return db
      .select()
      .from(keys)
      .where(and(which, isNull(keys.deletedAt)))
      .limit(1)
      .get()
  }

  const search = createSearch(client)

  return {
    record,
    findRow,

    findEver(id: string, at: number): KeyRecord | null {
      const row = db.select().from(keys).where(eq(keys.id, id)).limit(1).get()
      return row ? record(row, at) : null
    },

    find(ref: KeyRef, at: number): KeyRecord | null {
      const row = findRow(ref)
      return row ? record(row, at) : null
    },

    *list(filter: KeyFilter, { limit, before }: Page, at: number): Steps<KeyPage> {
      const rows = yield* search(filter, before ?? Number.MAX_SAFE_INTEGER, limit + 1, at)
      const page: KeyRecord[] = []
      for (const row of rows.slice(0, limit)) {
        page.push(record(row, at))
        yield
      }
      return { keys: page, more: rows.length > limit }
    },
  }
}

type Search = (filter: KeyFilter, before: number, max: number, at: number) => Steps<Row[]>

/** Finds the rows below `before` that a filter lets through, the newest first; at most `max`. */
function createSearch(client: Database): Search {
  const db = drizzle({ client })
  const endOfStep = client.query<{ seq: number | null }, [number]>(
    `SELECT min(seq) AS seq FROM (SELECT seq FROM keys WHERE seq < ? ORDER BY seq DESC LIMIT ${STEP_ROWS})`,
  )
  return function* search(filter, before, max, at) {
    const within = sql`${keys.seq} >= ${sql.placeholder('end')} AND ${keys.seq} < ${sql.placeholder('below')}`
    const step = db
      .select()
      .from(keys)
      .where(and(within, ...conditions(filter, at)))
      .orderBy(desc(keys.seq))
      .limit(max)
      .prepare()
    const rows: Row[] = []
    for (let below = before; rows.length < max; ) {
      const end = endOfStep.get(below)?.seq ?? null
      if (end === null) break
      rows.push(...step.all({ end, below }))
      below = end
      yield
    }
    return rows.slice(0, max)
  }
}

/** A key is known by its present secret, and by the one before its latest rotation. */
export function hasHash(hash: Buffer): SQL | undefined {
  return or(eq(keys.hash, hash), eq(keys.previousHash, hash))
}

function view(account: Account): LimitView {
  const { limit, credited } = account
  const { weekStart, timezone } = limit
  return { ...balance(account), amount: limit.amount, timezone, weekStart, credited }
}

function conditions({ status, tag, q, isEver }: KeyFilter, at: number): (SQL | undefined)[] {
  const live = or(isNull(keys.expiresAt), gt(keys.expiresAt, at))
  return [
    isEver ? undefined : isNull(keys.deletedAt),
    status === 'disabled' ? eq(keys.enabled, false) : undefined,
    status === 'expired' ? and(eq(keys.enabled, true), lte(keys.expiresAt, at)) : undefined,
    status === 'active' ? and(eq(keys.enabled, true), live) : undefined,
    tag === undefined
      ? undefined
      : sql`EXISTS (SELECT 1 FROM json_each(${keys.tags}) WHERE value = ${tag})`,
    q === undefined ? undefined : or(contains(keys.name, q), eq(keys.id, q)),
  ]
}

function contains(column: typeof keys.name, text: string): SQL {
  // To LIKE a text ends with U+0000, and the empty one is a part of every name.
  if (text.includes('\0')) return sql`0`
  return sql`${column} LIKE ${`%${text.replace(/[\\%_]/g, '\\$&')}%`} ESCAPE '\\'`
}
