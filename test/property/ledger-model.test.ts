/**
 * The ledger against its model: random sequences of everything that can happen, on a real file, comparing what callers
 * are told after each step and the books at the end.
 */
import { Database } from 'bun:sqlite'
import { afterAll, expect, test } from 'bun:test'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { openStore, type Store } from '../../src/db/open.ts'
import { MAIN_LIMIT, type NamedLimit } from '../../src/modules/keys/store.ts'
import { type Hold, OUTCOMES, type Reservation, type Units } from '../../src/quota/ledger.ts'
import { UNITS, WEEK_STARTS, WINDOWS } from '../../src/quota/limit.ts'
import { createModel, type ModelCall, type ModelKey } from '../support/model-ledger.ts'
import { temporaryDirectory } from '../support/server.ts'

/** About 30 s on two slow cores. */
const SEQUENCES = 1_500
const COMMANDS_MAX = 40
/** Sequences that share a database: opening one costs as much as a whole sequence. */
const SEQUENCES_PER_FILE = 100

// Only calls are pruned here, and only by number: counters are forgotten by age, which a clock that jumps by years makes
// a matter of its own.
const RETENTION = { callsDays: 1_000_000, callsMax: 3, usageDays: 1_000_000 }

type Model = { at: number; readonly ledger: ReturnType<typeof createModel> }
type Real = {
  readonly file: File
  readonly keys: Map<ModelKey, { seq: number; id: string; hash: Buffer }>
  readonly holds: Map<ModelCall, Hold>
}
type File = { path: string; store: Store; interrupted: number }
type Command = fc.AsyncCommand<Model, Real>

const directory = temporaryDirectory()
let files = 0
let shared: { file: File; left: number } | null = null
let names = 0

afterAll(() => shared?.file.store.close())

function open(path: string): File {
  const store = openStore(
    {
      url: `file:${path}`,
      durability: 'normal',
      retention: RETENTION,
      events: { onFailure: raise, onRecovery: () => {}, onRejected: raise },
    },
    0,
  )
  return { path, store, interrupted: store.interrupted }
}

function raise(error: unknown): never {
  throw error
}

function newPath(): string {
  const folder = join(directory, String(files++))
  mkdirSync(folder)
  return join(folder, 'quota.db')
}

/** The process dies: nothing is closed, and the next one finds what is in the files. */
function crash(file: File): void {
  const path = newPath()
  copyFileSync(file.path, path)
  copyFileSync(`${file.path}-wal`, `${path}-wal`)
  file.store.close()
  Object.assign(file, open(path))
}

const NO_UNITS = { requests: 0, tokens: 0, cost: 0 }

const units: fc.Arbitrary<Units> = fc.record({
  requests: fc.constantFrom(1, 1, 1, 0, 2),
  tokens: fc.nat({ max: 5 }),
  cost: fc.nat({ max: 5 }),
})

// Each changes its clocks in a way of its own; Apia once skipped a day.
const ZONES = [
  'UTC', 'Europe/Berlin', 'America/New_York', 'America/St_Johns', 'Australia/Lord_Howe', 'Africa/Casablanca',
  'Asia/Kathmandu', 'Pacific/Apia',
] // biome-ignore format: a list

function limitNamed(name: string): fc.Arbitrary<NamedLimit> {
  return fc.record({
    name: fc.constant(name),
    unit: name === MAIN_LIMIT ? fc.constant('requests') : fc.constantFrom(...UNITS),
    amount: fc.option(fc.nat({ max: 8 }), { freq: 8 }),
    window: fc.constantFrom(...WINDOWS),
    timezone: fc.constantFrom(...ZONES),
    weekStart: fc.constantFrom(...WEEK_STARTS),
  })
}

const limits = fc
  .tuple(limitNamed(MAIN_LIMIT), fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }))
  .chain(([main, others]) => fc.tuple(fc.constant(main), ...[...new Set(others)].map(limitNamed)))

