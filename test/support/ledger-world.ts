/**
 * The real ledger, on a file, and its model beside it: makes the same happen to both and compares what callers and
 * operators are told.
 */
import { expect } from 'bun:test'
import { copyFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openStore } from '../../src/db/open.ts'
import type { Store } from '../../src/db/store.ts'
import type { NamedLimit } from '../../src/domain/key.ts'
import { type Balance, NO_UNITS } from '../../src/domain/limit.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { Hold, Reservation } from '../../src/quota/ledger.ts'
import { checkBooks } from './ledger-books.ts'
import type { Ask, Change, Event } from './ledger-events.ts'
import { createModel, type ModelAnswer, type ModelCall, type ModelKey } from './model-ledger.ts'
import { temporaryDirectory } from './server.ts'
import { addKey, SEALER } from './store.ts'

// Only calls are pruned here, and only by number. Counters are forgotten by age, which means little to a clock that
// jumps by years.
const RETENTION = { callsDays: 1_000_000, callsMax: 3, usageDays: 1_000_000 }

export type World = {
  at: number
  readonly model: ReturnType<typeof createModel>
  readonly file: File
  readonly keys: Map<ModelKey, { readonly seq: number; readonly id: string; readonly hash: Buffer }>
  readonly holds: Map<ModelCall, Hold>
}
export type File = {
  path: string
  store: Store
  faults: readonly unknown[]
  /** The machine's: what it shows, and by how much it was put forward or back since somebody looked. */
  readonly clock: { at: number; steppedMs: number }
}

export async function openFile(
  path = join(temporaryDirectory(), 'quota.db'),
  clock: File['clock'] = { at: 0, steppedMs: 0 },
): Promise<File> {
  const faults: unknown[] = []
  const note = (error: unknown) => void faults.push(error)
  const events = { onFailure: note, onRecovery: () => {}, onRejected: note }
  const options = {
    url: `file:${path}`,
    durability: 'normal',
    retention: () => RETENTION,
    events,
    sealer: SEALER,
    clock: {
      now: () => clock.at,
      step() {
        const { steppedMs } = clock
        clock.steppedMs = 0
        return steppedMs
      },
    },
  } as const
  return { path, faults, clock, store: await openStore(options, clock.at) }
}

export function createWorld(file: File, at: number): World {
  file.clock.at = at
  return { at, model: createModel(), file, keys: new Map(), holds: new Map() }
}

export async function happen(world: World, one: Event): Promise<void> {
  const { model, file } = world
  switch (one.kind) {
    case 'ask':
      return ask(world, one.asks, one.change)
    case 'change':
      return change(world, one.change)
    case 'create':
      if (model.keys.length < 3) await create(world, one.limits)
      return
    case 'wait':
      world.at += one.ms
      file.clock.at = world.at
      return
    case 'step':
      return step(world, one.ms)
    case 'set_clock':
      return step(world, one.at - world.at)
    case 'crash':
      world.at = Math.max(0, world.at + one.steppedMs)
      file.clock.at = world.at
      await crash(file)
      expect(file.store.interrupted).toBe(model.crash(world.at))
      return
    case 'prune':
      while (await file.store.prune(0));
  }
}

/** Not to before 1970. Whoever asks next takes notice, here for a key that there is not. */
async function step(world: World, ms: number): Promise<void> {
  const { at, model, file } = world
  const steppedMs = Math.max(-at, ms)
  world.at += steppedMs
  Object.assign(file.clock, { at: world.at, steppedMs })
  if (steppedMs !== 0) model.step(at, steppedMs)
  const nobody = {
    key: { seq: -1, revision: 0 },
    at: world.at,
    upstream: '',
    requestId: '',
    units: NO_UNITS,
  }
  expect((await file.store.ledger.reserve(nobody)).ok).toBe(false)
}

/** The process dies: nothing is closed, and the next one finds what is in the files. */
async function crash(file: File): Promise<void> {
  const path = join(temporaryDirectory(), 'quota.db')
  for (const suffix of ['', '-wal']) copyFileSync(file.path + suffix, path + suffix)
  await file.store.close()
  rmSync(dirname(file.path), { recursive: true })
  Object.assign(file, await openFile(path, file.clock))
}

export async function create(
  { at, model, file, keys }: World,
  list: readonly NamedLimit[],
): Promise<void> {
  keys.set(model.create(list), await addKey(file.store, list, at))
}

/** All of it is asked in one turn. */
async function ask(world: World, asks: readonly Ask[], between: Change | null): Promise<void> {
  const inFlight = world.model.calls.filter((call) => call.outcome === null)
  const settles: (() => Promise<void>)[] = []
  const reserves: (() => Promise<void>)[] = []
  for (const one of asks) {
    if (one.kind === 'reserve') reserves.push(reserve(world, one))
    else if (inFlight.length > 0) settles.push(settle(world, one, pick(inFlight, one.call)))
  }
  // Nothing else happens in between: what was asked is done at the end of this turn.
  if (between) await change(world, between)
  // What ends in a turn makes room for what asks in it.
  for (const compareWithModel of [...settles, ...reserves]) await compareWithModel()
}

function reserve({ at, model, file, keys, holds }: World, one: Extract<Ask, { kind: 'reserve' }>) {
  const { units, sinceMs } = one
  const key = pick(model.keys, one.key)
  const revision = key.revision - one.missed
  const known = { seq: rowOf(keys, key).seq, revision }
  const claim = { key: known, at: at - sinceMs, upstream: '', requestId: '', units }
  const answer = file.store.ledger.reserve(claim)
  return async () => {
    // What counts is when it is let in.
    const expected = model.reserve(key, revision, at, units)
    const got = await answer
    expect(shown(got)).toEqual(foretold(expected))
    if (got.ok && expected.ok) holds.set(expected.call, got.hold)
  }
}

