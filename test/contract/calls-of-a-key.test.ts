/** The entries of one key among those of many others: found by the blocks that it has entries in, newest first. */
import { expect, test } from 'bun:test'
import { type CallFilter, NOT_METERED } from '../../src/domain/call.ts'
import type { Hold } from '../../src/quota/ledger.ts'
import { SHARED_ENGINES, testDatabase } from '../support/database.ts'
import {
  addKey,
  current,
  end,
  hold,
  ONE,
  openTestStore,
  READ_ENGINES,
  type TestStore,
} from '../support/store.ts'

const CALLS = 1_500
/** Numbers at which the rare key calls: within a block, at both ends of blocks, and in blocks far apart. */
const RARE = [10, 11, 255, 256, 511, 512, 1_400]

/** As many as one batch takes: a test of a thousand calls does not wait for a thousand answers. */
const TOGETHER = 100

async function fill(store: TestStore) {
  const busy = await addKey(store, [{}])
  const rare = await addKey(store, [{}])
  for (let seq = 1; seq <= CALLS; ) {
    const isRare = RARE.includes(seq)
    const known = await current(store, isRare ? rare : busy)
    // Calls of one key that come at once are numbered in their order.
    const same: number[] = []
    while (seq <= CALLS && same.length < TOGETHER && RARE.includes(seq) === isRare) same.push(seq++)
    const holds = await Promise.all(same.map((at) => hold(store, known, at)))
    await Promise.all(holds.map((held) => end(store, held)))
  }
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
      const page = await calls.list({ keySeq: rare.seq }, { limit: 2, before })
      expect(page.calls.length).toBeLessThanOrEqual(2)
      seen.push(...page.calls.map(({ seq }) => seq))
      if (page.next === null) break
      before = page.next
    }
    expect(seen).toEqual(RARE.toReversed())
    const all = await calls.list({ keySeq: busy.seq }, { limit: CALLS })
    expect(all.calls).toHaveLength(CALLS - RARE.length)
    expect(all.next).toBe(null)
    expect((await keys.find({ id: rare.id }, 0))?.lastUsedAt).toBe(1_400)
    const never = await addKey(store, [{}])
    expect((await keys.find({ id: never.id }, 0))?.lastUsedAt).toBe(null)
    expect((await calls.list({ keySeq: never.seq }, { limit: 5 })).calls).toEqual([])
  },
)

test.each(READ_ENGINES)(
  'they are found by time, status, outcome, upstream and model: %s',
  async (engine) => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{}])
    const known = await current(store, key)
    const call = async (seq: number) => {
      const upstream = seq % 2 === 0 ? 'even' : 'odd'
      const claim = { key: known, at: seq * 10, upstream, requestId: 'req_1', units: ONE }
      const { hold: held } = (await store.ledger.reserve(claim)) as { hold: Hold }
      await store.ledger.settle(held, {
        outcome: seq === 300 ? 'client_aborted' : 'answered',
        status: seq % 100 === 0 ? 502 : 200,
        ...{ charged: ONE, latencyMs: 1, bytesIn: 2, bytesOut: 3 },
        metered: { ...NOT_METERED, model: seq === 7 ? 'small' : 'large' },
      })
    }
    for (let first = 1; first <= 600; first += TOGETHER)
      await Promise.all(Array.from({ length: TOGETHER }, (_, i) => call(first + i)))
    const { calls } = store.reads('operator')
    const seqs = async (filter: CallFilter) =>
      (await calls.list(filter, { limit: 100 })).calls.map(({ seq }) => seq)
    expect(await seqs({ status: [500, 599] })).toEqual([600, 500, 400, 300, 200, 100])
    expect(await seqs({ outcome: 'client_aborted' })).toEqual([300])
    expect(await seqs({ model: 'small', keySeq: key.seq })).toEqual([7])
    expect(await seqs({ upstream: 'odd', from: 100, to: 141 })).toEqual([13, 11])
    expect(await seqs({ from: 5_990 })).toEqual([600, 599])
    expect(await seqs({ to: 30 })).toEqual([2, 1])
    expect(await seqs({ from: 6_001 })).toEqual([])
    expect(await seqs({ from: 50, to: 50 })).toEqual([])
  },
)

test('blocks of which no entry is left are forgotten; those that are found by others stay', async () => {
  const store = await openTestStore('SQLite in a file', { retention: { callsMax: 400 } })
  const { rare } = await fill(store)
  // What one pass has gone by before its entries went, the next one forgets.
  for (let pass = 0; pass < 2; pass++) while (await store.prune(CALLS));
  const blocks = await testDatabase(store).all(
    'SELECT id >> 32 AS key, id & 4294967295 AS block FROM call_blocks',
  )
  expect(blocks).toEqual([
    { key: 1, block: 4 },
    { key: 1, block: 5 },
    { key: 2, block: 5 },
  ])
  const { calls } = store.reads('operator')
  expect(
    (await calls.list({ keySeq: rare.seq }, { limit: 9 })).calls.map(({ seq }) => seq),
  ).toEqual([1_400])
})

test.each(SHARED_ENGINES)(
  'one question looks through so many entries at most, and its answer tells where the next goes on: %s',
  async (engine) => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{}])
    const first = await hold(store, key, 1)
    const metered = { ...NOT_METERED, model: 'rare' }
    const rest = { status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 }
    await store.ledger.settle(first, { outcome: 'answered', charged: ONE, metered, ...rest })
    const database = testDatabase(store)
    const [row = {}] = await database.all('SELECT * FROM calls WHERE seq = 1')
    const columns = Object.keys(row).filter((name) => name !== 'seq')
    // The newer calls of the same key are like the first, but for their model.
    const values = columns.map((name) => (name === 'model' ? "'common'" : `c.${name}`))
    await database.run(
      `WITH RECURSIVE n(seq) AS (SELECT 2 UNION ALL SELECT seq + 1 FROM n WHERE seq < 120001)
       INSERT INTO calls (seq, ${columns}) SELECT n.seq, ${values} FROM n, calls c WHERE c.seq = 1`,
    )
    if (!database.isPostgres)
      await database.run(
        `INSERT OR IGNORE INTO call_blocks SELECT DISTINCT (key_seq << 32) | (seq >> 8) FROM calls`,
      )
    const { calls } = store.reads('operator')
    const filter = { keySeq: key.seq, model: 'rare' }
    const page = await calls.list(filter, { limit: 5 })
    expect(page.calls).toEqual([])
    expect(page.next).toBeGreaterThan(1)
    const last = await calls.list(filter, { limit: 5, before: page.next ?? 0 })
    expect(last.calls.map(({ seq }) => seq)).toEqual([1])
    expect(last.next).toBe(null)
  },
)

test.each(SHARED_ENGINES)(
  'calls that a crash has cut off are found by their key: %s',
  async (engine) => {
    const store = await openTestStore(engine)
    const key = await addKey(store, [{}])
    await hold(store, key, 1)
    const again = await openTestStore(engine, { path: await testDatabase(store).asLeft() })
    expect(
      (await again.reads('operator').calls.list({ keySeq: key.seq }, { limit: 9 })).calls,
    ).toMatchObject([{ seq: 1, outcome: 'interrupted' }])
  },
)