const which = fc.nat({ max: 20 })

type Change =
  | { kind: 'amount'; key: number; limit: number; amount: number | null }
  | { kind: 'limits'; key: number; limits: readonly NamedLimit[] }
  | { kind: 'enabled'; key: number; enabled: boolean }
  | { kind: 'expires'; key: number; inMs: number | null }
  | { kind: 'reset'; key: number; quota: number | null | undefined }
  | { kind: 'credit'; key: number; limit: number; amount: number }
  | { kind: 'remove'; key: number }

const amount = fc.option(fc.nat({ max: 10 }), { freq: 8 })
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('amount'), key: which, limit: which, amount }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('limits'), key: which, limits }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('enabled'), key: which, enabled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expires'), key: which, inMs: fc.option(fc.integer({ min: -1, max: 2_000 })) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('reset'), key: which, quota: fc.option(amount, { nil: undefined }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('credit'), key: which, limit: which, amount: fc.integer({ min: -6, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove'), key: which }) },
) // biome-ignore format: one kind a line

function applyChange(model: Model, { file: { store }, keys }: Real, one: Change): void {
  const { ledger, at } = model
  const key = pick(ledger.keys, one.key)
  const row = key && keys.get(key)
  if (!key || !row) return
  const done = changeStore()
  if (key.deleted) expect(done).toBeFalsy()
  else changeModel(key)

  function changeStore(): unknown {
    const id = row?.id ?? ''
    const list = specs(key)
    switch (one.kind) {
      case 'amount':
        return store.keys.update(id, { limits: withAmount(list, one.limit, one.amount) }, at)
      case 'limits':
        return store.keys.update(id, { limits: one.limits }, at)
      case 'enabled':
        return store.keys.update(id, { enabled: one.enabled }, at)
      case 'expires':
        return store.keys.update(id, { expiresAt: expiry(one.inMs) }, at)
      case 'reset':
        return store.keys.reset(id, one.quota, at)
      case 'credit': {
        const limit = pick(list, one.limit)?.name ?? ''
        return store.keys.credit(id, { limit, amount: one.amount, reason: '' }, at)
      }
      case 'remove':
        return store.keys.remove(id, at)
    }
  }

  function changeModel(own: ModelKey): void {
    switch (one.kind) {
      case 'amount':
        return ledger.replaceLimits(own, withAmount(specs(own), one.limit, one.amount))
      case 'limits':
        return ledger.replaceLimits(own, one.limits)
      case 'enabled':
        own.enabled = one.enabled
        return
      case 'expires':
        own.expiresAt = expiry(one.inMs)
        return
      case 'reset':
        return ledger.reset(own, one.quota)
      case 'credit': {
        const limit = pick(own.limits, one.limit)
        if (limit && limit.amount !== null) ledger.credit(limit, one.amount, at)
        return
      }
      case 'remove':
        own.deleted = true
    }
  }

  function expiry(inMs: number | null) {
    return inMs === null ? null : at + inMs
  }
}

function specs(key: ModelKey | undefined): NamedLimit[] {
  return (key?.limits ?? []).map(({ epoch: _, ...limit }) => limit)
}

function withAmount(list: readonly NamedLimit[], index: number, value: number | null) {
  return list.map((limit, i) => (i === index % list.length ? { ...limit, amount: value } : limit))
}

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list[index % list.length]
}

type Ask =
  | { kind: 'reserve'; key: number; units: Units; sinceMs: number }
  | {
      kind: 'settle'
      call: number
      charged: 'all' | 'none' | Units
      outcome: number
      twice: boolean
    }

const ask: fc.Arbitrary<Ask> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reserve'),
      key: which,
      units,
      // A call may have arrived a little before the turn in which it asks.
      sinceMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 1_500 })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('settle'),
      call: which,
      charged: fc.oneof(fc.constantFrom<'all' | 'none'>('all', 'none'), units),
      outcome: fc.nat({ max: OUTCOMES.length - 1 }),
      twice: fc.boolean(),
    }),
  },
)

