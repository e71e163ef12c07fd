/** An empty store for one test, on each kind of database, and what a test needs to ask of it. */
import { afterAll } from 'bun:test'
import { join } from 'node:path'
import { openStore } from '../../src/db/open.ts'
import type { Retention, Store } from '../../src/db/store.ts'
import { MAIN_LIMIT, type NamedLimit, type NewKey } from '../../src/domain/key.ts'
import { NO_UNITS, type Units } from '../../src/domain/limit.ts'
import type { SteadyClock } from '../../src/lib/clock.ts'
import { createSealer, type Sealer } from '../../src/lib/seal.ts'
import type { Claim, Hold, Reservation } from '../../src/quota/ledger.ts'
import { newInstallation } from './postgres.ts'
import { temporaryDirectory } from './server.ts'

/** What every contract must hold on. */
export const ENGINES = ['SQLite in a file', 'SQLite in memory', 'PostgreSQL'] as const
/** What is asked is also answered by a thread. */
export const READ_ENGINES = [...ENGINES, 'SQLite in a file, read by a thread'] as const
export type Engine = (typeof READ_ENGINES)[number]

const stores = new Set<Store>()

const readers = new Set<() => Promise<void>>()

afterAll(async () => {
  await Promise.all([...readers].map((stop) => stop()))
  readers.clear()
  for (const store of stores) await store.close()
  stores.clear()
})

export type TestStore = Store & {
  /** The file that it is in, `:memory:`, or the URL of the database. */
  readonly path: string
  /** What the ledger has reported, oldest first. */
  readonly events: readonly string[]
}

/** The same key for all, so that a database can be opened again. */
export const SEALER = createSealer({
  all: () => [Buffer.alloc(32, 'a key of tests')],
  create: () => Buffer.alloc(32),
})

export async function openTestStore(
  engine: Engine,
  {
    path: given,
    retention = {},
    sealer = SEALER,
    clock,
    replica = 'the replica of tests',
    isResealing = false,
  }: {
    path?: string
    retention?: Partial<Retention>
    sealer?: Sealer
    clock?: SteadyClock
    replica?: string
    isResealing?: boolean
  } = {},
): Promise<TestStore> {
  const events: string[] = []
  const path = given ?? (await newPath(engine))
  const store = await openStore(
    {
      url: /^(?::memory:|postgres:)/.test(path) ? path : `file:${path}`,
      replica,
      durability: 'normal',
      retention: () => ({ callsDays: 90, callsMax: 1_000_000, usageDays: 400, ...retention }),
      events: {
        onFailure: () => events.push('failure'),
        onRecovery: () => events.push('recovery'),
        onRejected: () => events.push('rejected'),
      },
      sealer,
      isResealing,
      ...(clock && { clock }),
    },
    0,
  )
  stores.add(store)
  if (engine === 'SQLite in a file, read by a thread') readers.add(store.startReader())
  const { close } = store
  return Object.assign(store, {
    path,
    events,
    async close() {
      if (stores.delete(store)) await close()
    },
  })
}

function newPath(engine: Engine): Promise<string> | string {
  if (engine === 'PostgreSQL') return newInstallation()
  return engine === 'SQLite in memory' ? ':memory:' : join(temporaryDirectory(), 'quota.db')
}

let keys = 0

/** The first limit is the main one, for requests; what is not given is a lifetime in UTC. */
export async function addKey(
  store: Store,
  limits: readonly Partial<NamedLimit>[],
  at = 0,
  fields: Partial<NewKey> = {},
): Promise<TestKey> {
  const id = `key_${++keys}`
  const hash = Buffer.from(new Bun.CryptoHasher('sha256').update(id).digest())
  const key = {
    id,
    hash,
    name: id,
    hint: '',
    enabled: true,
    expiresAt: null,
    concurrency: null,
    reserveMax: null,
    scope: null,
    tags: [],
    metadata: {},
  }
  const record = await store.keys.create({ ...key, limits: limits.map(limitOf), ...fields }, at)
  if (!record) throw new Error('the key is there already')
  return { seq: record.seq, id, hash }
}

export function limitOf(limit: Partial<NamedLimit>, index = 0): NamedLimit {
  return {
    name: index === 0 ? MAIN_LIMIT : `limit-${index}`,
    unit: 'requests',
    amount: null,
    window: 'lifetime',
    timezone: 'UTC',
    weekStart: 'monday',
    ...limit,
  }
}

export const ONE: Units = { ...NO_UNITS, requests: 1 }

/** One request that is estimated to take so many tokens. */
export function tokens(n: number): Units {
  return { ...ONE, tokens: n }
}

/** A key as a test has made it: it is read anew for each claim. */
export type TestKey = { readonly seq: number; readonly id: string; readonly hash: Buffer }

/** Asks as the data path does that has just read the key; or as one that has read it before, if that is given. */
export async function ask(
  store: Store,
  key: TestKey | Claim['key'],
  at: number,
  units = ONE,
): Promise<Reservation> {
  const known = 'revision' in key ? key : await current(store, key)
  return store.ledger.reserve({ key: known, at, upstream: '', requestId: 'req_1', units })
}

/** What a claim says of a key that has just been read. */
export async function current(store: Store, { seq, hash }: TestKey): Promise<Claim['key']> {
  return (await store.find(hash)) ?? { seq, revision: 0 }
}

export async function hold(
  store: Store,
  key: TestKey | Claim['key'],
  at: number,
  units = ONE,
): Promise<Hold> {
  const reservation = await ask(store, key, at, units)
  if (!reservation.ok) throw new Error(`refused: ${codeOfAnswer(reservation)}`)
  return reservation.hold
}

/** Ends a call; what was reserved is charged unless something else is given. */
export function end(store: Store, ended: Hold, charged = ended.claim.units) {
  const rest = { status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 }
  return store.ledger.settle(ended, { outcome: 'answered', charged, ...rest })
}

/** The code of a refusal, or `granted`, or `changed`. */
export async function codeOf(reservation: Promise<Reservation>): Promise<string> {
  return codeOfAnswer(await reservation)
}

export function codeOfAnswer(answer: Reservation): string {
  if (answer.ok) return 'granted'
  return answer.changed ? 'changed' : answer.refusal.code
}

/** What the limits of a key have used at an instant, in their order. */
export async function used(store: Store, key: { id: string }, at: number): Promise<number[]> {
  return ((await store.keys.find({ id: key.id }, at))?.limits ?? []).map((limit) => limit.used)
}
