/** The driver as we use it: every answer belongs to its question, nothing hangs, and a lost connection is made anew. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { sql as raw } from 'drizzle-orm'
import { Connection, type Patience, Pool } from '../../src/db/postgres/connection.ts'
import { createChange } from '../../src/db/postgres/transact.ts'
import { readDatabaseUrl } from '../../src/domain/database-url.ts'
import type { PostgresAddress } from '../../src/domain/postgres-url.ts'
import { StoreFailure } from '../../src/domain/store.ts'
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.ts'
import { START_MS_MAX, sql } from '../support/postgres.ts'
import { PASSWORD, type SecurePostgres, securePostgres } from '../support/secure-postgres.ts'

let postgres: SecurePostgres
const open = new Set<Connection | Pool>()

beforeAll(async () => {
  postgres = await securePostgres()
  await sql(postgres.url(), 'CREATE TABLE IF NOT EXISTS notes (id text, xid text)')
}, START_MS_MAX)
// What a connection has left behind sleeps on.
afterEach(() => killAll())
afterAll(() => Promise.all([...open].map((one) => one.close())))

function addressesOf(url: string): readonly PostgresAddress[] {
  const parsed = readDatabaseUrl(url)
  if (parsed.kind !== 'postgres') throw new Error('not a URL of PostgreSQL')
  return parsed.addresses
}

function connection(url = postgres.url(), patience?: Partial<Patience>): Connection {
  const made = new Connection(addressesOf(url), patience)
  open.add(made)
  return made
}

function pool(url = postgres.url(), patience?: Partial<Patience>): Pool {
  const made = new Pool(addressesOf(url), patience)
  open.add(made)
  return made
}

const KILL = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE application_name = 'quota-proxy' AND query !~ 'pg_stat_activity'`
const killAll = () => sql(postgres.server.url(), KILL)
const killOne = () =>
  sql(
    postgres.server.url(),
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'proxy' ORDER BY random() LIMIT 1`,
  )

/** Until so many questions of ours sleep on the server. */
async function untilAsleep(count: number): Promise<void> {
  const text = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = 'proxy'`
  for (;;) {
    const [row] = await sql<{ n: number }>(postgres.server.url(), text)
    if (row?.n === count) return
    await Bun.sleep(10)
  }
}

/** The process that serves a connection. The others go on, as they do where only the network is gone. */
async function stopServer(of: Connection): Promise<number> {
  const [row] = await of.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  if (!row) throw new Error('there is no process')
  process.kill(row.pid, 'SIGSTOP')
  return row.pid
}

/** Null if there is none. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  )
}

let names = 0

/** Fails if the answer belongs to another question. Resolves with whether there was an answer. */
async function ask(of: Connection | Pool, sleepS = 0): Promise<boolean> {
  const id = `question ${names++}`
  const size = Math.floor(1_000 * Math.random() ** 3)
  const text =
    "SELECT $1::text AS id, repeat($1::text, $2::int) AS text, ($1 || '') = $3 AS is FROM pg_sleep($4::float8)"
  try {
    expect(await of.query(text, [id, size, id, sleepS])).toEqual([
      { id, text: id.repeat(size), is: true },
    ])
    return true
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    return false
  }
}

/** Until so many questions at once are all answered; a busy machine may need another try. */
async function untilWell(of: Connection | Pool, count: number): Promise<void> {
  for (;;) {
    const answers = await Promise.all(Array.from({ length: count }, () => ask(of)))
    if (!answers.includes(false)) return
  }
}

/** What the server says is wrong names the question. */
async function askWrongly(of: Connection | Pool): Promise<void> {
  const id = `question ${names++}`
  const error = await errorOf(of.query('SELECT $1::text::int', [id]))
  if (!(error instanceof StoreFailure)) expect(String(error)).toContain(`"${id}"`)
}

/** On an idle machine it takes two seconds. */
const BUSY_MS_MAX = 40_000

const WAYS = ['in the clear', 'TLS, verify-full', 'PgBouncer in transaction mode'] as const

async function urlBy(way: (typeof WAYS)[number]): Promise<string> {
  const { server, caFile, url } = postgres
  if (way === 'in the clear') return url()
  if (way === 'TLS, verify-full') return url({ query: `sslmode=verify-full&sslrootcert=${caFile}` })
  const port = await startPgbouncer(server.port, { user: 'proxy', password: PASSWORD })
  return url({ host: '127.0.0.1', port })
}

describe('every answer belongs to its question', () => {
  for (const way of WAYS)
    test.skipIf(way.startsWith('PgBouncer') && !hasPgbouncer)(
      `${way}, while questions take too long and connections are killed`,
      async () => {
        const url = await urlBy(way)
        const patience = { connectMs: 15_000, statementMs: 300 }
        const [many, one] = [pool(url, patience), connection(url, patience)]
        let [ended, isOver] = [0, false]
        const killing = (async () => {
          // Counted, not timed: a busy machine that kills faster than it connects would do nothing else.
          for (let kills = 0; !isOver; await Bun.sleep(5))
            for (; kills < ended / 15; kills++) await killOne()
        })()
        const asks = Array.from({ length: 400 }, (_, i) => {
          const asked =
            i % 5 === 0 ? askWrongly(many) : ask(many, i % 10 === 1 ? 0.5 * Math.random() : 0)
          return asked.finally(() => ended++)
        })
        const inTurn = (async () => {
          for (let i = 0; i < 20; i++) await ask(one, i % 4 === 1 ? 0.5 * Math.random() : 0)
        })()
        const answered = (await Promise.all([...asks, inTurn])).filter((is) => is === true)
        isOver = true
        await killing
        expect(answered.length).toBeGreaterThan(100)
        await untilWell(one, 1)
        await untilWell(many, 50)
      },
      BUSY_MS_MAX,
    )
})

describe('the connection of the ledger', () => {
  test('never gives the late answer to a question that took too long to the next one, which does not wait for it', async () => {
    const one = connection(postgres.url(), { statementMs: 300 })
    await ask(one)
    for (let i = 0; i < 3; i++) {
      const slow = await errorOf(one.query("SELECT 'late' AS answer FROM pg_sleep(2)"))
      expect(slow).toBeInstanceOf(StoreFailure)
      const startedMs = performance.now()
      expect(await one.query("SELECT 'next' AS answer")).toEqual([{ answer: 'next' }])
      expect(performance.now() - startedMs).toBeLessThan(1_500)
    }
  })

  test('asks one thing after the other, also when it is asked at once', async () => {
    const one = connection(postgres.url(), { statementMs: 500 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(one, 0.04)))
    // Each has its own time, however long it has waited for its turn.
    expect(answers).not.toContain(false)
  })

  test('that is killed while nothing is asked is made anew, and nobody notices', async () => {
    const one = connection()
    await ask(one)
    await killAll()
    await Bun.sleep(50)
    expect(await ask(one)).toBe(true)
  })

  test('that is killed in the middle of a question fails it, and is made anew for the next', async () => {
    const one = connection()
    const asked = errorOf(one.query('SELECT pg_sleep(10)'))
    await untilAsleep(1)
    await killAll()
    expect(await asked).toBeInstanceOf(StoreFailure)
    expect(await ask(one)).toBe(true)
  })

  test('that is dropped in the middle of a question, or while it connects, fails it, and is made anew', async () => {
    const one = connection()
    await ask(one)
    const asked = errorOf(one.query('SELECT pg_sleep(10)'))
    await untilAsleep(1)
    one.drop()
    expect(await asked).toBeInstanceOf(StoreFailure)
    const another = connection()
    const connecting = errorOf(another.query('SELECT pg_sleep(10)'))
    await Bun.sleep(0)
    another.drop()
    expect(await connecting).toBeInstanceOf(StoreFailure)
    expect(await Promise.all([ask(one), ask(another)])).toEqual([true, true])
  })

  test('does not wait for a server that has stopped answering: neither the next question, nor its end', async () => {
    const [one, two] = [connection(postgres.url(), { statementMs: 300 }), connection()]
    const stopped = await Promise.all([one, two].map(stopServer))
    try {
      expect(await errorOf(one.query('SELECT 1'))).toBeInstanceOf(StoreFailure)
      expect(await ask(one)).toBe(true)
      const startedMs = performance.now()
      await two.close()
      expect(performance.now() - startedMs).toBeLessThan(2_000)
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT')
    }
  })

  test('closes at once, whatever it is asked', async () => {
    const one = connection()
    const asked = errorOf(one.query('SELECT pg_sleep(10)'))
    const waiting = errorOf(one.query('SELECT 1'))
    await untilAsleep(1)
    await one.close()
    expect(await asked).toBeInstanceOf(StoreFailure)
    expect(await waiting).toBeInstanceOf(StoreFailure)
  })
})

describe('transactions', () => {
  test('that lose their connection fail, and leave no connection of the pool behind', async () => {
    const many = pool()
    const change = createChange(many)
    for (let i = 0; i < 3; i++) {
      const changes = Array.from({ length: 8 }, () =>
        errorOf(change((tx) => tx.execute(raw`SELECT pg_sleep(10)`))),
      )
      await untilAsleep(8)
      await killAll()
      for (const error of await Promise.all(changes)) expect(error).toBeInstanceOf(StoreFailure)
    }
    const calm = await Promise.all(
      Array.from({ length: 16 }, () =>
        change(async (tx) => (await tx.execute(raw`SELECT 1 AS one`)).rows),
      ),
    )
    expect(calm).toEqual(Array.from({ length: 16 }, () => [{ one: 1 }]))
  })

  test('that lose their connection between two statements end no process', async () => {
    const change = createChange(pool())
    const error = await errorOf(
      change(async (tx) => {
        await tx.execute(raw`SELECT 1`)
        await killAll()
        await Bun.sleep(50)
        await tx.execute(raw`SELECT 1`)
      }),
    )
    expect(error).toBeInstanceOf(StoreFailure)
  })

  test('that take too long are undone, and nobody else writes in them', async () => {
    const many = pool(postgres.url(), { statementMs: 300 })
    const change = createChange(many)
    const failed = await Promise.all(
      Array.from({ length: 8 }, () =>
        errorOf(
          change(async (tx) => {
            await tx.execute(raw`INSERT INTO notes VALUES ('undone', pg_current_xact_id()::text)`)
            await tx.execute(raw`SELECT pg_sleep(1)`)
          }),
        ),
      ),
    )
    for (const error of failed) expect(error).toBeInstanceOf(StoreFailure)
    for (let i = 0; i < 16; i++)
      await many.query("INSERT INTO notes VALUES ('done', pg_current_xact_id()::text)")
    await untilAsleep(0)
    const rows = await sql(
      postgres.url(),
      'SELECT id, count(*)::int, count(DISTINCT xid)::int AS xids FROM notes GROUP BY id',
    )
    expect(rows).toEqual([{ id: 'done', count: 16, xids: 16 }])
  })

  test('that go on after a statement has failed are not taken for done', async () => {
    const change = createChange(pool())
    const error = await errorOf(
      change(async (tx) => {
        await tx.execute(raw`INSERT INTO notes VALUES ('half')`)
        await errorOf(tx.execute(raw`SELECT 1 / 0`))
      }),
    )
    expect(error).toBeInstanceOf(Error)
  })
})

describe('of several servers', () => {
  test('the first that can be written to is taken, by the connection and by the pool', async () => {
    const [main] = addressesOf(postgres.url())
    if (!main) throw new Error('there is no server')
    const nobody = { ...main, port: 1 }
    const readOnly = { ...main, user: 'reader' }
    const three = [nobody, readOnly, main]
    const [one, many] = [new Connection(three), new Pool(three)]
    open.add(one).add(many)
    expect(await one.query('SELECT current_user AS is')).toEqual([{ is: 'proxy' }])
    // Many that fail at once go on by one server together. There are more than connections, so some wait.
    for (let i = 0; i < 2; i++)
      await Promise.all(Array.from({ length: 12 }, () => errorOf(many.query('SELECT 1'))))
    expect(await many.query('SELECT current_user AS is')).toEqual([{ is: 'proxy' }])
  })
})