/** Everything is asked in one turn, and the change is made before any of it is done. */
function burst(asks: readonly Ask[], between: Change | null): Command {
  return {
    check: () => true,
    toString: () => `ask(${JSON.stringify(asks)}${between ? `, ${JSON.stringify(between)}` : ''})`,
    async run(model, real) {
      const { ledger } = model
      const { store } = real.file
      const inFlight = ledger.calls.filter((call) => call.outcome === null)
      const settling: (() => void)[] = []
      const reserving: { key: ModelKey; at: number; units: Units; answer: Promise<Reservation> }[] =
        []
      const settled: Promise<unknown>[] = []

      for (const one of asks) {
        if (one.kind === 'reserve') {
          const key = pick(ledger.keys, one.key)
          const row = key && real.keys.get(key)
          if (!key || !row) continue
          const at = model.at - one.sinceMs
          const claim = {
            key: { seq: row.seq },
            at,
            upstream: '',
            requestId: 'r',
            units: one.units,
          }
          reserving.push({ key, at, units: one.units, answer: store.ledger.reserve(claim) })
        } else {
          const call = pick(inFlight, one.call)
          const hold = call && real.holds.get(call)
          if (!call || !hold) continue
          const outcome = OUTCOMES[one.outcome] ?? 'answered'
          const charged =
            one.charged === 'all' ? call.reserved : one.charged === 'none' ? NO_UNITS : one.charged
          const settlement = {
            outcome,
            status: 200,
            charged,
            latencyMs: 1,
            bytesIn: 2,
            bytesOut: 3,
          }
          settled.push(store.ledger.settle(hold, settlement))
          if (one.twice) {
            const again = { ...settlement, charged: { requests: 9, tokens: 9, cost: 9 } }
            settled.push(store.ledger.settle(hold, again))
          }
          settling.push(() => ledger.settle(call, charged, outcome))
        }
      }
      if (between) applyChange(model, real, between)
      await Promise.all(settled)

      for (const settle of settling) settle()
      for (const { key, at, units: wanted, answer } of reserving) {
        const expected = ledger.reserve(key, at, wanted)
        const got = await answer
        expect(told(got)).toEqual(told(expected))
        if (got.ok && expected.ok) real.holds.set(expected.call, got.hold)
      }
      compare(model, real)
    },
  }
}

function told(answer: Reservation | ReturnType<Model['ledger']['reserve']>) {
  if (answer.ok) {
    return { ok: true, balances: ('hold' in answer ? answer.hold : answer).balances.map(bare) }
  }
  const { code, retryAfterS } = 'refusal' in answer ? answer.refusal : answer
  return { ok: false, code, retryAfterS, balances: answer.balances.map(bare) }
}

function bare({
  name,
  amount,
  used,
  remaining,
  resetsAt,
}: Reservation extends infer R
  ? R extends { ok: false; balances: readonly (infer B)[] }
    ? B
    : never
  : never) {
  return { name, amount, used, remaining, resetsAt }
}

// Changes of clocks, a skipped day, ends of months and years, a leap day, and the midnights that weeks start at.
const INSTANTS = [
  '2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-03-08T07:00Z', '2026-11-01T06:00Z', '2026-04-04T15:00Z',
  '2026-10-03T15:30Z', '2010-11-07T02:31Z', '2011-12-30T10:00Z', '2026-02-15T02:00Z', '2026-03-22T02:00Z',
  '2026-04-30T22:00Z', '2026-05-01T00:00Z', '2028-02-28T23:59Z', '2028-03-01T00:00Z', '2026-12-31T23:59Z',
  '2026-06-06T00:00Z', '2026-06-07T00:00Z', '2026-06-08T00:00Z',
].map((text) => Temporal.Instant.from(text.replace('Z', ':00Z')).epochMilliseconds) // biome-ignore format: a list

