/**
 * The real ledger, in its place, and its model beside it: makes the same happen to both and compares what callers and
 * operators are told.
 */
import { expect } from 'bun:test'
import type { Store } from '../../src/db/store.ts'
import type { NamedLimit } from '../../src/domain/key.ts'
import { type Balance, NO_UNITS } from '../../src/domain/limit.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { Hold, Reservation } from '../../src/quota/ledger.ts'
import { checkBooks } from './ledger-books.ts'
import type { Ask, Change, Event } from './ledger-events.ts'
import type { Place, Replica } from './ledger-places.ts'
import { createModel, type ModelAnswer, type ModelCall, type ModelKey } from './model-ledger.ts'
import { addKey } from './store.ts'

export type World = {
  at: number
  readonly model: ReturnType<typeof createModel>
  readonly place: Place
  readonly keys: Map<ModelKey, { readonly seq: number; readonly id: string; readonly hash: Buffer }>
  readonly holds: Map<ModelCall, { readonly hold: Hold; readonly replica: Replica }>
}

export function createWorld(place: Place, at: number): World {
  if (place.clock) place.clock.at = at
  return { at, model: createModel(), place, keys: new Map(), holds: new Map() }
}

export async function happen(world: World, one: Event): Promise<void> {
  const { model, place } = world
  const replicaOf = (which: number) => pick(place.replicas, which)
  switch (one.kind) {
    case 'ask':
      return ask(world, one.asks, one.change, replicaOf(one.replica), replicaOf(one.changer))
    case 'change':
      return change(world, one.change, replicaOf(one.replica))
    case 'create':
      if (model.keys.length < 3) await create(world, one.limits, replicaOf(one.replica))
      return
    case 'wait':
      world.at += one.ms
      if (place.clock) place.clock.at = world.at
      return
    case 'step':
      return step(world, one.ms)
    case 'set_clock':
      return step(world, one.at - world.at)
    case 'crash':
      world.at = Math.max(0, world.at + one.steppedMs)
      if (place.clock) place.clock.at = world.at
      return lose(world, replicaOf(one.replica), place.crash)
    case 'pause': {
      const replica = replicaOf(one.replica)
      await lose(world, replica, place.pause)
      return settleLate(world, replica)
    }
    case 'prune':
      while (await replicaOf(one.replica).store.prune(0));
  }
}

/** Not to before 1970. Whoever asks next takes notice, here for a key that there is not. */
async function step(world: World, ms: number): Promise<void> {
  const { at, model, place } = world
  const steppedMs = Math.max(-at, ms)
  world.at += steppedMs
  Object.assign(place.clock ?? {}, { at: world.at, steppedMs })
  if (steppedMs !== 0) model.step(at, steppedMs)
  const nobody = {
    key: { seq: -1, revision: 0 },
    at: world.at,
    upstream: '',
    requestId: '',
    units: NO_UNITS,
  }
  for (const { store } of place.replicas)
    expect((await store.ledger.reserve(nobody)).ok).toBe(false)
}

/** All that it had in flight is ended by others. */
async function lose(world: World, replica: Replica, way: Place['crash']): Promise<void> {
  const left = await way(replica)
  const isLost = (call: ModelCall) => world.holds.get(call)?.replica === replica
  expect(left).toBe(world.model.crash(world.at, isLost))
}

/** It does not know yet that its calls were ended for it. */
async function settleLate({ holds }: World, replica: Replica): Promise<void> {
  const lost = [...holds.values()].filter((one) => one.replica === replica)
  const charged = { requests: 9, tokens: 9, cost: 9 }
  const rest = { status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 }
  const settled = lost.map(({ hold }) =>
    replica.store.ledger.settle(hold, { outcome: 'answered', charged, ...rest }),
  )
  await Promise.all(settled)
}

async function create(
  { at, model, keys }: World,
  list: readonly NamedLimit[],
  { store }: Replica,
): Promise<void> {
  keys.set(model.create(list), await addKey(store, list, at))
}

/** Asks, and returns what compares the answer with the model's. */
type Asking = () => () => Promise<void>

