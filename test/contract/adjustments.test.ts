/** What every store must keep of credits and resets. The names are the promises. */
import { describe, expect, test } from 'bun:test'
import { addKey, end, hold, openTestStore, READ_ENGINES } from '../support/store.ts'

describe.each(READ_ENGINES)('the book of credits and resets on %s', (engine) => {
  test('each is written as it was made, by limit, and never for another key', async () => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{ amount: 5 }, { amount: 9, window: 'day' }])
    const other = await addKey(store, [{ amount: 5 }])
    await store.keys.credit(other.id, { limit: 'quota', amount: 1, reason: 'other' }, 10)
    await store.keys.credit(key.id, { limit: 'limit-1', amount: -2, reason: 'taken' }, 20)
    await end(store, await hold(store, key, 25))
    await store.keys.reset(key.id, 7, 30)
    const { adjustments, more } = await store
      .reads('key_1')
      .keys.adjustments(key.seq, { limit: 10 })
    expect(more).toBe(false)
    expect(adjustments.map(({ seq: _, ...rest }) => rest)).toEqual([
      { at: 30, kind: 'reset', limit: 'limit-1', amount: 1, reason: '' },
      { at: 30, kind: 'reset', limit: 'quota', amount: 1, reason: '' },
      { at: 20, kind: 'credit', limit: 'limit-1', amount: -2, reason: 'taken' },
    ])
  })

  test('pages hold each once, the newest first, whatever is added meanwhile', async () => {
    const store = await openTestStore(engine)
    const { id, seq } = await addKey(store, [{ amount: 5 }])
    const credit = async (amount: number) =>
      // A clock that is put back does not change the order.
      await store.keys.credit(id, { limit: 'quota', amount, reason: '' }, 100 - amount)
    for (const amount of [1, 2, 3, 4, 5, 6]) await credit(amount)
    let before: number | undefined
    for (const [amounts, more] of [
      [[6, 5], true],
      [[4, 3], true],
      [[2, 1], false],
    ] as const) {
      const page = await store.reads('key_1').keys.adjustments(seq, { limit: 2, before })
      expect(page.adjustments.map(({ amount }) => amount)).toEqual([...amounts])
      expect(page.more).toBe(more)
      await credit(99)
      before = page.adjustments.at(-1)?.seq
    }
  })

  test('a credit or a reset that was refused is not written, and none is an empty page', async () => {
    const store = await openTestStore(engine)
    const { id, seq } = await addKey(store, [{ amount: null }])
    await store.keys.credit(id, { limit: 'quota', amount: 1, reason: '' }, 0)
    await store.keys.credit(id, { limit: 'none', amount: 1, reason: '' }, 0)
    await store.keys.reset('key_none', undefined, 0)
    const none = { adjustments: [], more: false }
    expect(await store.reads('key_1').keys.adjustments(seq, { limit: 1 })).toEqual(none)
    expect(await store.reads('key_1').keys.adjustments(seq + 1, { limit: 1 })).toEqual(none)
  })

  test('they outlive the limit and the key that they were made for', async () => {
    const store = await openTestStore(engine)
    const { id, seq } = await addKey(store, [{ amount: 5 }, { amount: 9 }])
    await store.keys.credit(id, { limit: 'limit-1', amount: 3, reason: 'kept' }, 1)
    const before = await store.reads('key_1').keys.adjustments(seq, { limit: 1 })
    expect(before).toMatchObject({ adjustments: [{ limit: 'limit-1', reason: 'kept' }] })
    await store.keys.update(id, { limits: [] }, 2)
    await store.keys.remove(id, 3)
    expect(await store.reads('key_1').keys.adjustments(seq, { limit: 1 })).toEqual(before)
  })
})