const S = 1_000
const waitMs = fc.oneof(
  fc.nat({ max: 2 * S }),
  fc.integer({ min: -90 * S, max: 90 * S }),
  fc.constantFrom(
    60 * S,
    61 * S,
    3_600 * S,
    3_660 * S,
    86_400 * S,
    7 * 86_400 * S,
    31 * 86_400 * S,
  ),
  fc.integer({ min: -2 * 3_600 * S, max: 3 * 3_600 * S }),
  fc.integer({ min: -40 * 86_400 * S, max: 40 * 86_400 * S }),
)

function setClock(name: string, next: (at: number) => number): Command {
  return {
    check: () => true,
    toString: () => name,
    async run(model, real) {
      model.at = next(model.at)
      compare(model, real)
    },
  }
}

const commands = [
  fc
    .tuple(fc.array(ask, { minLength: 1, maxLength: 8 }), fc.option(change, { freq: 4 }))
    .map(([asks, between]) => burst(asks, between)),
  fc.array(ask, { minLength: 1, maxLength: 3 }).map((asks) => burst(asks, null)),
  change.map(
    (one): Command => ({
      check: () => true,
      toString: () => JSON.stringify(one),
      async run(model, real) {
        applyChange(model, real, one)
        compare(model, real)
      },
    }),
  ),
  waitMs.map((ms) => setClock(`wait(${ms})`, (at) => Math.max(0, at + ms))),
  fc
    .tuple(
      fc.constantFrom(...INSTANTS),
      fc.integer({ min: -2, max: 2 }),
      fc.constantFrom(1, S, 1_800 * S),
    )
    .map(([instant, n, ms]) =>
      setClock(`goTo(${new Date(instant + n * ms).toISOString()})`, () => instant + n * ms),
    ),
  limits.map(
    (list): Command => ({
      check: (model) => model.ledger.keys.length < 3,
      toString: () => `create(${JSON.stringify(list)})`,
      async run(model, real) {
        create(model, real, list)
        compare(model, real)
      },
    }),
  ),
  fc.constant<Command>({
    check: () => true,
    toString: () => 'crash()',
    async run(model, real) {
      crash(real.file)
      expect(real.file.interrupted).toBe(model.ledger.crash())
      compare(model, real)
    },
  }),
  fc.constant<Command>({
    check: () => true,
    toString: () => 'prune()',
    async run(model, real) {
      while (real.file.store.prune(0));
      compare(model, real)
    },
  }),
]

function create(model: Model, { file, keys }: Real, list: readonly NamedLimit[]): void {
  const name = `key_${names++}`
  const hash = Buffer.from(Bun.SHA256.hash(name) as Uint8Array)
  const record = file.store.keys.create(
    {
      id: name, hash, hint: '', name, enabled: true, expiresAt: null, concurrency: null, tags: [], metadata: {}, limits: list,
    },
    model.at,
  ) // biome-ignore format: a row
  if (!record) throw new Error('the key was there before')
  keys.set(model.ledger.create(list), { seq: record.seq, id: record.id, hash })
}

/** What the admin API would show of every key, and what the data path would find. */
function compare({ ledger, at }: Model, { file: { store }, keys }: Real): void {
  for (const [key, { id, hash }] of keys) {
    const found = store.keys.find({ id }, at)
    const shown =
      found?.limits.map((limit) => ({ ...bare(limit), credited: limit.credited })) ?? null
    const expected = key.limits.map((limit) => {
      const { name, used, remaining, resetsAt } = ledger.balance(limit, at)
      return {
        name,
        amount: limit.amount,
        used,
        remaining,
        resetsAt,
        credited: ledger.credited(limit, at),
      }
    })
    expect(shown).toEqual(key.deleted ? null : expected)
    expect(store.find(hash)?.enabled ?? null).toBe(key.deleted ? null : key.enabled)
  }
}

type Row = Record<string, number>

