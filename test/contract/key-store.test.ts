/** What every key store must keep to, whatever the engine. The names are the promises. */
import { describe, expect, test } from 'bun:test'
import type { KeyFilter, NamedLimit, Scope } from '../../src/domain/key.ts'
import {
  addKey,
  ask,
  codeOf,
  current,
  end,
  hold,
  limitOf,
  ONE,
  openTestStore,
  READ_ENGINES,
  type TestKey,
  type TestStore,
  used,
} from '../support/store.ts'

const DAY = 86_400_000
/** A Wednesday, 12:00 UTC. */
const NOON = Date.UTC(2026, 5, 10, 12)

describe.each(READ_ENGINES)('the key store on %s', (engine) => {
  const open = () => openTestStore(engine)

  test('a key is found by its id and by its hash, and by nothing else', async () => {
    const store = await open()
    const { id, hash, seq } = await addKey(store, [{ amount: 5 }], NOON, {
      name: 'Ada',
      tags: ['a'],
      metadata: { team: 1 },
    })
    const found = await store.keys.find({ id }, NOON)
    expect(found).toMatchObject({
      id,
      seq,
      name: 'Ada',
      tags: ['a'],
      metadata: { team: 1 },
      lastUsedAt: null,
      createdAt: NOON,
    })
    expect(found).not.toHaveProperty('hash')
    expect(await store.keys.find({ hash }, NOON)).toEqual(found)
    expect(await store.keys.find({ id: 'key_0' }, NOON)).toBeNull()
    expect(await store.keys.find({ hash: Buffer.alloc(32) }, NOON)).toBeNull()
    expect(await store.find(hash)).toMatchObject({ id, seq, enabled: true, expiresAt: null })
    expect(await store.find(Buffer.alloc(32))).toBeNull()
  })

  test('a hash is never taken twice', async () => {
    const store = await open()
    const { hash, id } = await addKey(store, [])
    const fields = { id: 'key_other', hash, name: '', hint: '', enabled: true, expiresAt: null }
    const again = {
      ...fields,
      concurrency: null,
      reserveMax: null,
      scope: null,
      tags: [],
      metadata: {},
      limits: [],
    }
    expect(await store.keys.create(again, 0)).toBeNull()
    expect((await store.keys.find({ hash }, 0))?.id).toBe(id)
  })

  test('a deleted key is never found again, by anyone, and cannot be changed', async () => {
    const store = await open()
    const { id, hash } = await addKey(store, [{ amount: 5 }])
    expect(await store.keys.remove(id, 1)).toBe(true)
    expect(await store.find(hash)).toBeNull()
    expect(await store.keys.find({ id }, 1)).toBeNull()
    expect(await store.keys.find({ hash }, 1)).toBeNull()
    expect(await list(store)).toEqual([])
    expect(await store.keys.remove(id, 1)).toBe(false)
    expect(await store.keys.update(id, { enabled: true }, 1)).toBeNull()
    expect(await store.keys.reset(id, 9, 1)).toBeNull()
    expect(await store.keys.credit(id, { limit: 'quota', amount: 1, reason: '' }, 1)).toBeNull()
  })

  test('a change changes what is given and nothing else', async () => {
    const store = await open()
    const { id } = await addKey(store, [{ amount: 5 }], 1, { name: 'a', tags: ['x'] })
    const before = await store.keys.find({ id }, 9)
    expect(await store.keys.update(id, { name: 'b' }, 9)).toEqual({
      ...before,
      name: 'b',
      updatedAt: 9,
      revision: 2,
    } as typeof before)
    expect(await store.keys.update(id, { tags: [], expiresAt: 20, concurrency: 3 }, 9)).toMatchObject({
      name: 'b', tags: [], expiresAt: 20, concurrency: 3, revision: 3,
    }) // biome-ignore format: one key
  })

  test('a restriction is kept whole, is seen by the next call, and can be lifted', async () => {
    const store = await open()
    const scope: Scope = {
      upstreams: ['a', 'b'],
      methods: [],
      paths: ['/"quoted"/**', '/名前'],
      models: ['*'],
      ipAllow: ['10.0.0.0/8', '::1'],
    }
    const { id, hash } = await addKey(store, [], 0, { scope })
    const kept = async () => [
      (await store.keys.find({ id }, 1))?.scope,
      (await store.find(hash))?.scope,
    ]
    expect(await kept()).toEqual([scope, scope])
    await store.keys.update(id, { name: 'b' }, 1)
    expect(await kept()).toEqual([scope, scope])
    await store.keys.update(id, { scope: { methods: ['GET'] } }, 1)
    expect(await kept()).toEqual([{ methods: ['GET'] }, { methods: ['GET'] }])
    await store.keys.update(id, { scope: null }, 1)
    expect(await kept()).toEqual([null, null])
    expect((await store.keys.find({ hash: (await addKey(store, [])).hash }, 1))?.scope).toBeNull()
  })

  test('the data path learns what a call may reserve, and which units are limited, with every change', async () => {
    const store = await open()
    const cost = limitOf({ unit: 'cost', amount: 0 }, 1)
    const { id, hash } = await addKey(store, [{ amount: 5 }], 0, { reserveMax: { tokens: 9 } })
    const known = async () => {
      const { reserveMax, limitedUnits } = (await store.find(hash)) ?? {}
      return [reserveMax, limitedUnits?.toSorted()]
    }
    expect(await known()).toEqual([{ tokens: 9 }, ['requests']])
    const unlimited = limitOf({ unit: 'tokens', amount: null }, 2)
    const limits = [limitOf({ amount: 5 }), cost, unlimited]
    const changed = await store.keys.update(id, { limits, reserveMax: { cost: 7 } }, 1)
    expect(changed).toMatchObject({ revision: 2, reserveMax: { cost: 7 } })
    expect(await known()).toEqual([{ cost: 7 }, ['cost', 'requests']])
    await store.keys.update(id, { limits: [limitOf({ amount: null })], reserveMax: null }, 1)
    expect(await known()).toEqual([null, []])
  })

  test('a new amount keeps what was used, and is in force at once', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 1 }])
    await end(store, await hold(store, key, NOON))
    const change = async (amount: number | null) => {
      const changed = await store.keys.update(key.id, { limits: [limitOf({ amount })] }, NOON)
      return changed === 'changed' ? null : changed?.limits[0]
    }
    expect(await change(0)).toMatchObject({ used: 1, remaining: 0 })
    expect(await codeOf(ask(store, key, NOON))).toBe('insufficient_quota')
    expect(await change(2)).toMatchObject({ used: 1, remaining: 1 })
    expect(await codeOf(ask(store, key, NOON))).toBe('granted')
    expect(await change(null)).toMatchObject({ used: 2, remaining: null })
    expect(await codeOf(ask(store, key, NOON))).toBe('granted')
  })

  test('a limit that comes to mean something else starts afresh', async () => {
    const store = await open()
    const changes: Partial<NamedLimit>[] = [
      { window: 'month' },
      { timezone: 'Asia/Tokyo' },
      { weekStart: 'sunday' },
      { unit: 'tokens' },
    ]
    for (const changed of changes) {
      const first: Partial<NamedLimit> = { amount: 5, window: 'week' }
      const key = await addKey(store, [first])
      const inFlight = await hold(store, key, NOON, { ...ONE, tokens: 2 })
      await store.keys.update(key.id, { limits: [limitOf({ ...first, ...changed })] }, NOON)
      expect(await used(store, key, NOON)).toEqual([0])
      await end(store, inFlight, { requests: 3, tokens: 4, cost: 5 })
      expect(await used(store, key, NOON)).toEqual([0])
      expect(await booksBalance(store)).toBe(true)
      // And so it does when it is changed back.
      await store.keys.update(key.id, { limits: [limitOf(first)] }, NOON)
      expect(await used(store, key, NOON)).toEqual([0])
    }
    expect(await booksBalance(store)).toBe(true)
  })

  test('limits are the whole new list: one that is gone counts no more, one that stays is untouched', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 5 }, { amount: 1, window: 'day' }])
    const inFlight = await hold(store, key, NOON)
    await store.keys.update(
      key.id,
      { limits: [limitOf({ amount: 5 }), limitOf({ amount: 9, window: 'hour' }, 2)] },
      NOON,
    )
    expect(await used(store, key, NOON)).toEqual([1, 0])
    expect(await codeOf(ask(store, key, NOON))).toBe('granted')
    await end(store, inFlight, { requests: 0, tokens: 0, cost: 0 })
    expect(await used(store, key, NOON)).toEqual([1, 1])
  })

  test('a reset starts every limit afresh, in every period there is', async () => {
    const store = await open()
    const key = await addKey(store, [
      { amount: 5 },
      { window: 'day' },
      { window: 'hour' },
      { unit: 'tokens' },
    ])
    for (const at of [NOON, NOON + DAY]) await hold(store, key, at, { ...ONE, tokens: 7 })
    expect((await store.keys.reset(key.id, undefined, NOON))?.limits.map(({ used: n, amount }) => [n, amount])).toEqual([
      [0, 5], [0, null], [0, null], [0, null],
    ]) // biome-ignore format: a row
    expect(await used(store, key, NOON + DAY)).toEqual([0, 0, 0, 0])
    expect((await store.keys.reset(key.id, 8, NOON))?.limits[0]?.amount).toBe(8)
    expect((await store.keys.reset(key.id, null, NOON))?.limits[0]?.amount).toBeNull()
  })

  test('a credit adds to the present period only, and leaves what was used', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 1, window: 'day' }])
    await end(store, await hold(store, key, NOON))
    const credit = { limit: 'quota', amount: 2, reason: 'sorry' }
    expect(await store.keys.credit(key.id, credit, NOON)).toMatchObject({
      limits: [{ amount: 1, credited: 2, used: 1, remaining: 2 }],
    })
    const known = await current(store, key)
    const codes = [1, 2, 3].map(() => codeOf(ask(store, known, NOON)))
    expect(await Promise.all(codes)).toEqual(['granted', 'granted', 'quota_reserved'])
    const tomorrow = await store.keys.find({ id: key.id }, NOON + DAY)
    expect(tomorrow?.limits[0]).toMatchObject({ credited: 0, used: 0, remaining: 1 })
  })

  test('units are taken back by a negative credit, at most down to nothing', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 5 }])
    const credit = (amount: number) =>
      store.keys.credit(key.id, { limit: 'quota', amount, reason: '' }, NOON)
    expect(await credit(-3)).toMatchObject({ limits: [{ remaining: 2 }] })
    expect(await credit(-9)).toMatchObject({ limits: [{ remaining: 0 }] })
    expect(await codeOf(ask(store, key, NOON))).toBe('insufficient_quota')
    expect(await credit(12)).toMatchObject({ limits: [{ remaining: 5 }] })
  })

  test('a credit needs a limit with an amount', async () => {
    const store = await open()
    const { id } = await addKey(store, [{ amount: null }])
    for (const limit of ['quota', 'other'])
      expect(await store.keys.credit(id, { limit, amount: 1, reason: '' }, 0)).toBe('no_limit')
  })

  test('every change makes what was remembered of a key useless', async () => {
    const store = await open()
    const { id, hash } = await addKey(store, [{ amount: 5 }])
    const changes = [
      async () => {},
      () => store.keys.update(id, { enabled: false }, 0),
      () => store.keys.reset(id, undefined, 0),
      () => store.keys.credit(id, { limit: 'quota', amount: 1, reason: '' }, 0),
    ]
    const revisions: (number | undefined)[] = []
    for (const change of changes) {
      await change()
      revisions.push((await store.keys.find({ hash }, 0))?.revision)
    }
    expect(revisions).toEqual([1, 2, 3, 4])
  })

  test('an update for a key as it was changes nothing once the key is another', async () => {
    const store = await open()
    const { id } = await addKey(store, [{ amount: 5 }])
    const before = await store.keys.find({ id }, 0)
    expect(await store.keys.update(id, { name: 'one' }, 0, before?.revision)).toMatchObject({
      name: 'one',
    })
    expect(await store.keys.update(id, { name: 'other' }, 0, before?.revision)).toBe('changed')
    expect((await store.keys.find({ id }, 0))?.name).toBe('one')
  })

  test('changes and calls that come at once wait for each other, and every unit is accounted for', async () => {
    const store = await open()
    const limits = [
      { amount: 1_000 },
      { amount: 900, window: 'minute' },
      { window: 'day' },
    ] as const
    const keys = [await addKey(store, limits), await addKey(store, limits)]
    let calls = 0
    const call = async (key: TestKey, at: number): Promise<void> => {
      const answer = await ask(store, key, at)
      // As the data path does that has read a key which was changed meanwhile.
      if (!answer.ok && answer.changed) return call(key, at)
      if (!answer.ok) throw new Error(answer.refusal.code)
      calls++
      await end(store, answer.hold)
    }
    const work = keys.flatMap((key) => [
      ...[1, 2, 3].map(async (worker) => {
        for (let i = 0; i < 10; i++) await call(key, NOON + i * 1_500 + worker)
      }),
      (async () => {
        for (let i = 0; i < 5; i++) {
          const at = NOON + i * 3_000
          const credit = { limit: 'quota', amount: 1, reason: '' }
          await store.keys.credit(key.id, credit, at)
          await store.keys.reset(key.id, 999, at)
          await store.keys.update(key.id, { limits: limits.map(limitOf), name: `${i}` }, at)
        }
      })(),
    ])
    await Promise.all(work)
    expect(await booksBalance(store)).toBe(true)
    const usage = await store.reads('key_1').usage.totals(
      keys.map(({ seq }) => seq),
      {},
    )
    expect([...usage.values()].reduce((sum, each) => sum + each.calls, 0)).toBe(calls)
    expect(calls).toBe(60)
    for (const { id } of keys)
      expect((await store.keys.find({ id }, NOON))?.revision).toBe(1 + 3 * 5)
    expect(store.events).toEqual([])
  })

  test('the newest call in the ledger tells when a key was last used', async () => {
    const store = await open()
    const key = await addKey(store, [])
    for (const at of [NOON, NOON + 5, NOON + 3]) await end(store, await hold(store, key, at))
    expect((await store.keys.find({ id: key.id }, NOON))?.lastUsedAt).toBe(NOON + 3)
  })

  test('a list is newest first, and its pages hold every key once, whatever is added meanwhile', async () => {
    const store = await open()
    const ids: string[] = []
    for (let i = 0; i < 7; i++) ids.unshift((await addKey(store, [], i)).id)
    const seen: string[] = []
    let before: number | undefined
    for (;;) {
      const page = await store
        .reads('key_1')
        .keys.list({}, { limit: 3, ...(before !== undefined && { before }) }, 0)
      seen.push(...page.keys.map((key) => key.id))
      await addKey(store, [], 99)
      if (!page.more) break
      before = page.keys.at(-1)?.seq
    }
    expect(seen).toEqual(ids)
  })

  test('a filter finds what it says and nothing more', async () => {
    const store = await open()
    const name = { active: 'Active_1', later: 'later', off: '100% off', old: 'old' }
    await addKey(store, [], 0, { name: name.active, tags: ['team', 'a'] })
    await addKey(store, [], 0, { name: name.later, expiresAt: NOON + 1, tags: ['tea'] })
    await addKey(store, [], 0, { name: name.off, enabled: false, expiresAt: 1 })
    const old = await addKey(store, [], 0, { name: name.old, expiresAt: NOON })
    const cases: [KeyFilter, string[]][] = [
      [{}, [name.old, name.off, name.later, name.active]],
      [{ status: 'active' }, [name.later, name.active]],
      [{ status: 'disabled' }, [name.off]],
      [{ status: 'expired' }, [name.old]],
      [{ tag: 'team' }, [name.active]],
      [{ tag: 'te' }, []],
      [{ q: 'ACTIVE' }, [name.active]],
      [{ q: '_' }, [name.active]],
      [{ q: '%' }, [name.off]],
      [{ q: '\\' }, []],
      [{ q: old.id }, [name.old]],
      [{ q: 'a', status: 'active', tag: 'tea' }, [name.later]],
    ]
    for (const [filter, names] of cases) expect(await list(store, filter)).toEqual(names)
  })
})

async function booksBalance(store: TestStore): Promise<boolean | undefined> {
  return (await store.examine(NOON)).findings.find(({ check }) => check === 'books')?.ok
}

async function list(store: TestStore, filter: KeyFilter = {}): Promise<string[]> {
  const page = await store.reads('key_1').keys.list(filter, { limit: 100 }, NOON)
  return page.keys.map((key) => key.name)
}
