/** What a move keeps to between any two engines, whatever happens beside it. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { type Move, MoveRefused, prepareMove } from '../../src/db/move/move.ts'
import { dumpOf, fillInstallation } from '../support/installation.ts'
import { newDatabase, sql } from '../support/postgres.ts'
import { temporaryDirectory } from '../support/server.ts'
import { addKey, openTestStore, SEALER } from '../support/store.ts'

setDefaultTimeout(60_000)

const ENGINES = ['SQLite in a file', 'PostgreSQL'] as const
type Engine = (typeof ENGINES)[number]

const AT = Date.UTC(2026, 10, 25, 10, 7)
const UNWATCHED = { begin() {}, step() {} }

async function emptyUrl(engine: Engine): Promise<string> {
  if (engine === 'PostgreSQL') return newDatabase()
  return `file:${join(temporaryDirectory(), 'quota.db')}`
}

/** With something of everything, and served by nobody. */
async function filledUrl(engine: Engine): Promise<string> {
  const url = await emptyUrl(engine)
  const store = await fillInstallation(engine, { path: url.replace(/^file:/, '') }, AT)
  await store.close()
  return url
}

const prepare = (from: string, to: string): Promise<Move> =>
  prepareMove({ from, to, sealer: SEALER, at: AT })

async function moved(from: string, to: string) {
  const move = await prepare(from, to)
  try {
    return { plan: move.plan, ...(await move.run(UNWATCHED)) }
  } finally {
    await move.close()
  }
}

const PAIRS = ENGINES.flatMap((from) => ENGINES.map((to) => [from, to] as const))

describe.each(PAIRS)('a move from %s to %s', (from, to) => {
  test('copies all that there is, ends what was in flight, and finds both equal', async () => {
    const [source, target] = [await filledUrl(from), await emptyUrl(to)]
    const before = await dumpOf(source)
    const { same, plan, tables } = await moved(source, target)
    expect(same).toBe(true)
    expect(plan).toMatchObject({ how: 'new', interrupted: 4 })
    expect(tables.map(({ name, from: { rows } }) => ({ name, rows }))).toEqual([...plan.tables])
    const copy = await dumpOf(target)
    for (const table of ['keys', 'limits', 'counters', 'upstreams', 'price_lists', 'adjustments'])
      expect({ table, rows: copy[table] }).toEqual({ table, rows: before[table] ?? [] })
    expect(copy['calls']).toHaveLength((before['calls']?.length ?? 0) + 4)
    expect(copy['holds']).toEqual([])
    // The source is only read.
    expect(await dumpOf(source)).toEqual(before)
    expect((await moved(source, target)).plan.how).toBe('same')
  })

  test('gives a database whose books go on: new keys and calls have numbers of their own', async () => {
    const [source, target] = [await filledUrl(from), await emptyUrl(to)]
    await moved(source, target)
    const path = target.replace(/^file:/, '')
    const store = await openTestStore(to, { path })
    expect(store.interrupted).toBe(0)
    const key = await addKey(store, [{ amount: 3 }], AT)
    const before =
      (await dumpOf(target))['keys']?.map((row) => Number((row as { seq: number }).seq)) ?? []
    expect(before.filter((seq) => seq === key.seq)).toHaveLength(1)
    expect(key.seq).toBe(Math.max(...before))
    await store.close()
  })

  test('keeps the secrets of upstreams, which the same key opens', async () => {
    const [source, target] = [await filledUrl(from), await emptyUrl(to)]
    await moved(source, target)
    const store = await openTestStore(to, { path: target.replace(/^file:/, '') })
    const secrets = (await store.upstreams.list()).map(({ name, secret, prices }) => [
      name,
      secret,
      prices?.id,
    ])
    expect(secrets).toEqual([
      ['bare', null, undefined],
      ['openai', 'sk-canary-7fQ2', 3],
    ])
    await store.close()
  })
})

test('a source that is written to during the copy is found out, and the copy is of no use', async () => {
  const [source, target] = [await filledUrl('PostgreSQL'), await emptyUrl('SQLite in a file')]
  const move = await prepare(source, target)
  await sql(source, 'UPDATE keys SET revision = revision + 1 WHERE seq = 1')
  expect(String(await outcomeOf(move))).toContain('was changed while it was copied')
  const { plan, same } = await moved(source, target)
  expect({ how: plan.how, same }).toEqual({ how: 'again', same: true })
})

test('a server that starts on the source or the target during the copy ends it', async () => {
  const [source, target] = [await filledUrl('PostgreSQL'), await emptyUrl('PostgreSQL')]
  const first = await prepare(source, target)
  const served = await openTestStore('PostgreSQL', { path: target })
  expect(await outcomeOf(first)).toBeInstanceOf(MoveRefused)
  await served.close()

  const second = await prepare(source, target)
  const serving = await openTestStore('PostgreSQL', { path: source })
  expect(await outcomeOf(second)).toBeInstanceOf(MoveRefused)
  // Nobody may serve what it has left.
  const refused = await openTestStore('PostgreSQL', { path: target }).catch((error) => error)
  expect(String(refused)).toContain('a copy that is not finished')
  await serving.close()
  expect((await moved(source, target)).same).toBe(true)
})

async function outcomeOf(move: Move): Promise<unknown> {
  const outcome = await move.run(UNWATCHED).catch((error) => error)
  await move.close()
  return outcome
}
