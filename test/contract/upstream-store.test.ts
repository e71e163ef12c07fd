/** What every store of upstreams must keep to, whatever the engine. The names are the promises. */
import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import type { Price } from '../../src/domain/upstream/price.ts'
import type { NewUpstream, Upstream } from '../../src/domain/upstream.ts'
import { defaultSettings } from '../../src/domain/upstream.ts'
import { createSealer, type Sealer } from '../../src/lib/seal.ts'
import { SHARED_ENGINES, testDatabase } from '../support/database.ts'
import { ENGINES, openTestStore, SEALER, type TestStore } from '../support/store.ts'

const CANARY = 'sk-canary-7fQ2'

const newUpstream = (fields: Partial<NewUpstream> = {}): NewUpstream => ({
  name: 'openai',
  baseUrl: new URL('https://api.openai.com/v1'),
  mount: '/v1',
  enabled: true,
  secret: CANARY,
  settings: defaultSettings({ in: 'header', name: 'authorization', template: 'Bearer {secret}' }),
  prices: [],
  ...fields,
})

const PRICE: Price = { model: 'gpt-*', input: 2_500_000, cachedInput: 250_000, output: 10_000_000 }

async function create(
  store: TestStore,
  fields: Partial<NewUpstream> = {},
  at = 1,
): Promise<Upstream> {
  const made = await store.upstreams.create(newUpstream(fields), at)
  if (typeof made === 'string') throw new Error(made)
  return made
}

function sealedWith(...keys: Buffer[]): Sealer {
  return createSealer({ all: () => keys, create: () => randomBytes(32) })
}

async function listIds(store: TestStore): Promise<(number | undefined)[]> {
  return (await store.upstreams.list()).map(({ prices }) => prices?.id)
}

/** Of an upstream: where several processes serve a store, its changes have numbers. */
function numbered(engine: (typeof ENGINES)[number]) {
  return engine === 'PostgreSQL' ? expect.any(Number) : null
}

