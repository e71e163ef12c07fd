/** The store of upstreams on SQLite. Secrets are sealed before they get here, and bound to the row that they are in. */
import type { Database } from 'bun:sqlite'
import { isDeepStrictEqual } from 'node:util'
import { and, desc, eq, isNotNull, ne } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { Price } from '../../domain/upstream/price.ts'
import type { PriceList, Upstream, UpstreamConflict, UpstreamStore } from '../../domain/upstream.ts'
import type { Sealer } from '../../lib/seal.ts'
import { createUpstreamSecrets, type UpstreamSecrets } from '../upstream-secrets.ts'
import { priceLists, upstreams } from './schema.ts'
import { ask, type Change, type Check, createChange, type Tx } from './transact.ts'

type Row = typeof upstreams.$inferSelect

type Own = {
  readonly change: Change
  readonly secrets: UpstreamSecrets
}

export function createUpstreamStore(client: Database, sealer: Sealer, check: Check): UpstreamStore {
  const db = drizzle({ client })
  const own: Own = { change: createChange(client, check), secrets: createUpstreamSecrets(sealer) }
  return {
    list: () =>
      ask(() => {
        const rows = db.select().from(upstreams).orderBy(upstreams.name).all()
        return rows.map((row) => record(db, row, own.secrets))
      }),
    create: creating(own),
    update: updating(own),
    remove: (name) =>
      own.change((tx) => {
        const there = findRow(tx, name) !== undefined
        tx.delete(upstreams).where(eq(upstreams.name, name)).run()
        return there
      }),
    reseal: resealing(own),
  }
}

function creating({ change, secrets }: Own): UpstreamStore['create'] {
  return ({ name, baseUrl, secret, prices, ...columns }, at) =>
    change((tx) => {
      if (findRow(tx, name)) return 'name_taken'
      if (isMountTaken(tx, columns.mount, name)) return 'mount_taken'
      const row = tx
        .insert(upstreams)
        .values({
          ...{ name, baseUrl: baseUrl.href, credential: secrets.seal(name, secret) },
          ...{ ...columns, createdAt: at, updatedAt: at },
        })
        .returning()
        .get()
      setPrices(tx, name, prices, at)
      return record(tx, row, secrets)
    })
}

function updating({ change, secrets }: Own): UpstreamStore['update'] {
  return (name, { baseUrl, secret, prices, ...columns }, at) =>
    change((tx): Upstream | UpstreamConflict | null => {
      if (!findRow(tx, name)) return null
      if (isMountTaken(tx, columns.mount ?? null, name)) return 'mount_taken'
      const row = tx
        .update(upstreams)
        .set({
          ...columns,
          ...(baseUrl && { baseUrl: baseUrl.href }),
          ...(secret !== undefined && { credential: secrets.seal(name, secret) }),
          updatedAt: at,
        })
        .where(eq(upstreams.name, name))
        .returning()
        .get()
      if (prices) setPrices(tx, name, prices, at)
      return row ? record(tx, row, secrets) : null
    })
}

function resealing({ change, secrets }: Own): UpstreamStore['reseal'] {
  return ({ forgetLost }) =>
    change((tx) => {
      const rows = tx.select().from(upstreams).where(isNotNull(upstreams.credential)).all()
      const forgotten: string[] = []
      for (const row of rows) {
        const { name } = row
        const isLost = forgetLost && secrets.isLost(row)
        if (isLost) forgotten.push(name)
        const credential = isLost ? null : secrets.seal(name, secrets.open(row))
        tx.update(upstreams).set({ credential }).where(eq(upstreams.name, name)).run()
      }
      return { sealed: rows.length - forgotten.length, forgotten }
    })
}

function record(tx: Tx, row: Row, secrets: UpstreamSecrets): Upstream {
  const { name, baseUrl, mount, enabled, settings, createdAt, updatedAt } = row
  return {
    ...{ name, mount, enabled, settings, createdAt, updatedAt },
    baseUrl: new URL(baseUrl),
    secret: secrets.open(row),
    prices: pricesOf(tx, name),
    revision: null,
  }
}

function findRow(tx: Tx, name: string): Row | undefined {
  return tx.select().from(upstreams).where(eq(upstreams.name, name)).get()
}

function isMountTaken(tx: Tx, mount: string | null, name: string): boolean {
  if (mount === null) return false
  const others = and(eq(upstreams.mount, mount), ne(upstreams.name, name))
  return tx.select().from(upstreams).where(others).get() !== undefined
}

function pricesOf(tx: Tx, name: string): PriceList | null {
  const lists = tx.select().from(priceLists).where(eq(priceLists.upstream, name))
  const newest = lists.orderBy(desc(priceLists.id)).limit(1).get()
  return newest ? { id: newest.id, prices: newest.prices } : null
}

/**
 * A list that says what the newest says already is not written again. One of an upstream that was deleted is never in
 * force for a new one of its name, unless it says the same.
 */
function setPrices(tx: Tx, name: string, prices: readonly Price[], at: number): void {
  if (isDeepStrictEqual(pricesOf(tx, name)?.prices ?? [], prices)) return
  tx.insert(priceLists)
    .values({ upstream: name, at, prices: [...prices] })
    .run()
}