/** Every counter is the sum of its calls, every rollup too, and both are what the model remembers. */
function checkBooks({ ledger }: Model, { file, keys }: Real): void {
  const client = new Database(file.path, { readonly: true })
  try {
    for (const [key, { seq }] of keys) {
      const rows = (sql: string) => client.query<Row, [number]>(sql).all(seq)
      const calls =
        rows(`SELECT seq, at, requests_charged AS requests, tokens_charged AS tokens, cost_charged AS cost
        FROM calls WHERE key_seq = ? UNION ALL SELECT seq, at, requests, tokens, cost FROM holds WHERE key_seq = ?1`)
      const counters = rows(
        'SELECT c.*, l.unit FROM counters c JOIN limits l ON l.id = c.limit_id WHERE l.key_seq = ?',
      )
      for (const counter of counters) {
        const { period_start, period_end, first_seq, retired_seq, pruned = 0 } = counter
        const booked = calls
          .filter(
            ({ seq: n = 0, at = 0 }) =>
              n >= (first_seq ?? 0) &&
              n < (retired_seq ?? Infinity) &&
              at >= (period_start ?? 0) &&
              at < (period_end ?? Infinity),
          )
          .reduce((sum, call) => sum + (call[String(counter['unit'])] ?? 0), pruned)
        expect({ ...counter, used: counter['used'] }).toEqual({ ...counter, used: booked })
        expect(Math.min(booked, pruned)).toBeGreaterThanOrEqual(0)
      }

      const own = ledger.calls.filter((call) => call.key === key)
      expect(client.query('SELECT count(*) AS n FROM holds WHERE key_seq = ?').get(seq)).toEqual({
        n: own.filter((call) => call.outcome === null).length,
      })
      const hours = rows(
        'SELECT hour, calls, requests, tokens, cost FROM usage_hourly WHERE key_seq = ? ORDER BY hour',
      )
      const ended = Map.groupBy(
        own.filter((call) => call.outcome !== null),
        ({ at }) => at - (at % 3_600_000),
      )
      const total = (list: ModelCall[], unit: keyof Units) =>
        list.reduce((sum, call) => sum + call.units[unit], 0)
      expect(hours).toEqual(
        [...ended]
          .toSorted(([a], [b]) => a - b)
          .map(([hour, list]) => ({
            hour, calls: list.length, requests: total(list, 'requests'), tokens: total(list, 'tokens'), cost: total(list, 'cost'),
          })), // biome-ignore format: a row
      )
    }
  } finally {
    client.close()
  }
}

/** A database of its own after one that has failed: what that left behind is not the fault of the next. */
function borrowFile(): File {
  if (shared && shared.left === 0) shared.file.store.close()
  if (!shared || shared.left === 0) shared = { file: open(newPath()), left: SEQUENCES_PER_FILE }
  const { file } = shared
  shared = { file, left: shared.left - 1 }
  return file
}

test(
  'the ledger agrees with its model, and its books balance, whatever happens',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.constantFrom(...INSTANTS), limits, fc.option(limits, { freq: 2 })),
        fc.commands(commands, { maxCommands: COMMANDS_MAX, size: 'max' }),
        async ([at, first, second], sequence) => {
          const real: Real = { file: borrowFile(), keys: new Map(), holds: new Map() }
          const model: Model = { at, ledger: createModel() }
          const kept = shared
          shared = null
          create(model, real, first)
          if (second) create(model, real, second)
          await fc.asyncModelRun(() => ({ model, real }), sequence)
          checkBooks(model, real)
          for (const hold of real.holds.values()) await real.file.store.ledger.settle(hold, END)
          shared = kept
        },
      ),
      { numRuns: SEQUENCES },
    )
  },
  { timeout: 300_000 },
)

const END = {
  outcome: 'answered',
  status: 200,
  charged: NO_UNITS,
  latencyMs: 0,
  bytesIn: 0,
  bytesOut: 0,
} as const