/** All of it is asked in one turn. */
async function ask(
  world: World,
  asks: readonly Ask[],
  between: Change | null,
  replica: Replica,
  changer: Replica,
): Promise<void> {
  const { model, place, holds } = world
  const inFlight = model.calls.filter(
    (call) => call.outcome === null && holds.get(call)?.replica === replica,
  )
  const settles: Asking[] = []
  const reserves: Asking[] = []
  for (const one of asks) {
    if (one.kind === 'reserve') reserves.push(reserve(world, one, replica))
    else if (inFlight.length > 0) settles.push(settle(world, one, pick(inFlight, one.call)))
  }
  const start = () => [...settles, ...reserves].map((asking) => asking())
  // Where nothing else happens in between, what was asked is done at the end of this turn. Elsewhere a change would race
  // with it, so that it is asked by who knows the key as it was.
  const isInTurn = place.clock !== null
  const early = isInTurn ? start() : null
  if (between) await change(world, between, changer)
  // What ends in a turn makes room for what asks in it.
  for (const compareWithModel of early ?? start()) await compareWithModel()
}

function reserve(
  { at, model, place, keys, holds }: World,
  one: Extract<Ask, { kind: 'reserve' }>,
  replica: Replica,
): Asking {
  const { units, sinceMs } = one
  const key = pick(model.keys, one.key)
  const revision = key.revision - one.missed
  const known = { seq: rowOf(keys, key).seq, revision }
  // What counts is when it is let in.
  const claimedAt = place.clock ? at - sinceMs : at
  const claim = { key: known, at: claimedAt, upstream: '', requestId: '', units }
  return () => {
    const answer = replica.store.ledger.reserve(claim)
    return async () => {
      const expected = model.reserve(key, revision, at, units)
      const got = await answer
      expect(shown(got)).toEqual(foretold(expected))
      if (got.ok && expected.ok) holds.set(expected.call, { hold: got.hold, replica })
    }
  }
}

function settle(
  { model, holds }: World,
  one: Extract<Ask, { kind: 'settle' }>,
  call: ModelCall,
): Asking {
  const held = holds.get(call)
  if (!held) throw new Error('a call without a hold')
  const { hold, replica } = held
  const { outcome, twice } = one
  const charged =
    typeof one.charged !== 'string' ? one.charged : one.charged === 'all' ? call.reserved : NO_UNITS
  const rest = { status: 200, latencyMs: 1, bytesIn: 2, bytesOut: 3 }
  const { ledger } = replica.store
  return () => {
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
}

async function change(
  { at, model, keys }: World,
  one: Change,
  { store: { keys: store } }: Replica,
): Promise<void> {
  const key = pick(model.keys, one.key)
  const { id } = rowOf(keys, key)
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

/** What the admin API would show of every key, and what the data path would find, by any of the replicas. */
export async function compare(world: World, which: number): Promise<void> {
  const { replicas } = world.place
  expect(replicas.flatMap(({ faults }) => faults)).toEqual([])
  const { store } = pick(replicas, which)
  await Promise.all([...world.keys.keys()].map((key) => compareKey(world, key, store)))
}

async function compareKey({ at, model, keys }: World, key: ModelKey, store: Store): Promise<void> {
  const { id, hash } = rowOf(keys, key)
  const found = (await store.keys.find({ id }, at))?.limits ?? null
  const limitsFound = found?.map((limit) => ({ ...bare(limit), credited: limit.credited })) ?? null
  const expected = key.limits.map((limit) => {
    const credited = model.credited(limit, at)
    return { ...bare(model.balance(limit, at)), amount: limit.amount, credited }
  })
  expect(limitsFound).toEqual(key.deleted ? null : expected)
  const { enabled, revision } = key
  expect(await store.find(hash)).toEqual(
    key.deleted ? null : expect.objectContaining({ enabled, revision }),
  )
}

/** The books of every key; then ends what is in flight, so that the place can be used again. */
export async function conclude({ model, place, keys, holds }: World): Promise<void> {
  for (const [key, { seq }] of keys) {
    const own = model.calls.filter((call) => call.key === key)
    await checkBooks(place.url, seq, own)
  }
  const rest = { status: 200, latencyMs: 0, bytesIn: 0, bytesOut: 0 }
  for (const [call, { hold, replica }] of holds) {
    if (call.outcome !== null) continue
    const settlement = { outcome: 'answered', charged: NO_UNITS, ...rest } as const
    await replica.store.ledger.settle(hold, settlement)
  }
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
