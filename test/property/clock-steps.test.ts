/**
 * What a clock may do to sliding windows, told by a clock that nobody can change: no interval of a window's length ever
 * holds more than the amount, and everything is back within a window, however often the machine's own clock is put forward
 * and back, and the server started again under one that was put back.
 */
import { expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { examineStore, openStore } from '../../src/db/open.ts'
import type { Store } from '../../src/db/store.ts'
import { createSteadyClock } from '../../src/lib/clock.ts'
import type { Reservation } from '../../src/quota/ledger.ts'
import type { SlidingWindow } from '../../src/quota/window.ts'
import { temporaryDirectory } from '../support/server.ts'
import { addKey, current, end, ONE, SEALER } from '../support/store.ts'
import { DAY, HOUR, NOON, SECOND } from '../support/time.ts'

const SIZES = {
  minute: { windowMs: 60 * SECOND, bucketMs: SECOND },
  hour: { windowMs: HOUR, bucketMs: 60 * SECOND },
} as const

type Event =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'ask'; readonly n: number; readonly refund: boolean }
  | { readonly kind: 'step'; readonly ms: number }
  /** `backMs`: forward, nobody could tell it from the time that it was down. */
  | { readonly kind: 'restart'; readonly downMs: number; readonly backMs: number }

function eventIn(window: SlidingWindow): fc.Arbitrary<Event> {
  const { windowMs, bucketMs } = SIZES[window]
  const ms = fc.oneof(
    fc.nat({ max: 2 * bucketMs }),
    fc.nat({ max: windowMs }),
    fc.integer({ min: windowMs - bucketMs, max: windowMs + bucketMs }),
  )
  const size = fc.oneof(ms, fc.nat({ max: 3 * DAY }), fc.constantFrom(windowMs, HOUR, DAY))
  const of = <T extends object>(weight: number, parts: { [K in keyof T]: fc.Arbitrary<T[K]> }) => ({
    weight,
    arbitrary: fc.record(parts) as fc.Arbitrary<T>,
  })
  const kind = <K extends string>(word: K) => fc.constant(word)
  return fc.oneof(
    of<Event & { kind: 'pass' }>(4, { kind: kind('pass'), ms }),
    of<Event & { kind: 'ask' }>(8, {
      kind: kind('ask'),
      n: fc.integer({ min: 1, max: 4 }),
      refund: fc.boolean(),
    }),
    of<Event & { kind: 'step' }>(4, {
      kind: kind('step'),
      // Smaller steps forward are let in only when the next one is noticed, which a restart would prevent.
      ms: fc.oneof(
        size.map((forth) => forth + 250),
        size.map((back) => -back),
      ),
    }),
    of<Event & { kind: 'restart' }>(1, {
      kind: kind('restart'),
      downMs: fc.nat({ max: windowMs }),
      backMs: fc.oneof(fc.constant(0), size),
    }),
  )
}

const story = fc.constantFrom<SlidingWindow>('minute', 'hour').chain((window) =>
  fc.record({
    window: fc.constant(window),
    amount: fc.integer({ min: 1, max: 8 }),
    events: fc.array(eventIn(window), { maxLength: 40, size: 'max' }),
  }),
)

/** A machine: the time that has really passed, and what its clock shows of it. */
function createMachine() {
  return {
    passedMs: 0,
    aheadMs: 0,
    path: join(temporaryDirectory(), 'quota.db'),
    faults: [] as unknown[],
    wall() {
      return NOON + this.passedMs + this.aheadMs
    },
    async start(): Promise<Store> {
      const note = (error: unknown) => void this.faults.push(error)
      const startedMs = this.passedMs
      const clock = createSteadyClock(
        () => this.wall(),
        () => this.passedMs - startedMs,
      )
      const options = {
        url: `file:${this.path}`,
        durability: 'normal',
        retention: () => ({ callsDays: 90, callsMax: 5, usageDays: 400 }),
        events: { onFailure: note, onRecovery() {}, onRejected: note },
        sealer: SEALER,
        clock,
      } as const
      return await openStore(options, this.wall())
    },
  }
}

test(
  'whatever is done to the clock, no window holds more than the amount, and all of it is back after one',
  () =>
    fc.assert(
      fc.asyncProperty(story, async ({ window, amount, events }) => {
        const { windowMs, bucketMs } = SIZES[window]
        const machine = createMachine()
        let store = await machine.start()
        const key = await addKey(store, [{ amount, window }], machine.wall())
        const grants: { at: number; n: number }[] = []
        // Claims say when they were asked by a clock that may be wrong by now.
        let arrivedAt = machine.wall()
        const ask = async (n: number): Promise<Reservation> =>
          store.ledger.reserve({
            key: await current(store, key),
            at: arrivedAt,
            upstream: '',
            requestId: '',
            units: { ...ONE, requests: n },
          })

        for (const event of events) {
          arrivedAt = machine.wall()
          if (event.kind === 'pass') machine.passedMs += event.ms
          if (event.kind === 'step') machine.aheadMs += event.ms
          if (event.kind === 'restart') {
            // Whatever was done to the clock before, somebody has called since.
            await ask(amount + 1)
            await store.close()
            machine.passedMs += event.downMs
            machine.aheadMs -= event.backMs
            store = await machine.start()
          }
          if (event.kind === 'ask') {
            const answer = await ask(event.n)
            if (!answer.ok) continue
            if (!event.refund) grants.push({ at: machine.passedMs, n: event.n })
            await end(store, answer.hold, event.refund ? { ...ONE, requests: 0 } : undefined)
            await store.prune(machine.wall())
          }
        }

        for (const { at: from } of grants) {
          const within = grants.filter(({ at }) => at >= from && at < from + windowMs)
          expect(within.reduce((sum, { n }) => sum + n, 0)).toBeLessThanOrEqual(amount)
        }
        // What a refusal says of the wait is true, and the wait is a window and two of its sixtieths at most.
        const refused = await ask(amount)
        if (!refused.ok && !refused.changed) {
          const waitMs = (refused.refusal.retryAfterS ?? Infinity) * 1_000
          expect(waitMs).toBeLessThanOrEqual(windowMs + 2 * bucketMs)
          const resetsAt = refused.balances[0]?.resetsAt ?? Infinity
          expect(resetsAt - machine.wall()).toBeLessThanOrEqual(windowMs + 2 * bucketMs)
          machine.passedMs += waitMs
          expect(await ask(amount)).toMatchObject({ ok: true })
        }
        expect(machine.faults).toEqual([])
        await store.close()
        const books = (await examineStore(`file:${machine.path}`, machine.wall()))?.findings
        expect(books?.find(({ check }) => check === 'books')).toMatchObject({ ok: true })
        rmSync(dirname(machine.path), { recursive: true })
      }),
      { numRuns: 300 },
    ),
  120_000,
)
