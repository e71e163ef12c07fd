/** The entries of one key among those of many others: found by the blocks that it has entries in, newest first. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { addKey, end, hold, openTestStore, READ_ENGINES, type TestStore } from '../support/store.ts'

const CALLS = 1_500
/** Numbers at which the rare key calls: within a block, at both ends of blocks, and in blocks far apart. */
const RARE = [10, 11, 255, 256, 511, 512, 1_400]

async function fill(store: TestStore) {
  const busy = await addKey(store, [{}])
  const rare = await addKey(store, [{}])
  for (let seq = 1; seq <= CALLS; seq++)
    await end(store, await hold(store, RARE.includes(seq) ? rare : busy, seq))
  return { busy, rare }
}

test.each(READ_ENGINES)(
  'they are listed page by page, and the last tells when the key was used: %s',
  async (engine) => {
    const store = await openTestStore(engine)
    const { busy, rare } = await fill(store)
    const { calls, keys } = store.reads('operator')
    const seen: number[] = []
    for (let before: number | undefined; ; ) {
      const page = await calls.list(rare.seq, { limit: 2, before })
      expect(page.calls.length).toBeLessThanOrEqual(2)
      seen.push(...page.calls.map(({ seq }) => seq))
      before = page.calls.at(-1)?.seq
      if (!page.more) break
    }
    expect(seen).toEqual(RARE.toReversed())
    const all = await calls.list(busy.seq, { limit: CALLS })
    expect(all.calls).toHaveLength(CALLS - RARE.length)
    expect(all.more).toBe(false)
    expect((await keys.find({ id: rare.id }, 0))?.lastUsedAt).toBe(1_400)
    const never = await addKey(store, [{}])
    expect((await keys.find({ id: never.id }, 0))?.lastUsedAt).toBe(null)
    expect((await calls.list(never.seq, { limit: 5 })).calls).toEqual([])
  },
)

test('blocks of which no entry is left are forgotten; those that are found by others stay', async () => {
  const store = await openTestStore('SQLite in a file', { retention: { callsMax: 400 } })
  const { rare } = await fill(store)
  // What one pass has gone by before its entries went, the next one forgets.
  for (let pass = 0; pass < 2; pass++) while (await store.prune(CALLS));
  const client = new Database(store.path, { readonly: true })
  const blocks = client
    .query('SELECT id >> 32 AS key, id & 4294967295 AS block FROM call_blocks')
    .all()
  client.close()
  expect(blocks).toEqual([
    { key: 1, block: 4 },
    { key: 1, block: 5 },
    { key: 2, block: 5 },
  ])
  const { calls } = store.reads('operator')
  expect((await calls.list(rare.seq, { limit: 9 })).calls.map(({ seq }) => seq)).toEqual([1_400])
})

test('calls that a crash has cut off are found by their key', async () => {
  const store = await openTestStore('SQLite in a file')
  const key = await addKey(store, [{}])
  await hold(store, key, 1)
  const again = await openTestStore('SQLite in a file', { path: await copyOf(store) })
  expect((await again.reads('operator').calls.list(key.seq, { limit: 9 })).calls).toMatchObject([
    { seq: 1, outcome: 'interrupted' },
  ])
})

/** The database as a process that is killed leaves it. */
async function copyOf({ path }: TestStore): Promise<string> {
  const copy = `${path}.copy`
  const client = new Database(path)
  client.run(`VACUUM INTO '${copy}'`)
  client.close()
  return copy
}
