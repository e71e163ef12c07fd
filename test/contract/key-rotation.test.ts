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

async function rotate(
  store: TestStore,
  id: string,
  previousUntil: number | null,
  hash = newHash(),
) {
  const record = await store.keys.rotate(id, { hash, hint: 'new…hint', previousUntil }, NOON)
  return { hash, record }
}

describe.each(ENGINES)('a key that is rotated on %s', (engine) => {
  const open = () => openTestStore(engine)

  test('is the same key under another secret: its id, limits and use stay', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }], NOON, { name: 'Ada' })
    await hold(store, key, NOON)
    const { hash, record } = await rotate(store, key.id, null)
    expect(record).toMatchObject({ id: key.id, seq: key.seq, name: 'Ada', hint: 'new…hint' })
    expect(await used(store, key, NOON)).toEqual([1])
    expect(await store.find(hash)).toMatchObject({ seq: key.seq, enabled: true, expiresAt: null })
  })

  test('without a grace leaves nothing that the old secret could find', async () => {
    const store = await open()
    const key = await addKey(store, [])
    expect((await rotate(store, key.id, null)).record).toMatchObject({ previousUntil: null })
    expect(await store.find(key.hash)).toBeNull()
    expect(await store.keys.find({ hash: key.hash }, NOON)).toBeNull()
  })

  test('with a grace is found by both secrets, by the old one with the end of the grace', async () => {
    const store = await open()
    const key = await addKey(store, [], NOON, { expiresAt: NOON + DAY })
    const { hash, record } = await rotate(store, key.id, NOON + HOUR)
    expect(record).toMatchObject({ previousUntil: NOON + HOUR, expiresAt: NOON + DAY })
    expect(await store.find(hash)).toMatchObject({ seq: key.seq, expiresAt: NOON + DAY })
    expect(await store.find(key.hash)).toMatchObject({ seq: key.seq, expiresAt: NOON + HOUR })
    expect((await store.keys.find({ hash: key.hash }, NOON))?.id).toBe(key.id)
    expect(await store.keys.find({ id: key.id }, NOON + HOUR)).toMatchObject({
      previousUntil: null,
    })
  })

  test('never lets the old secret outlive the key', async () => {
    const store = await open()
    const key = await addKey(store, [], NOON, { expiresAt: NOON + HOUR })
    await rotate(store, key.id, NOON + DAY)
    expect(await store.find(key.hash)).toMatchObject({ expiresAt: NOON + HOUR })
  })

  test('refuses both secrets when it is disabled or deleted', async () => {
    const store = await open()
    const key = await addKey(store, [])
    const { hash } = await rotate(store, key.id, NOON + DAY)
    await store.keys.update(key.id, { enabled: false }, NOON)
    for (const secret of [hash, key.hash])
      expect(await store.find(secret)).toMatchObject({ enabled: false })
    await store.keys.remove(key.id, NOON)
    for (const secret of [hash, key.hash]) {
      expect(await store.find(secret)).toBeNull()
      expect(await store.keys.find({ hash: secret }, NOON)).toBeNull()
    }
  })

  test('again ends the grace of the first secret at once', async () => {
    const store = await open()
    const key = await addKey(store, [])
    const second = (await rotate(store, key.id, NOON + DAY)).hash
    const third = (await rotate(store, key.id, NOON + HOUR)).hash
    const found = () => Promise.all([key.hash, second, third].map((hash) => store.find(hash)))
    expect((await found()).map((one) => one?.expiresAt)).toEqual([undefined, NOON + HOUR, null])
    await rotate(store, key.id, null)
    expect(await found()).toEqual([null, null, null])
  })

  test('takes no secret that another key has or has had before its rotation', async () => {
    const store = await open()
    const [key, other] = [await addKey(store, []), await addKey(store, [])]
    expect((await rotate(store, key.id, null, other.hash)).record).toBe('taken')
    await rotate(store, other.id, NOON + DAY)
    expect((await rotate(store, key.id, null, other.hash)).record).toBe('taken')
    const { hash } = other
    await expect(addKey(store, [], NOON, { hash })).rejects.toThrow('there already')
    expect(await store.find(key.hash)).toMatchObject({ seq: key.seq })
    expect(
      await store.keys.rotate('key_0', { hash, hint: '', previousUntil: null }, NOON),
    ).toBeNull()
  })
})
