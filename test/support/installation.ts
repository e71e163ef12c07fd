/** A database with something of everything in it, and what any database holds, as SQL says it of itself. */
import { Database } from 'bun:sqlite'
import { NOT_METERED } from '../../src/domain/call.ts'
import { defaultSettings } from '../../src/domain/upstream.ts'
import type { Sealer } from '../../src/lib/seal.ts'
import type { Hold } from '../../src/quota/ledger.ts'
import { sql } from './postgres.ts'
import { addKey, type Engine, hold, openTestStore, type TestStore, tokens } from './store.ts'

export const CREDENTIAL = 'sk-canary-7fQ2'

const HOUR = 3_600_000

const ANYTHING = { z: 1.5e300, a: [null, { b: false }], ...JSON.parse('{"__proto__": 1}') }
/** It takes no NUL, and no half of a pair. */
const NOT_IN_POSTGRES = { 'a\0b': 'x\0y', half: '\ud83d' }

/** Its calls are of the hours before `at`. What is in flight at the end was left by a crash. */
export async function fillInstallation(
  engine: Engine,
  options: { path?: string; sealer?: Sealer },
  at: number,
): Promise<TestStore> {
  const store = await openTestStore(engine, options)
  await addUpstreams(store, at)
  const every = await addKey(
    store,
    [
      { amount: 1_000 },
      { amount: 1_000, window: 'minute' },
      { amount: 1_000, window: 'hour' },
      { amount: 1_000, window: 'day', timezone: 'Asia/Kolkata' },
      { amount: 900_000, unit: 'tokens', window: 'week', weekStart: 'sunday' },
      { amount: 900_000, unit: 'cost', window: 'month' },
    ],
    at - 9 * HOUR,
    {
      expiresAt: at + HOUR,
      concurrency: 7,
      reserveMax: { tokens: 500 },
      scope: {
        upstreams: ['openai'],
        methods: ['POST'],
        paths: null,
        ipAllow: ['10.0.0.0/8'],
        models: null,
      },
      tags: ['b', 'a', 'ü'],
      metadata: engine === 'PostgreSQL' ? ANYTHING : { ...ANYTHING, ...NOT_IN_POSTGRES },
    } as never,
  )
  const plain = await addKey(store, [{}], at - 8 * HOUR)
  await call(store, every, at)
  await changeKeys(store, { every, plain }, at)
  // In an hour that has such a sum, and in hours that have none.
  await hold(store, every, at - 2 * HOUR, tokens(3))
  await hold(store, plain, at - HOUR, tokens(0))
  await hold(store, every, at, tokens(40))
  await hold(store, every, at, tokens(2))
  await hold(store, plain, at + 30 * HOUR)
  return store
}

async function addUpstreams(store: TestStore, at: number): Promise<void> {
  const settings = defaultSettings({
    in: 'header',
    name: 'authorization',
    template: 'Bearer {secret}',
  })
  const made = { mount: '/v1', enabled: true, secret: CREDENTIAL, settings, prices: [] }
  await store.upstreams.create(
    { ...made, name: 'openai', baseUrl: new URL('https://a.example/v1') },
    at,
  )
  const bare = { ...made, name: 'bare', mount: null, enabled: false, secret: null }
  await store.upstreams.create({ ...bare, baseUrl: new URL('https://b.example') }, at)
  await store.upstreams.create({ ...bare, name: 'gone', baseUrl: new URL('https://c.example') }, at)
  const prices = [{ model: 'gpt-*', input: 2_500_000, cachedInput: 250_000, output: 10_000_000 }]
  for (const list of [prices, [], prices])
    await store.upstreams.update('openai', { prices: list }, at)
  await store.upstreams.update('gone', { prices }, at)
  await store.upstreams.remove('gone')
}

async function call(
  store: TestStore,
  key: { seq: number; id: string; hash: Buffer },
  at: number,
): Promise<void> {
  const settle = (held: Hold, fields: object) =>
    store.ledger.settle(held, {
      ...{
        outcome: 'answered',
        charged: held.claim.units,
        status: 200,
        latencyMs: 5,
        bytesIn: 10,
        bytesOut: 20,
      },
      ...fields,
    } as Parameters<typeof store.ledger.settle>[1])
  const metered = {
    ...NOT_METERED,
    model: 'gpt-5',
    input: 7,
    output: 9,
    cached: 1,
    reasoning: 2,
    priceListId: 1,
  }
  const parts = { images: 2, audioInput: 3 }
  for (let i = 0; i < 30; i++) {
    const held = await hold(store, key, at - 2 * HOUR + i * 61_000, {
      requests: 1,
      tokens: 20,
      cost: 100,
    })
    const charged = { requests: 1, tokens: 16, cost: 80 }
    if (i % 3 === 0)
      await settle(held, { charged, metered: { ...metered, parts }, object: `resp_${i}` })
    else if (i % 3 === 1)
      await settle(held, {
        outcome: 'upstream_error',
        status: null,
        charged: { requests: 0, tokens: 0, cost: 0 },
      })
    else
      await settle(held, { metered: { ...NOT_METERED, model: `modèle ${i % 2}`, estimated: true } })
  }
}

