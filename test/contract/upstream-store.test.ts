/** What every store of upstreams must keep to, whatever the engine. The names are the promises. */
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { NewUpstream, Price, Upstream } from '../../src/domain/upstream.ts'
import { defaultSettings } from '../../src/domain/upstream.ts'
import { createSealer, type Sealer } from '../../src/lib/seal.ts'
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

function create(store: TestStore, fields: Partial<NewUpstream> = {}, at = 1): Upstream {
  const made = store.upstreams.create(newUpstream(fields), at)
  if (typeof made === 'string') throw new Error(made)
  return made
}

function sealedWith(...keys: Buffer[]): Sealer {
  return createSealer({ all: () => keys, create: () => randomBytes(32) })
}

function listIds(store: TestStore): (number | undefined)[] {
  return store.upstreams.list().map(({ prices }) => prices?.id)
}

describe.each(ENGINES)('the store of upstreams on %s', (engine) => {
  const open = () => openTestStore(engine)

  test('an upstream is read as it was written, its secret included', () => {
    const store = open()
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
    const made = store.upstreams.create(wanted, 7)
    const { prices, ...rest } = wanted
    expect(made).toEqual({
      ...rest,
      prices: { id: expect.any(Number), prices },
      createdAt: 7,
      updatedAt: 7,
    })
    expect(store.upstreams.list()).toEqual([made as Upstream])
  })

  test('all are listed by name', () => {
    const store = open()
    for (const name of ['b', 'a', 'c']) create(store, { name, mount: null })
    expect(store.upstreams.list().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  test('a name or a mount is never taken twice', () => {
    const store = open()
    create(store)
    expect(store.upstreams.create(newUpstream({ mount: '/v2' }), 2)).toBe('name_taken')
    expect(store.upstreams.create(newUpstream({ name: 'other' }), 2)).toBe('mount_taken')
    create(store, { name: 'other', mount: '/v2' })
    expect(store.upstreams.update('other', { mount: '/v1', enabled: false }, 3)).toBe('mount_taken')
    expect(store.upstreams.list().map(({ enabled }) => enabled)).toEqual([true, true])
    // Its own mount, and none at all, are nobody else's.
    create(store, { name: 'third', mount: null })
    expect(store.upstreams.update('third', { mount: null }, 3)).toMatchObject({ name: 'third' })
    expect(store.upstreams.update('other', { mount: '/v2' }, 3)).toMatchObject({ mount: '/v2' })
  })

  test('a change changes what is given and nothing else', () => {
    const store = open()
    const before = create(store, { prices: [PRICE] })
    expect(store.upstreams.update('openai', { enabled: false }, 9)).toEqual({
      ...before,
      enabled: false,
      updatedAt: 9,
    })
    const baseUrl = new URL('https://example.com')
    const changes = { baseUrl, secret: 'other', mount: null }
    expect(store.upstreams.update('openai', changes, 10)).toEqual({
      ...before,
      ...changes,
      enabled: false,
      updatedAt: 10,
    })
    expect(store.upstreams.update('openai', { secret: null }, 11)).toMatchObject({ secret: null })
    expect(store.upstreams.update('nobody', { enabled: true }, 9)).toBeNull()
  })

  test('a removed upstream is gone, and its name and mount are free', () => {
    const store = open()
    create(store)
    expect(store.upstreams.remove('openai')).toBe(true)
    expect(store.upstreams.remove('openai')).toBe(false)
    expect(store.upstreams.list()).toEqual([])
    expect(store.upstreams.update('openai', { enabled: true }, 2)).toBeNull()
    create(store)
  })

  test('changed prices are a new list, and unchanged ones are not', () => {
    const store = open()
    expect(create(store).prices).toBeNull()
    store.upstreams.update('openai', { prices: [] }, 2)
    expect(listIds(store)).toEqual([undefined])

    store.upstreams.update('openai', { prices: [PRICE] }, 3)
    const [first] = listIds(store)
    store.upstreams.update('openai', { prices: [{ ...PRICE }], enabled: false }, 4)
    expect(listIds(store)).toEqual([first])

    store.upstreams.update('openai', { prices: [{ ...PRICE, output: 1 }] }, 5)
    store.upstreams.update('openai', { prices: [PRICE] }, 6)
    expect(listIds(store)[0]).toBe((first ?? 0) + 2)
    store.upstreams.update('openai', { prices: [] }, 7)
    expect(store.upstreams.list()[0]?.prices?.prices).toEqual([])
  })

  test('the prices of a removed upstream are not those of a new one of its name', () => {
    const store = open()
    create(store, { prices: [PRICE] })
    store.upstreams.remove('openai')
    expect(create(store).prices?.prices ?? []).toEqual([])
  })

  test('sealing anew keeps every secret', () => {
    const store = open()
    create(store)
    create(store, { name: 'local', mount: null, secret: null })
    expect(store.upstreams.reseal({ forgetLost: false })).toEqual({ sealed: 1, forgotten: [] })
    expect(store.upstreams.list().map(({ secret }) => secret)).toEqual([null, CANARY])
  })
})

describe('secrets in the file', () => {
  const open = (sealer: Sealer, path?: string) =>
    openTestStore('SQLite in a file', { sealer, ...(path && { path }) })

  test('stand there sealed: no file beside the database holds one', () => {
    const store = open(SEALER)
    create(store)
    store.upstreams.update('openai', { secret: `${CANARY}-new` }, 2)
    const directory = dirname(store.path)
    for (const name of readdirSync(directory))
      expect(readFileSync(join(directory, name)).includes(CANARY)).toBe(false)
  })

  test('are not opened in another row, with a changed byte or with another key', () => {
    const key = randomBytes(32)
    const store = open(sealedWith(key))
    create(store, { name: 'a', mount: null, secret: 'secret of a' })
    create(store, { name: 'b', mount: null, secret: 'secret of b' })
    store.close()
    change(store.path, (sealed) => sealed.toReversed())
    const swapped = open(sealedWith(key), store.path)
    expect(() => swapped.upstreams.list()).toThrow(
      /^The credential of the upstream "a" cannot be opened/,
    )
    expect(() => swapped.upstreams.reseal({ forgetLost: false })).toThrow()
    swapped.close()
    change(store.path, (sealed) => sealed.toReversed())

    const stranger = open(sealedWith(randomBytes(32)), store.path)
    expect(() => stranger.upstreams.list()).toThrow(/Put that key back/)
    stranger.close()
    const again = open(sealedWith(key), store.path)
    expect(again.upstreams.list().map(({ secret }) => secret)).toEqual([
      'secret of a',
      'secret of b',
    ])
  })

  test('are sealed anew all together or not at all', () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)]
    const store = open(sealedWith(old))
    for (const name of ['a', 'b', 'c']) create(store, { name, mount: null })
    store.close()
    const client = new Database(store.path)
    client.run(
      `CREATE TRIGGER full BEFORE UPDATE ON upstreams WHEN old.name = 'c' BEGIN SELECT RAISE(ABORT, 'full'); END`,
    )
    client.close()
    const failing = open(sealedWith(fresh, old), store.path)
    expect(() => failing.upstreams.reseal({ forgetLost: false })).toThrow('full')
    failing.close()
    const unchanged = open(sealedWith(old), store.path)
    expect(unchanged.upstreams.list()).toHaveLength(3)
    unchanged.close()

    const mended = new Database(store.path)
    mended.run('DROP TRIGGER full')
    mended.close()
    const rotated = open(sealedWith(fresh, old), store.path)
    expect(rotated.upstreams.reseal({ forgetLost: false })).toEqual({ sealed: 3, forgotten: [] })
    rotated.close()
    const after = open(sealedWith(fresh), store.path)
    expect(after.upstreams.list().map(({ secret }) => secret)).toEqual([CANARY, CANARY, CANARY])
  })

  test('that are lost are forgotten only when that is asked for, and nothing else is', () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)]
    const store = open(sealedWith(old))
    create(store, { name: 'lost', mount: null })
    store.close()
    const next = open(sealedWith(fresh), store.path)
    create(next, { name: 'kept', mount: null })
    expect(next.upstreams.reseal({ forgetLost: true })).toEqual({ sealed: 1, forgotten: ['lost'] })
    expect(next.upstreams.list()).toMatchObject([
      { name: 'kept', secret: CANARY },
      { name: 'lost', secret: null, settings: { credential: { name: 'authorization' } } },
    ])
  })
})

/** Puts the sealed texts, in the order of their rows, where `order` says. */
function change(path: string, order: (sealed: string[]) => string[]): void {
  const client = new Database(path)
  const rows = client
    .query<{ id: number; credential: string }, []>(
      'SELECT id, credential FROM upstreams ORDER BY id',
    )
    .all()
  const sealed = order(rows.map(({ credential }) => credential))
  for (const [i, { id }] of rows.entries())
    client.run('UPDATE upstreams SET credential = ? WHERE id = ?', [sealed[i] ?? '', id])
  client.close()
}
