/** Keys, as they are shown: each with its limits, and what these have granted at an instant. A page takes four questions. */
import { and, desc, eq, getTableColumns, gt, isNull, lt, lte, or, type SQL, sql } from 'drizzle-orm'
import type { KeyFilter, KeyPage, KeyRecord, KeyRef, LimitView, Page } from '../../../domain/key.ts'
import { type Account, balance } from '../../../quota/account.ts'
import { readAccounts } from '../ledger/accounts.ts'
import { calls } from '../ledger/schema.ts'
import { keys } from '../schema.ts'
import type { Tx } from '../transact.ts'
import { contains, holdsText, isText } from '../values.ts'

export async function findKey(tx: Tx, ref: KeyRef, at: number): Promise<KeyRecord | null> {
  const which = 'id' in ref ? isText(keys.id, ref.id) : hasHash(ref.hash)
  const [record] = await records(tx, [which, isNull(keys.deletedAt)], 1, at)
  return record ?? null
}

export async function findKeyEver(tx: Tx, id: string, at: number): Promise<KeyRecord | null> {
  const [record] = await records(tx, [isText(keys.id, id)], 1, at)
  return record ?? null
}

export async function listKeys(
  tx: Tx,
  filter: KeyFilter,
  { limit, before }: Page,
  at: number,
): Promise<KeyPage> {
  const isOlder = before === undefined ? undefined : lt(keys.seq, before)
  const found = await records(tx, [isOlder, ...conditions(filter, at)], limit + 1, at)
  return { keys: found.slice(0, limit), more: found.length > limit }
}

/** A key is known by its present secret, and by the one before its latest rotation. */
export function hasHash(hash: Buffer): SQL | undefined {
  return or(eq(keys.hash, hash), eq(keys.previousHash, hash))
}

/** The newest first. */
async function records(
  tx: Tx,
  which: (SQL | undefined)[],
  max: number,
  at: number,
): Promise<KeyRecord[]> {
  const { hash: _, previousHash: __, ...columns } = getTableColumns(keys)
  const newest = tx
    .select({ at: calls.at })
    .from(calls)
    .where(eq(calls.keySeq, keys.seq))
    .orderBy(desc(calls.seq))
    .limit(1)
    .as('newest')
  const rows = await tx
    .select({ ...columns, lastUsedAt: newest.at })
    .from(keys)
    .leftJoinLateral(newest, sql`true`)
    .where(and(...which))
    .orderBy(desc(keys.seq))
    .limit(max)
  const seqs = rows.map(({ seq }) => seq)
  const { accounts } = await readAccounts(tx, seqs, at)
  return rows.map((row) => {
    const isOver = row.previousUntil !== null && row.previousUntil <= at
    const limits = (accounts.get(row.seq) ?? []).map(view)
    return { ...row, previousUntil: isOver ? null : row.previousUntil, limits }
  })
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
    tag === undefined ? undefined : holdsText(keys.tags, tag),
    q === undefined ? undefined : or(contains(keys.name, q), isText(keys.id, q)),
  ]
}
