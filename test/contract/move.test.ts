/** What a move keeps to between any two engines, whatever happens beside it. */
import { Database } from 'bun:sqlite'
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { type Move, MoveRefused, prepareMove, type Watch } from '../../src/db/move/move.ts'
import { dumpOf, fillInstallation } from '../support/installation.ts'
import { newDatabase, sharedPostgres, sql } from '../support/postgres.ts'
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
    expect(plan).toMatchObject({ how: 'new', interrupted: 5 })
    expect(tables.map(({ name, from: { rows } }) => ({ name, rows }))).toEqual([...plan.tables])
    const copy = await dumpOf(target)
    for (const table of ['keys', 'limits', 'counters', 'upstreams', 'price_lists', 'adjustments'])
      expect({ table, rows: copy[table] }).toEqual({ table, rows: before[table] ?? [] })
    expect(copy['calls']).toHaveLength((before['calls']?.length ?? 0) + 5)
    expect(copy['holds']).toEqual([])
    // The source is only read.
    expect(await dumpOf(source)).toEqual(before)
    expect((await moved(source, target)).plan.how).toBe('same')
  })

  test('goes on where it was, wherever it was cut off', async () => {
    const [source, target] = [await filledUrl(from), await emptyUrl(to)]
    for (let rows = 1; rows < 60; rows += 9)
      expect(String(await outcomeOf(await prepare(source, target), cutAfter(rows)))).toContain(
        'cut off',
      )
    const { same, plan } = await moved(source, target)
    expect({ same, how: plan.how }).toEqual({ same: true, how: 'resumed' })
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

test('tables of many pages are copied whole, in whatever order a database sorts texts', async () => {
  const source = await emptyUrl('SQLite in a file')
  const store = await openTestStore('SQLite in a file', { path: source.replace(/^file:/, '') })
  await store.close()
  const client = new Database(source.replace(/^file:/, ''))
  const odd = "substr('aBäb_-éZß中', 1 + n % 10, 1) || n || substr('ÄäAa', 1 + n % 4, 1)"
  const many = 'WITH RECURSIVE i(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM i WHERE n < 2500)'
  client.run(`${many} INSERT INTO charged_objects SELECT char(97 + n % 3), ${odd}, n FROM i`)
  client.run(`${many} INSERT INTO usage_hourly (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in,
    bytes_out, latency_ms, model) SELECT 3600000 * (n % 5), n % 7, 'a', n, 0, 1, 2, 3, 4, 5, 6, ${odd} FROM i`)
  client.close()
  // Not the order of bytes, which SQLite has.
  const server = await sharedPostgres()
  const name = `icu_${crypto.randomUUID().slice(0, 8)}`
  await sql(
    server.url(),
    `CREATE DATABASE ${name} LOCALE_PROVIDER icu ICU_LOCALE 'de' TEMPLATE template0`,
  )
  const [there, back] = [server.url(name), await emptyUrl('SQLite in a file')]
  await moved(source, there)
  await moved(there, back)
  const dump = await dumpOf(back)
  expect(dump['charged_objects']).toHaveLength(2_500)
  expect(dump).toEqual(await dumpOf(source))
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

test('a plan that is older than the copy goes on from what is there by now', async () => {
  const [source, target] = [await filledUrl('PostgreSQL'), await emptyUrl('PostgreSQL')]
  await outcomeOf(await prepare(source, target), cutAfter(5))
  const [first, second] = [await prepare(source, target), await prepare(source, target)]
  await outcomeOf(first, cutAfter(40))
  const steps: number[] = []
  const watch = { begin() {}, step: (rows: number) => steps.push(rows) }
  expect(await outcomeOf(second, watch)).toMatchObject({ same: true })
  // What was there is left there.
  expect(steps[0]).toBe(4)
})

/** Fails when so many rows are there. */
function cutAfter(rows: number) {
  let done = 0
  const step = (more: number) => {
    done += more
    if (done > rows) throw new Error('cut off')
  }
  return { begin() {}, step }
}

async function outcomeOf(move: Move, watch: Watch = UNWATCHED): Promise<unknown> {
  const outcome = await move.run(watch).catch((error) => error)
  await move.close()
  return outcome
}
