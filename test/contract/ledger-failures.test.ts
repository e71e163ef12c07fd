/** A ledger whose process dies or whose file fails: what is left, and how it goes on. */
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { NO_UNITS } from '../../src/domain/limit.ts'
import { temporaryDirectory } from '../support/server.ts'
import {
  addKey,
  ask,
  codeOf,
  end,
  hold,
  openTestStore,
  type TestStore,
  tokens,
  used,
} from '../support/store.ts'

describe('the ledger on a file', () => {
  const open = () => openTestStore('SQLite in a file')

  test('a call that a crash cuts off stays charged, once', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }, { unit: 'tokens' }])
    await end(store, await hold(store, key, 0, tokens(3)))
    await Promise.all([hold(store, key, 0, tokens(4)), hold(store, key, 0, tokens(5))])
    const next = await afterCrash(store)
    expect(next.interrupted).toBe(2)
    expect(await used(next, key, 0)).toEqual([3, 12])
    expect((await afterCrash(next)).interrupted).toBe(0)
  })

  test('what was not answered before a crash was not charged', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }])
    const one = await hold(store, key, 0)
    const unanswered = [ask(store, key, 0), end(store, one, NO_UNITS)]
    const next = await afterCrash(store)
    await Promise.all(unanswered)
    expect(await used(next, key, 0)).toEqual([1])
  })

  test('while the store fails nothing is granted, and what has ended is written when it is back', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }])
    const one = await hold(store, key, 0)
    const other = new Database(store.path)
    other.run('BEGIN IMMEDIATE')
    expect(await codeOf(ask(store, key, 0))).toBe('storage_unavailable')
    expect(store.ledger.failing).toBe(true)
    // Nobody waits for the store to come back.
    await end(store, one, NO_UNITS)
    expect(await codeOf(ask(store, key, 0))).toBe('storage_unavailable')
    expect(await used(store, key, 0)).toEqual([1])

    other.run('ROLLBACK')
    other.close()
    await store.ledger.flush()
    expect(await used(store, key, 0)).toEqual([0])
    expect(store.ledger.failing).toBe(false)
    expect(await codeOf(ask(store, key, 0))).toBe('granted')
    expect(store.events).toEqual(['failure', 'recovery'])
  })

  test('the store is found well again though nobody asks', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }])
    const other = new Database(store.path)
    other.run('BEGIN IMMEDIATE')
    await ask(store, key, 0)
    other.close()
    for (let i = 0; i < 100 && store.ledger.failing; i++) await Bun.sleep(20)
    expect(store.ledger.failing).toBe(false)
    expect(await used(store, key, 0)).toEqual([0])
  })

  test('a key that cannot be charged harms no other key', async () => {
    const store = await open()
    const [broken, sound] = [
      await addKey(store, [{ amount: 10 }]),
      await addKey(store, [{ amount: 10 }]),
    ]
    const other = new Database(store.path)
    other.run(
      `UPDATE limits SET "window" = 'day', timezone = 'Mars/Olympus' WHERE key_seq = ${broken.seq}`,
    )
    other.close()
    const answers = [broken, sound, broken, sound].map((key) => codeOf(ask(store, key, 0)))
    expect(await Promise.all(answers)).toEqual([
      'storage_unavailable',
      'granted',
      'storage_unavailable',
      'granted',
    ])
    expect(store.ledger.failing).toBe(false)
    expect(store.events).toEqual(['rejected', 'rejected'])
  })

  test('nothing is remembered of a charge that was not written', async () => {
    const store = await open()
    const [first, second] = [
      await addKey(store, [{ amount: 10 }]),
      await addKey(store, [{ amount: 10 }]),
    ]
    const other = new Database(store.path)
    other.run("CREATE TRIGGER no BEFORE INSERT ON holds BEGIN SELECT RAISE(ABORT, 'no'); END")
    expect(await codeOf(ask(store, first, 0))).toBe('storage_unavailable')
    other.run('DROP TRIGGER no')
    other.close()
    // The counter of the second takes the number that the first one's would have had.
    await hold(store, second, 0)
    await hold(store, first, 0)
    expect([await used(store, first, 0), await used(store, second, 0)]).toEqual([[1], [1]])
  })

  test('an entry that the store rejects takes no other with it', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }])
    const [bad, good] = await Promise.all([hold(store, key, 0), hold(store, key, 0)])
    const other = new Database(store.path)
    other.run(
      `CREATE TRIGGER no BEFORE INSERT ON calls WHEN new.seq = ${bad.seq} BEGIN SELECT RAISE(ABORT, 'no'); END`,
    )
    other.close()
    await Promise.all([end(store, bad, NO_UNITS), end(store, good, NO_UNITS)])
    expect(store.events).toEqual(['rejected'])
    expect(await used(store, key, 0)).toEqual([1])
  })

  test('an entry that was written together with one that the store rejects is found by its key', async () => {
    const store = await open()
    const key = await addKey(store, [{}])
    const [good, bad] = await Promise.all([hold(store, key, 0), hold(store, key, 0)])
    const other = new Database(store.path)
    other.run(
      `CREATE TRIGGER no BEFORE INSERT ON calls WHEN new.seq = ${bad.seq} BEGIN SELECT RAISE(ABORT, 'no'); END`,
    )
    other.close()
    await Promise.all([end(store, good), end(store, bad)])
    expect(store.events).toEqual(['rejected'])
    const { calls } = await store.reads('operator').calls.list({ keySeq: key.seq }, { limit: 9 })
    expect(calls.map(({ seq, outcome }) => [seq, outcome])).toContainEqual([good.seq, 'answered'])
  })
})

/** What the next process finds when this one is killed now. */
async function afterCrash(store: TestStore): Promise<TestStore> {
  const path = join(temporaryDirectory(), 'quota.db')
  for (const suffix of ['', '-wal']) copyFileSync(store.path + suffix, path + suffix)
  return await openTestStore('SQLite in a file', { path })
}
