/**
 * The store of upstreams on PostgreSQL. Changes are made one after the other, and each has a number, by which replicas notice
 * it. Secrets are sealed before they get here, and bound to the row that they are in.
 */
import { isDeepStrictEqual } from 'node:util'
import { and, asc, desc, eq, isNotNull, ne, type SQL, sql } from 'drizzle-orm'
import type { Price } from '../../../domain/upstream/price.ts'
import type {
  PriceList,
  Upstream,
  UpstreamConflict,
  UpstreamStore,
} from '../../../domain/upstream.ts'
import type { Sealer } from '../../../lib/seal.ts'
import { createUpstreamSecrets, type UpstreamSecrets } from '../../upstream-secrets.ts'
import { installation, priceLists, upstreams } from '../schema.ts'
import type { Change, Read, Tx } from '../transact.ts'
import { isText } from '../values.ts'
import { resealKeyCheck } from './key-check.ts'

type Row = typeof upstreams.$inferSelect

type Own = { readonly change: Change; readonly secrets: UpstreamSecrets }

export function createUpstreamStore(change: Change, read: Read, sealer: Sealer): UpstreamStore {
  const own: Own = { change, secrets: createUpstreamSecrets(sealer) }
  return {
    list: () => read((tx) => records(tx, own.secrets)),
    create: creating(own),
    update: updating(own),
    remove: removing(own),
    reseal: resealing(own, sealer),
  }
}

function creating({ change, secrets }: Own): UpstreamStore['create'] {
  return ({ name, baseUrl, secret, prices, ...columns }, at) =>
    change(async (tx): Promise<Upstream | UpstreamConflict> => {
      const before = await lock(tx)
      if (await findRow(tx, name)) return 'name_taken'
      if (await isMountTaken(tx, columns.mount, name)) return 'mount_taken'
      await tx.insert(upstreams).values({
        ...{ name, baseUrl: baseUrl.href, credential: secrets.seal(name, secret) },
        ...{ ...columns, revision: await raise(tx, before), createdAt: at, updatedAt: at },
      })
      await setPrices(tx, name, prices, at)
      return must(await record(tx, name, secrets))
    })
}

function updating({ change, secrets }: Own): UpstreamStore['update'] {
  return (name, { baseUrl, secret, prices, ...columns }, at) =>
    change(async (tx): Promise<Upstream | UpstreamConflict | null> => {
      const before = await lock(tx)
      if (!(await findRow(tx, name))) return null
      if (await isMountTaken(tx, columns.mount ?? null, name)) return 'mount_taken'
      await tx
        .update(upstreams)
        .set({
          ...columns,
          ...(baseUrl && { baseUrl: baseUrl.href }),
          ...(secret !== undefined && { credential: secrets.seal(name, secret) }),
          ...{ revision: await raise(tx, before), updatedAt: at },
        })
        .where(eq(upstreams.name, name))
      if (prices) await setPrices(tx, name, prices, at)
      return must(await record(tx, name, secrets))
    })
}

function removing({ change }: Own): UpstreamStore['remove'] {
  return (name) =>
    change(async (tx) => {
      const before = await lock(tx)
      if (!(await findRow(tx, name))) return false
      await raise(tx, before)
      await tx.delete(upstreams).where(eq(upstreams.name, name))
      return true
    })
}

/** A secret that is sealed anew is the same secret; one that is forgotten is a change. */
function resealing({ change, secrets }: Own, sealer: Sealer): UpstreamStore['reseal'] {
  return ({ forgetLost }) =>
    change(async (tx) => {
      const before = await lock(tx)
      const rows = await tx.select().from(upstreams).where(isNotNull(upstreams.credential))
      const lost = forgetLost ? rows.filter((row) => secrets.isLost(row)) : []
      const revision = lost.length > 0 ? await raise(tx, before) : before
      for (const row of rows) {
        const { name } = row
        const values = lost.includes(row)
          ? { credential: null, revision }
          : { credential: secrets.seal(name, secrets.open(row)) }
        await tx.update(upstreams).set(values).where(eq(upstreams.name, name))
      }
      await resealKeyCheck(tx, sealer, forgetLost)
      return { sealed: rows.length - lost.length, forgotten: lost.map(({ name }) => name) }
    })
}

/** Until the transaction ends nobody else changes an upstream. Returns the number of the latest change. */
async function lock(tx: Tx): Promise<number> {
  await tx.insert(installation).values({ id: 1 }).onConflictDoNothing()
  const [row] = await tx.select().from(installation).for('update')
  if (!row) throw new Error('the row of the installation is missing')
  return row.upstreamsRevision
}

async function raise(tx: Tx, before: number): Promise<number> {
  await tx.update(installation).set({ upstreamsRevision: before + 1 })
  return before + 1
}

/** By name, whatever the locale of the database. */
async function records(tx: Tx, secrets: UpstreamSecrets, which?: SQL): Promise<Upstream[]> {
  const newest = tx
    .select({ id: priceLists.id, prices: priceLists.prices })
    .from(priceLists)
    .where(eq(priceLists.upstream, upstreams.name))
    .orderBy(desc(priceLists.id))
    .limit(1)
    .as('newest')
  const rows = await tx
    .select({ row: upstreams, prices: { id: newest.id, prices: newest.prices } })
    .from(upstreams)
    .leftJoinLateral(newest, sql`true`)
    .where(which)
    .orderBy(asc(sql`${upstreams.name} COLLATE "C"`))
  return rows.map(({ row, prices }) => upstreamOf(row, prices, secrets))
}

async function record(
  tx: Tx,
  name: string,
  secrets: UpstreamSecrets,
): Promise<Upstream | undefined> {
  return (await records(tx, secrets, eq(upstreams.name, name)))[0]
}

function upstreamOf(row: Row, prices: PriceList | null, secrets: UpstreamSecrets): Upstream {
  const { name, baseUrl, mount, enabled, settings, revision, createdAt, updatedAt } = row
  return {
    ...{ name, mount, enabled, settings, prices, revision, createdAt, updatedAt },
    baseUrl: new URL(baseUrl),
    secret: secrets.open(row),
  }
}

function must(upstream: Upstream | undefined): Upstream {
  if (!upstream) throw new Error('an upstream that was written is not there')
  return upstream
}

async function findRow(tx: Tx, name: string): Promise<Row | undefined> {
  return (await tx.select().from(upstreams).where(isText(upstreams.name, name)))[0]
}

async function isMountTaken(tx: Tx, mount: string | null, name: string): Promise<boolean> {
  if (mount === null) return false
  const others = and(eq(upstreams.mount, mount), ne(upstreams.name, name))
  return (await tx.select().from(upstreams).where(others)).length > 0
}

/**
 * A list that says what the newest says already is not written again. One of an upstream that was deleted is never in
 * force for a new one of its name, unless it says the same.
 */
async function setPrices(
  tx: Tx,
  name: string,
  prices: readonly Price[],
  at: number,
): Promise<void> {
  const lists = tx.select().from(priceLists).where(eq(priceLists.upstream, name))
  const [newest] = await lists.orderBy(desc(priceLists.id)).limit(1)
  if (isDeepStrictEqual(newest?.prices ?? [], prices)) return
  await tx.insert(priceLists).values({ upstream: name, at, prices: [...prices] })
}