describe.each(ENGINES)('the store of upstreams on %s', (engine) => {
  const open = () => openTestStore(engine)

  test('an upstream is read as it was written, its secret included', async () => {
    const store = await open()
    const wanted = newUpstream({
      prices: [PRICE],
      settings: {
        ...defaultSettings({ in: 'query', name: 'key', template: 'a {secret}' }),
        headers: { 'x-org': 'a' },
        methods: ['GET'],
        paths: ['/chat/**'],
        costs: [{ path: '/images', requests: 10 }],
        modelAliases: { fast: 'gpt-5-mini' },
        websocketMs: 60_000,
      },
    })
    const made = await store.upstreams.create(wanted, 7)
    const { prices, ...rest } = wanted
    expect(made).toEqual({
      ...rest,
      prices: { id: expect.any(Number), prices },
      revision: numbered(engine),
      createdAt: 7,
      updatedAt: 7,
    })
    expect(await store.upstreams.list()).toEqual([made as Upstream])
  })

  test('all are listed by name', async () => {
    const store = await open()
    for (const name of ['b', 'a', 'c']) await create(store, { name, mount: null })
    expect((await store.upstreams.list()).map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  test('a name or a mount is never taken twice', async () => {
    const store = await open()
    await create(store)
    expect(await store.upstreams.create(newUpstream({ mount: '/v2' }), 2)).toBe('name_taken')
    expect(await store.upstreams.create(newUpstream({ name: 'other' }), 2)).toBe('mount_taken')
    await create(store, { name: 'other', mount: '/v2' })
    expect(await store.upstreams.update('other', { mount: '/v1', enabled: false }, 3)).toBe(
      'mount_taken',
    )
    expect((await store.upstreams.list()).map(({ enabled }) => enabled)).toEqual([true, true])
    // Its own mount, and none at all, are nobody else's.
    await create(store, { name: 'third', mount: null })
    expect(await store.upstreams.update('third', { mount: null }, 3)).toMatchObject({
      name: 'third',
    })
    expect(await store.upstreams.update('other', { mount: '/v2' }, 3)).toMatchObject({
      mount: '/v2',
    })
  })

  test('a change changes what is given and nothing else', async () => {
    const store = await open()
    const before = await create(store, { prices: [PRICE] })
    expect(await store.upstreams.update('openai', { enabled: false }, 9)).toEqual({
      ...before,
      enabled: false,
      revision: numbered(engine),
      updatedAt: 9,
    })
    const baseUrl = new URL('https://example.com')
    const changes = { baseUrl, secret: 'other', mount: null }
    expect(await store.upstreams.update('openai', changes, 10)).toEqual({
      ...before,
      ...changes,
      enabled: false,
      revision: numbered(engine),
      updatedAt: 10,
    })
    expect(await store.upstreams.update('openai', { secret: null }, 11)).toMatchObject({
      secret: null,
    })
    expect(await store.upstreams.update('nobody', { enabled: true }, 9)).toBeNull()
  })

  test('a removed upstream is gone, and its name and mount are free', async () => {
    const store = await open()
    await create(store)
    expect(await store.upstreams.remove('openai')).toBe(true)
    expect(await store.upstreams.remove('openai')).toBe(false)
    expect(await store.upstreams.list()).toEqual([])
    expect(await store.upstreams.update('openai', { enabled: true }, 2)).toBeNull()
    await create(store)
  })

  test('changed prices are a new list, and unchanged ones are not', async () => {
    const store = await open()
    expect((await create(store)).prices).toBeNull()
    await store.upstreams.update('openai', { prices: [] }, 2)
    expect(await listIds(store)).toEqual([undefined])

    await store.upstreams.update('openai', { prices: [PRICE] }, 3)
    const [first] = await listIds(store)
    await store.upstreams.update('openai', { prices: [{ ...PRICE }], enabled: false }, 4)
    expect(await listIds(store)).toEqual([first])

    await store.upstreams.update('openai', { prices: [{ ...PRICE, output: 1 }] }, 5)
    await store.upstreams.update('openai', { prices: [PRICE] }, 6)
    expect((await listIds(store))[0]).toBe((first ?? 0) + 2)
    await store.upstreams.update('openai', { prices: [] }, 7)
    expect((await store.upstreams.list())[0]?.prices?.prices).toEqual([])
  })

  test('the prices of a removed upstream are not those of a new one of its name', async () => {
    const store = await open()
    await create(store, { prices: [PRICE] })
    await store.upstreams.remove('openai')
    expect((await create(store)).prices?.prices ?? []).toEqual([])
  })

  test('sealing anew keeps every secret', async () => {
    const store = await open()
    await create(store)
    await create(store, { name: 'local', mount: null, secret: null })
    expect(await store.upstreams.reseal({ forgetLost: false })).toEqual({
      sealed: 1,
      forgotten: [],
    })
    expect((await store.upstreams.list()).map(({ secret }) => secret)).toEqual([null, CANARY])
  })
})

test('on PostgreSQL every change of an upstream has a higher number than all before, and what changes nothing has none', async () => {
  const store = await openTestStore('PostgreSQL')
  const latest = async () => {
    const rows = await testDatabase(store).all<{ n: number }>(
      'SELECT upstreams_revision::int AS n FROM installation',
    )
    return rows[0]?.n ?? 0
  }
  let before = await latest()
  const isNext = async (revision: number | null | undefined) => {
    expect(revision).toBeGreaterThan(before)
    expect(await latest()).toBe(revision ?? 0)
    before = revision ?? 0
  }
  await isNext((await create(store)).revision)
  await isNext((await create(store, { name: 'other', mount: null })).revision)
  const updated = await store.upstreams.update('openai', { prices: [PRICE] }, 2)
  await isNext((updated as Upstream).revision)
  expect(await store.upstreams.create(newUpstream(), 2)).toBe('name_taken')
  expect(await store.upstreams.update('other', { mount: '/v1' }, 2)).toBe('mount_taken')
  expect(await store.upstreams.remove('nobody')).toBe(false)
  await store.upstreams.reseal({ forgetLost: true })
  expect(await latest()).toBe(before)
  await store.upstreams.remove('openai')
  await isNext(before + 1)
})

describe.each(SHARED_ENGINES)('secrets in the database of %s', (engine) => {
  const open = (sealer: Sealer, path?: string, isResealing = false) =>
    openTestStore(engine, { sealer, isResealing, ...(path && { path }) })

  test('stand there sealed: nothing of the database holds one', async () => {
    const store = await open(SEALER)
    await create(store)
    await store.upstreams.update('openai', { secret: `${CANARY}-new` }, 2)
    const database = testDatabase(store)
    expect(await database.keeps('api.openai.com')).toBe(true)
    expect(await database.keeps(CANARY)).toBe(false)
  })

  test('are not opened in another row, with a changed byte or with another key', async () => {
    const key = randomBytes(32)
    const store = await open(sealedWith(key))
    const { path } = store
    await create(store, { name: 'a', mount: null, secret: 'secret of a' })
    await create(store, { name: 'b', mount: null, secret: 'secret of b' })
    await store.close()
    await change(path, (sealed) => sealed.toReversed())
    const swapped = await open(sealedWith(key), path)
    await expect(swapped.upstreams.list()).rejects.toThrow(
      /^The credential of the upstream "a" cannot be opened/,
    )
    await expect(swapped.upstreams.reseal({ forgetLost: false })).rejects.toThrow()
    await swapped.close()
    await change(path, (sealed) => sealed.toReversed())

    const stranger = open(sealedWith(randomBytes(32)), path)
    const listed = stranger.then((store) => store.upstreams.list())
    await expect(listed).rejects.toThrow(/Put that key back|another secret key/)
    await stranger.then((store) => store.close()).catch(() => {})
    const again = await open(sealedWith(key), path)
    expect((await again.upstreams.list()).map(({ secret }) => secret)).toEqual([
      'secret of a',
      'secret of b',
    ])
  })

  test('are sealed anew all together or not at all', async () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)]
    const store = await open(sealedWith(old))
    const { path } = store
    for (const name of ['a', 'b', 'c']) await create(store, { name, mount: null })
    await store.close()
    const database = testDatabase({ path })
    const { make, drop } = database.isPostgres ? POSTGRES_TRIGGER : SQLITE_TRIGGER
    await database.run(make)
    const failing = await open(sealedWith(fresh, old), path)
    await expect(failing.upstreams.reseal({ forgetLost: false })).rejects.toThrow('full')
    await failing.close()
    const unchanged = await open(sealedWith(old), path)
    expect(await unchanged.upstreams.list()).toHaveLength(3)
    await unchanged.close()

    await database.run(drop)
    const rotated = await open(sealedWith(fresh, old), path)
    expect(await rotated.upstreams.reseal({ forgetLost: false })).toEqual({
      sealed: 3,
      forgotten: [],
    })
    await rotated.close()
    const after = await open(sealedWith(fresh), path)
    expect((await after.upstreams.list()).map(({ secret }) => secret)).toEqual([
      CANARY,
      CANARY,
      CANARY,
    ])
  })

  test('that are lost are forgotten only when that is asked for, and nothing else is', async () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)]
    const store = await open(sealedWith(old))
    const { path } = store
    await create(store, { name: 'lost', mount: null })
    await store.close()
    const next = await open(sealedWith(fresh), path, true)
    await create(next, { name: 'kept', mount: null })
    await expect(next.upstreams.reseal({ forgetLost: false })).rejects.toThrow()
    expect(await next.upstreams.reseal({ forgetLost: true })).toEqual({
      sealed: 1,
      forgotten: ['lost'],
    })
    await next.close()
    const after = await open(sealedWith(fresh), path)
    expect(await after.upstreams.list()).toMatchObject([
      { name: 'kept', secret: CANARY },
      { name: 'lost', secret: null, settings: { credential: { name: 'authorization' } } },
    ])
  })
})

/** Fails to write the row of the upstream `c`. */
const SQLITE_TRIGGER = {
  make: `CREATE TRIGGER full_disk BEFORE UPDATE ON upstreams WHEN old.name = 'c' BEGIN SELECT RAISE(ABORT, 'full'); END`,
  drop: 'DROP TRIGGER full_disk',
}
const POSTGRES_TRIGGER = {
  make: `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$;
    CREATE TRIGGER full_disk BEFORE UPDATE ON upstreams FOR EACH ROW WHEN (old.name = 'c') EXECUTE FUNCTION full_disk()`,
  drop: 'DROP TRIGGER full_disk ON upstreams',
}

/** Puts the sealed texts, in the order of their rows, where `order` says. */
async function change(path: string, order: (sealed: string[]) => string[]): Promise<void> {
  const database = testDatabase({ path })
  const rows = await database.all<{ id: number; credential: string }>(
    'SELECT id, credential FROM upstreams ORDER BY id',
  )
  const sealed = order(rows.map(({ credential }) => credential))
  for (const [i, { id }] of rows.entries())
    await database.run(`UPDATE upstreams SET credential = '${sealed[i]}' WHERE id = ${id}`)
}