async function changeKeys(
  store: TestStore,
  { every, plain }: { every: { id: string }; plain: { id: string } },
  at: number,
): Promise<void> {
  await store.keys.credit(
    every.id,
    { limit: 'quota', amount: 50, reason: 'for good behaviour' },
    at,
  )
  await store.keys.reset(every.id, 2_000, at)
  await store.keys.credit(every.id, { limit: 'quota', amount: -5, reason: '' }, at)
  const hash = Buffer.alloc(32, plain.id)
  await store.keys.rotate(plain.id, { hash, hint: 'trial_Ab3d…x9Zk', previousUntil: at + HOUR }, at)
  const gone = await addKey(store, [{ amount: 0 }], at)
  await store.keys.remove(gone.id, at)
  // Numbers of limits and counters that are gone must not be given out again.
  const short = await addKey(store, [{ amount: 5 }, { amount: 6, window: 'day' }], at)
  await hold(store, short, at).then((held) => store.ledger.settle(held, {
    outcome: 'answered', charged: held.claim.units, status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3,
  })) // biome-ignore format: one call
  await store.keys.update(short.id, { limits: [] }, at)
}

type Dump = Readonly<Record<string, readonly object[]>>

const TABLES = [
  'keys', 'limits', 'counters', 'upstreams', 'price_lists', 'adjustments', 'charged_objects', 'usage_hourly', 'calls', 'holds',
] // biome-ignore format: one list

/** All rows of a database, without what only its engine needs. */
export async function dumpOf(url: string): Promise<Dump> {
  const dump: Record<string, object[]> = {}
  const read = url.startsWith('postgres:')
    ? (text: string) => sql<Record<string, unknown>>(url, text)
    : async (text: string) => readFile(url.replace(/^file:/, ''), text)
  for (const table of TABLES) {
    const rows = (await read(`SELECT * FROM ${table}`)).map(plain)
    dump[table] = rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  }
  return dump
}

export function readFile(path: string, text: string): Record<string, unknown>[] {
  const client = new Database(path, { readonly: true })
  try {
    return client.query<Record<string, unknown>, []>(text).all()
  } finally {
    client.close()
  }
}

const JSON_COLUMNS = [
  'reserve_max',
  'scope',
  'tags',
  'metadata',
  'settings',
  'prices',
  'usage_parts',
  'counters',
]
const ONLY_HERE = ['retired_seq', 'retired_at', 'unit_of_limit', 'held', 'revision_of_upstream']

function plain(row: Record<string, unknown>): Record<string, unknown> {
  const made: Record<string, unknown> = {}
  const isCounter = 'limit_id' in row
  const isUpstream = 'base_url' in row
  for (const [name, value] of Object.entries(row)) {
    if (
      ONLY_HERE.includes(name) ||
      (isCounter && name === 'unit') ||
      (isUpstream && name === 'revision')
    )
      continue
    // Sums have a number on SQLite alone.
    if (name === 'id' && 'hour' in row) continue
    if (JSON_COLUMNS.includes(name) && value !== null)
      made[name] = storable(typeof value === 'string' ? JSON.parse(value) : value)
    else if (value instanceof Uint8Array) made[name] = Buffer.from(value).toString('hex')
    else if (name === 'enabled' || name === 'estimated') made[name] = Number(value)
    else
      made[name] =
        typeof value === 'bigint' || /^-?\d+$/.test(String(value)) ? Number(value) : value
  }
  if (isCounter) made['retired'] = (row['retired_seq'] ?? row['retired_at'] ?? null) !== null
  return Object.fromEntries(Object.entries(made).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function storable(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map((one) => (/^\d+$/.test(String(one)) ? Number(one) : storable(one)))
  if (typeof value === 'string') return value.replaceAll('\0', '\ufffd').toWellFormed()
  if (value === null || typeof value !== 'object') return value
  const members = Object.entries(value).map(
    ([name, one]) => [name.replaceAll('\0', '\ufffd'), storable(one)] as const,
  )
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)))
}
