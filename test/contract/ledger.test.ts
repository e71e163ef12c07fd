import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { NO_UNITS } from '../../src/domain/limit.ts'
import type { Claim, Reservation } from '../../src/quota/ledger.ts'
import {
  addKey,
  ask,
  codeOf,
  codeOfAnswer,
  current,
  ENGINES,
  end,
  hold,
  limitOf,
  ONE,
  openTestStore,
  tokens,
  used,
} from '../support/store.ts'
import { DAY, NOON } from '../support/time.ts'

const times = (n: number) => Array.from({ length: n })

const CHANGED: Reservation = { ok: false, changed: true }

const claimOf = (key: Claim['key']): Claim => ({
  key,
  at: 0,
  upstream: '',
  requestId: '',
  units: ONE,
})

describe.each(ENGINES)('the ledger on %s', (engine) => {
  const open = () => openTestStore(engine)
  /** Where others change keys as well, a change is known to come before a charge only when it is made. */
  const isShared = engine === 'PostgreSQL'

  /** Asks as one that has read the key before it is changed. Where it can be told, the change falls between asking and charge. */
  async function askAmid<T>(asks: () => T, change: () => unknown): Promise<Awaited<T>> {
    if (isShared) await change()
    const asked = asks()
    if (!isShared) change()
    return await asked
  }

  test('all limits pass or none is charged', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }, { unit: 'tokens', amount: 5 }])
    await hold(store, key, 0, tokens(4))
    expect(await codeOf(ask(store, key, 0, tokens(2)))).toBe('quota_reserved')
    const known = await current(store, key)
    const [fits, not] = await Promise.all([
      ask(store, known, 0, tokens(1)),
      ask(store, known, 0, tokens(1)),
    ])
    expect([fits.ok, not.ok]).toEqual([true, false])
    expect(await used(store, key, 0)).toEqual([2, 5])
  })

  test('calls of one key are granted in order of arrival', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 4 }])
    for (const round of [0, 1]) {
      if (round > 0) await store.keys.reset(key.id, undefined, 0)
      const known = await current(store, key)
      const answers = await Promise.all(times(6).map(() => ask(store, known, 0)))
      expect(answers.map(({ ok }) => ok)).toEqual([true, true, true, true, false, false])
      const left = answers.flatMap((answer) => (answer.ok ? answer.hold.balances : []))
      expect(left.map(({ remaining }) => remaining)).toEqual([3, 2, 1, 0])
      const numbers = answers.flatMap((answer) => (answer.ok ? [answer.hold.seq] : []))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
  })

  test('one call too large for what is left does not take the place of smaller ones behind it', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 10 }])
    await hold(store, key, 0, tokens(5))
    const known = await current(store, key)
    const codes = [4, 3, 1].map((n) => codeOf(ask(store, known, 0, tokens(n))))
    expect(await Promise.all(codes)).toEqual(['granted', 'quota_reserved', 'granted'])
    expect(await used(store, key, 0)).toEqual([3, 10])
  })

  test('a refund never reaches a later window', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 1, window: 'day' }])
    const midnight = NOON + DAY / 2
    const late = await hold(store, key, midnight - 1)
    const early = await hold(store, key, midnight)
    const balances = await end(store, late, NO_UNITS)
    expect(balances[0]).toMatchObject({ used: 0, remaining: 1 })
    expect(await used(store, key, midnight - 1)).toEqual([0])
    expect(await used(store, key, midnight)).toEqual([1])
    expect(await codeOf(ask(store, key, midnight + 1))).toBe('quota_reserved')
    await end(store, early)
    expect(await codeOf(ask(store, key, midnight + 1))).toBe('insufficient_quota')
  })

  test('a reset is not undone by a refund from before, nor made larger', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 2 }])
    const before = [await hold(store, key, 0), await hold(store, key, 0)]
    await store.keys.reset(key.id, 3, 0)
    await hold(store, key, 0)
    for (const one of before) await end(store, one, NO_UNITS)
    expect(await used(store, key, 0)).toEqual([1])
    const known = await current(store, key)
    const answers = await Promise.all(times(3).map(() => ask(store, known, 0)))
    expect(answers.map(({ ok }) => ok)).toEqual([true, true, false])
  })

  test('an actual beyond the estimate is recorded in full and the next call sees it', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 100 }])
    const balances = await end(store, await hold(store, key, 0, tokens(10)), tokens(130))
    expect(balances[1]).toMatchObject({ used: 130, remaining: 0 })
    expect(await used(store, key, 0)).toEqual([1, 130])
    expect(await codeOf(ask(store, key, 0, tokens(1)))).toBe('insufficient_quota')
    expect(await codeOf(ask(store, key, 0, tokens(0)))).toBe('insufficient_quota')
  })

  test('a second settle does nothing, at once or later', async () => {
    const store = await open()
    const key = await addKey(store, [{}, { unit: 'tokens', amount: 100 }])
    const one = await hold(store, key, 0, tokens(10))
    await Promise.all([end(store, one, tokens(5)), end(store, one, NO_UNITS)])
    await end(store, one, tokens(90))
    expect(await used(store, key, 0)).toEqual([1, 5])
    expect(store.events).toEqual([])
  })

  test('what ends in the same turn makes room for what asks in it', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 1 }])
    const one = await hold(store, key, 0)
    const [answer] = await Promise.all([ask(store, key, 0), end(store, one, NO_UNITS)])
    expect(answer.ok).toBe(true)
  })

  test('a client that has left by the time of the charge is charged nothing, and takes nobody with it', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 1 }])
    const claim = claimOf(await current(store, key))
    const client = new AbortController()
    const left = store.ledger.reserve(claim, client.signal)
    const stays = store.ledger.reserve(claim, new AbortController().signal)
    client.abort()
    expect([await codeOf(left), await codeOf(stays)]).toEqual(['client_closed_request', 'granted'])
    expect(await used(store, key, 0)).toEqual([1])
  })

  test('a revoked key is refused although its call was prepared before', async () => {
    const store = await open()
    const revoke: [string, (id: string) => unknown][] = [
      ['api_key_disabled', (id) => store.keys.update(id, { enabled: false }, 0)],
      ['api_key_expired', (id) => store.keys.update(id, { expiresAt: 0 }, 0)],
      ['invalid_api_key', (id) => store.keys.remove(id, 0)],
    ]
    for (const [code, change] of revoke) {
      for (const limits of [[], [{ amount: 10 }], [{ window: 'minute' }] as const]) {
        const key = await addKey(store, limits)
        await hold(store, key, 0)
        const prepared = await store.find(key.hash)
        if (!prepared) throw new Error('no key')
        const asked = await askAmid(
          () => codeOf(ask(store, prepared, 0)),
          () => change(key.id),
        )
        expect([asked, await codeOf(ask(store, prepared, 0))]).toEqual([code, code])
      }
    }
  })

  test('a limit that was added counts for calls that were prepared before', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }])
    await hold(store, key, 0)
    const prepared = await current(store, key)
    const limits = [{ amount: 10 }, { window: 'hour', amount: 1 } as const].map(limitOf)
    const asked = await askAmid(
      () => Promise.all([ask(store, prepared, 0), ask(store, prepared, 0)]),
      () => store.keys.update(key.id, { limits }, 0),
    )
    expect(asked).toEqual([CHANGED, CHANGED])
    expect(await used(store, key, 0)).toEqual([1, 0])
    const known = await current(store, key)
    const again = await Promise.all([ask(store, known, 0), ask(store, known, 0)])
    expect(again.map(({ ok }) => ok)).toEqual([true, false])
    expect(await used(store, key, 0)).toEqual([2, 1])
  })

  test('a key that was read before it was changed is charged nothing, whatever was changed', async () => {
    const store = await open()
    const changes: ((id: string) => unknown)[] = [
      (id) => store.keys.update(id, { scope: { methods: ['GET'] } }, 0),
      (id) => store.keys.update(id, { concurrency: 9 }, 0),
      (id) => store.keys.update(id, { expiresAt: 9 }, 0),
      (id) => store.keys.update(id, { limits: [limitOf({ amount: 9 })] }, 0),
      (id) => store.keys.reset(id, undefined, 0),
      async (id) =>
        await store.keys.rotate(id, { hash: randomBytes(32), hint: '', previousUntil: null }, 0),
      async (id) =>
        await store.keys.rotate(id, { hash: randomBytes(32), hint: '', previousUntil: 9 }, 0),
    ]
    for (const change of changes) {
      for (const limits of [[], [{ amount: 10 }], [{}], [{ window: 'minute' }] as const]) {
        const key = await addKey(store, limits)
        const before = await current(store, key)
        await hold(store, before, 0)
        await change(key.id)
        const now = await store.keys.find({ id: key.id }, 0)
        if (!now) throw new Error('no key')
        const usedThen = await used(store, key, 0)
        expect(await ask(store, before, 0)).toEqual(CHANGED)
        expect(await store.ledger.foresee(claimOf(before))).toBeNull()
        expect(await used(store, key, 0)).toEqual(usedThen)
        // Both in one turn: each is judged by what it has read.
        const answers = [before, now, before, now].map((known) => codeOf(ask(store, known, 0)))
        expect(await Promise.all(answers)).toEqual(['changed', 'granted', 'changed', 'granted'])
      }
    }
  })

  test('a key expires at its instant, not before', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 10 }], 0, { expiresAt: NOON })
    for (const _ of times(2)) {
      const known = await current(store, key)
      const codes = [NOON - 1, NOON].map((at) => codeOf(ask(store, known, at)))
      expect(await Promise.all(codes)).toEqual(['granted', 'api_key_expired'])
    }
  })

  // Each question goes over a connection there.
  const CALLS = isShared ? 2_500 : 25_000

  test.each([1, 8, 64, 500])(
    `${CALLS} calls from %d at once get exactly the amount`,
    async (clients) => {
      const store = await open()
      const amount = Math.floor(CALLS * 0.4) - 1
      const key = await addKey(store, [{ amount }, { amount, window: 'day' }])
      let charged = 0
      let asked = 0
      const refusals = new Set<string>()
      const client = async () => {
        while (asked < CALLS) {
          const turn = asked++
          const answer = await ask(store, key, NOON + turn)
          if (!answer.ok) {
            refusals.add(codeOfAnswer(answer))
            continue
          }
          // Every fifth is given back, so that the amount is reached more than once.
          const refunded = turn % 5 === 0
          await end(store, answer.hold, refunded ? NO_UNITS : ONE)
          if (!refunded) charged++
        }
      }
      await Promise.all(times(clients).map(client))
      expect(charged).toBe(amount)
      expect(await used(store, key, NOON)).toEqual([amount, amount])
      expect([...refusals].filter((code) => code !== 'quota_reserved')).toEqual([
        'insufficient_quota',
      ])
    },
    60_000,
  )

  test('flush resolves when everything that was asked for is written', async () => {
    const store = await open()
    const key = await addKey(store, [{ amount: 100 }])
    const holds = await Promise.all(times(50).map(() => hold(store, key, NOON)))
    for (const one of holds) void end(store, one, NO_UNITS)
    await store.ledger.flush()
    expect(await used(store, key, NOON)).toEqual([0])
  })
})
