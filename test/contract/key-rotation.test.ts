/** A new secret for a key: what works, until when, and what never works again. */
import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { addKey, ENGINES, hold, openTestStore, type TestStore, used } from '../support/store.ts'
import { DAY, HOUR, NOON } from '../support/time.ts'

let made = 0

/** A hash that no key has. */
function newHash(): Buffer {
  return createHash('sha256').update(`secret ${++made}`).digest()
}

function rotate(store: TestStore, id: string, previousUntil: number | null, hash = newHash()) {
  const record = store.keys.rotate(id, { hash, hint: 'new…hint', previousUntil }, NOON)
  return { hash, record }
}

describe.each(ENGINES)('a key that is rotated on %s', (engine) => {
  const open = () => openTestStore(engine)

  test('is the same key under another secret: its id, limits and use stay', async () => {
    const store = open()
    const key = addKey(store, [{ amount: 10 }], NOON, { name: 'Ada' })
    await hold(store, key, NOON)
    const { hash, record } = rotate(store, key.id, null)
    expect(record).toMatchObject({ id: key.id, seq: key.seq, name: 'Ada', hint: 'new…hint' })
    expect(used(store, key, NOON)).toEqual([1])
    expect(store.find(hash)).toMatchObject({ seq: key.seq, enabled: true, expiresAt: null })
  })

  test('without a grace leaves nothing that the old secret could find', () => {
    const store = open()
    const key = addKey(store, [])
    expect(rotate(store, key.id, null).record).toMatchObject({ previousUntil: null })
    expect(store.find(key.hash)).toBeNull()
    expect(store.keys.find({ hash: key.hash }, NOON)).toBeNull()
  })

  test('with a grace is found by both secrets, by the old one with the end of the grace', () => {
    const store = open()
    const key = addKey(store, [], NOON, { expiresAt: NOON + DAY })
    const { hash, record } = rotate(store, key.id, NOON + HOUR)
    expect(record).toMatchObject({ previousUntil: NOON + HOUR, expiresAt: NOON + DAY })
    expect(store.find(hash)).toMatchObject({ seq: key.seq, expiresAt: NOON + DAY })
    expect(store.find(key.hash)).toMatchObject({ seq: key.seq, expiresAt: NOON + HOUR })
    expect(store.keys.find({ hash: key.hash }, NOON)?.id).toBe(key.id)
    expect(store.keys.find({ id: key.id }, NOON + HOUR)).toMatchObject({ previousUntil: null })
  })

  test('never lets the old secret outlive the key', () => {
    const store = open()
    const key = addKey(store, [], NOON, { expiresAt: NOON + HOUR })
    rotate(store, key.id, NOON + DAY)
    expect(store.find(key.hash)).toMatchObject({ expiresAt: NOON + HOUR })
  })

  test('refuses both secrets when it is disabled or deleted', () => {
    const store = open()
    const key = addKey(store, [])
    const { hash } = rotate(store, key.id, NOON + DAY)
    store.keys.update(key.id, { enabled: false }, NOON)
    for (const secret of [hash, key.hash])
      expect(store.find(secret)).toMatchObject({ enabled: false })
    store.keys.remove(key.id, NOON)
    for (const secret of [hash, key.hash]) {
      expect(store.find(secret)).toBeNull()
      expect(store.keys.find({ hash: secret }, NOON)).toBeNull()
    }
  })

  test('again ends the grace of the first secret at once', () => {
    const store = open()
    const key = addKey(store, [])
    const second = rotate(store, key.id, NOON + DAY).hash
    const third = rotate(store, key.id, NOON + HOUR).hash
    expect([key.hash, second, third].map((hash) => store.find(hash)?.expiresAt)).toEqual([
      undefined,
      NOON + HOUR,
      null,
    ])
    rotate(store, key.id, null)
    expect([key.hash, second, third].map((hash) => store.find(hash))).toEqual([null, null, null])
  })

  test('takes no secret that another key has or has had before its rotation', () => {
    const store = open()
    const [key, other] = [addKey(store, []), addKey(store, [])]
    expect(rotate(store, key.id, null, other.hash).record).toBe('taken')
    rotate(store, other.id, NOON + DAY)
    expect(rotate(store, key.id, null, other.hash).record).toBe('taken')
    const { hash } = other
    expect(() => addKey(store, [], NOON, { hash })).toThrow('there already')
    expect(store.find(key.hash)).toMatchObject({ seq: key.seq })
    expect(store.keys.rotate('key_0', { hash, hint: '', previousUntil: null }, NOON)).toBeNull()
  })
})