function settle(
  { model, file, holds }: World,
  one: Extract<Ask, { kind: 'settle' }>,
  call: ModelCall,
) {
  const hold = holds.get(call)
  if (!hold) throw new Error('a call without a hold')
  const { outcome, twice } = one
  const charged =
    typeof one.charged !== 'string' ? one.charged : one.charged === 'all' ? call.reserved : NO_UNITS
  const rest = { status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 }
  const { ledger } = file.store
  const answers = [ledger.settle(hold, { outcome, charged, ...rest })]
  if (twice) {
    const other = { requests: 9, tokens: 9, cost: 9 }
    answers.push(ledger.settle(hold, { outcome: 'not_sent', charged: other, ...rest }))
  }
  return async () => {
    model.settle(call, charged, outcome)
    await Promise.all(answers)
  }
}

async function change({ at, model, file, keys }: World, one: Change): Promise<void> {
  const key = pick(model.keys, one.key)
  const { id } = rowOf(keys, key)
  const store = file.store.keys
  const alive = !key.deleted
  const hasLimit = one.kind !== 'credit' || pick(key.limits, one.limit).amount !== null
  if (alive && hasLimit) key.revision++
  switch (one.kind) {
    case 'amount': {
      const changed = pick(key.limits, one.limit).name
      const list = key.limits.map(({ epoch: _, ...limit }) =>
        limit.name === changed ? { ...limit, amount: one.amount } : limit,
      )
      await store.update(id, { limits: list }, at)
      if (alive) model.replaceLimits(key, list)
      return
    }
    case 'limits':
      await store.update(id, { limits: one.limits }, at)
      if (alive) model.replaceLimits(key, one.limits)
      return
    case 'enabled':
      await store.update(id, { enabled: one.enabled }, at)
      key.enabled = one.enabled
      return
    case 'expires':
      key.expiresAt = one.inMs === null ? null : at + one.inMs
      await store.update(id, { expiresAt: key.expiresAt }, at)
      return
    case 'reset':
      await store.reset(id, one.quota, at)
      if (alive) model.reset(key, one.quota)
      return
    case 'credit': {
      const limit = pick(key.limits, one.limit)
      await store.credit(id, { limit: limit.name, amount: one.amount, reason: '' }, at)
      if (alive && limit.amount !== null) model.credit(limit, one.amount, at)
      return
    }
    case 'remove':
      expect(await store.remove(id, at)).toBe(alive)
      key.deleted = true
  }
}

/** What the admin API would show of every key, and what the data path would find. */
export async function compare({ at, model, file, keys }: World): Promise<void> {
  expect(file.faults).toEqual([])
  for (const [key, { id, hash }] of keys) {
    const found = (await file.store.keys.find({ id }, at))?.limits ?? null
    const limitsFound =
      found?.map((limit) => ({ ...bare(limit), credited: limit.credited })) ?? null
    const expected = key.limits.map((limit) => {
      const credited = model.credited(limit, at)
      return { ...bare(model.balance(limit, at)), amount: limit.amount, credited }
    })
    expect(limitsFound).toEqual(key.deleted ? null : expected)
    const { enabled, revision } = key
    expect(await file.store.find(hash)).toEqual(
      key.deleted ? null : expect.objectContaining({ enabled, revision }),
    )
  }
}

/** The books of every key; then ends what is in flight, so that the file can be used again. */
export async function conclude({ model, file, keys, holds }: World): Promise<void> {
  for (const [key, { seq }] of keys) {
    const own = model.calls.filter((call) => call.key === key)
    checkBooks(file.path, seq, own)
  }
  const rest = { status: 200, latencyMs: 0, bytesIn: 0, bytesOut: 0 }
  for (const hold of holds.values())
    await file.store.ledger.settle(hold, { outcome: 'answered', charged: NO_UNITS, ...rest })
}

type Shown = Pick<Balance, 'name' | 'amount' | 'used' | 'remaining' | 'resetsAt'>

function bare({ name, amount, used, remaining, resetsAt }: Shown): Shown {
  return { name, amount, used, remaining, resetsAt }
}

function shown(answer: Reservation): Foretold {
  if (answer.ok) return { ok: true, balances: answer.hold.balances.map(bare) }
  if (answer.changed) return { ok: false, code: 'changed', retryAfterS: undefined, balances: [] }
  const { code, retryAfterS } = answer.refusal
  return { ok: false, code, retryAfterS, balances: answer.balances.map(bare) }
}

type Foretold = {
  readonly ok: boolean
  readonly code?: ErrorCode | 'changed'
  readonly retryAfterS?: number | undefined
  readonly balances: readonly Shown[]
}

function foretold(answer: ModelAnswer): Foretold {
  const balances = answer.balances.map(bare)
  if (answer.ok) return { ok: true, balances }
  return { ok: false, code: answer.code, retryAfterS: answer.retryAfterS, balances }
}

function rowOf(keys: World['keys'], key: ModelKey) {
  const row = keys.get(key)
  if (!row) throw new Error('a key without a row')
  return row
}

function pick<T>(list: readonly T[], index: number): T {
  const one = list[index % list.length]
  if (one === undefined) throw new Error('nothing to pick from')
  return one
}
