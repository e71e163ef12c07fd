/** Moving everything between SQLite and a real PostgreSQL, as an operator does it; what may be killed is killed. */
import { Database } from 'bun:sqlite'
import { expect, setDefaultTimeout, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSealer } from '../../src/lib/seal.ts'
import { fillDatabase } from '../support/backups.ts'
import { settled, until } from '../support/books.ts'
import { type Ended, runCommand } from '../support/command.ts'
import { CREDENTIAL, dumpOf, fillInstallation, readFile } from '../support/installation.ts'
import { newDatabase, sql } from '../support/postgres.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

setDefaultTimeout(120_000)

const upstream = startUpstream()
const SECRET = randomBytes(32)
const SECRET_KEY = SECRET.toString('base64')
const sealer = createSealer({ all: () => [SECRET], create: () => SECRET })
/** The books of calls that were in flight are of hours around now. */
const AT = Date.UTC(2026, 10, 25, 10, 7)

function move(from: string, to: string, ...args: string[]): Promise<Ended> {
  const command = [...COMMAND, 'migrate-data', '--from', from, '--to', to, ...args]
  return runCommand(command, { SECRET_KEY, DATA_DIR: temporaryDirectory() })
}

async function moved(from: string, to: string): Promise<Ended> {
  const ended = await move(from, to)
  expect({ err: ended.err, code: ended.code }).toEqual({ err: '', code: 0 })
  return ended
}

async function filled(): Promise<string> {
  const path = join(temporaryDirectory(), 'quota.db')
  const store = await fillInstallation('SQLite in a file', { path, sealer }, AT)
  await store.close()
  return `file:${path}`
}

/** With so many calls, and nothing else that takes time. */
function large(calls: number): string {
  const path = join(temporaryDirectory(), 'quota.db')
  fillDatabase(path, calls)
  return `file:${path}`
}

const newFile = () => `file:${join(temporaryDirectory(), 'quota.db')}`
const pathOf = (url: string) => url.replace(/^file:/, '')
const bytesOf = (url: string) => Bun.hash(readFileSync(pathOf(url)))

test('all that SQLite holds is in PostgreSQL then, and in SQLite again when it comes back', async () => {
  const [from, there, back] = [await filled(), await newDatabase(), newFile()]
  const before = await dumpOf(from)
  const bytes = bytesOf(from)
  const { out } = await moved(from, there)
  expect(out).toContain('5 of these calls were in flight')
  expect(out).toContain('equal to those in')
  expect(out + there).not.toContain(CREDENTIAL)
  // The source is as it was, to the byte.
  expect(bytesOf(from)).toBe(bytes)
  const copy = await dumpOf(there)
  for (const table of [
    'keys',
    'limits',
    'counters',
    'upstreams',
    'price_lists',
    'adjustments',
    'charged_objects',
  ])
    expect({ table, rows: copy[table] }).toEqual({ table, rows: before[table] ?? [] })
  expect(copy['counters']?.some((row) => (row as { retired: boolean }).retired)).toBe(true)

  await moved(there, back)
  expect(await dumpOf(back)).toEqual(copy)
  expect(statSync(pathOf(back)).mode & 0o077).toBe(0)
})

test('calls that a crash has cut off end in the copy as a start would end them', async () => {
  const [from, there] = [await filled(), await newDatabase()]
  await moved(from, there)
  // As a start ends them.
  const file = pathOf(from)
  const server = await startServer({ SECRET_KEY, DATABASE_URL: from })
  await server.stop()
  expect(readFile(file, 'SELECT 1 FROM holds')).toEqual([])
  const started = await dumpOf(from)
  const copy = await dumpOf(there)
  expect(copy['holds']).toEqual([])
  expect(copy['usage_hourly']).toEqual(started['usage_hourly'] ?? [])
  expect(copy['calls']).toEqual(started['calls'] ?? [])
  expect(
    copy['calls']?.filter((row) => (row as { outcome: string }).outcome === 'interrupted'),
  ).toHaveLength(5)
})

test('numbers go on where they ended, even those of rows that are gone', async () => {
  const [from, there, back] = [await filled(), await newDatabase(), newFile()]
  await moved(from, there)
  await moved(there, back)
  const numbers = "SELECT name, seq FROM sqlite_sequence WHERE name <> 'usage_hourly' ORDER BY name"
  const before = readFile(pathOf(from), numbers)
  expect(readFile(pathOf(back), numbers)).toEqual(before)
  const byName = Object.fromEntries(before.map(({ name, seq }) => [String(name), Number(seq)]))
  expect(byName['limits']).toBeGreaterThan(
    Number(readFile(pathOf(from), 'SELECT max(id) AS id FROM limits')[0]?.['id']),
  )
  for (const [table, column] of [
    ['keys', 'seq'],
    ['limits', 'id'],
    ['counters', 'id'],
    ['upstreams', 'id'],
  ] as const) {
    const [next] = await sql<{ n: string }>(
      there,
      `SELECT nextval(pg_get_serial_sequence('${table}', '${column}')) AS n`,
    )
    expect({ table, n: Number(next?.n) }).toEqual({ table, n: (byName[table] ?? 0) + 1 })
  }
  const [seq] = await sql<{ n: string; last: string }>(
    there,
    "SELECT nextval('call_seq') AS n, (SELECT max(seq) FROM calls) AS last",
  )
  expect(Number(seq?.n)).toBe(Number(seq?.last) + 1)
})

test('a key that was moved goes on with what is left of it, there and back', async () => {
  const env = { SECRET_KEY, PROXY_EGRESS_ALLOW: upstream.host }
  const server = await startServer(env)
  const { dataDir } = server
  const { key, id } = await issueKey(server, { quota: 5 })
  const statusOf = async (on: typeof server) => {
    const response = await on.call(key, { endpoint: upstream.url })
    await response.text()
    return response.status
  }
  expect(await statusOf(server)).toBe(200)
  await settled(server)
  // What it has written last is in its log only.
  await server.stop('SIGKILL')
  const [file, there, back] = [`file:${join(dataDir, 'quota.db')}`, await newDatabase(), newFile()]
  await moved(file, there)

  const second = await startServer({ ...env, DATABASE_URL: there }, dataDir)
  expect(await statusOf(second)).toBe(200)
  const shown = async (on: typeof server) =>
    (await (await on.admin('GET', `/admin/keys/${id}`)).json()) as { used: number; quota: number }
  const charged = async () =>
    Number((await sql<{ n: number }>(there, 'SELECT count(*)::int AS n FROM calls'))[0]?.n)
  await waitFor(async () => (await charged()) === 2)
  expect(await shown(second)).toMatchObject({ used: 2, quota: 5 })
  await second.stop()

  await moved(there, back)
  const third = await startServer({ ...env, DATABASE_URL: back }, dataDir)
  expect(await statusOf(third)).toBe(200)
  expect(await shown(third)).toMatchObject({ used: 3, quota: 5 })
  for (const status of [200, 200, 429]) expect(await statusOf(third)).toBe(status)
  await third.stop()
})

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return
    await Bun.sleep(25)
  }
  throw new Error(`not true in time: ${condition}`)
}

function begin(from: string, to: string) {
  return Bun.spawn([...COMMAND, 'migrate-data', '--from', from, '--to', to], {
    env: { PATH: process.env['PATH'] ?? '', SECRET_KEY, DATA_DIR: temporaryDirectory() },
    stdout: 'ignore',
    stderr: 'ignore',
  })
}

test('killed on the way to PostgreSQL, it goes on, and no server takes the half', async () => {
  const calls = 20_000
  const [from, there] = [large(calls), await newDatabase()]
  const bytes = bytesOf(from)
  const there_ = async () => {
    const [table] = await sql<{ there: boolean }>(
      there,
      "SELECT to_regclass('calls') IS NOT NULL AS there",
    )
    if (table?.there !== true) return 0
    return Number((await sql<{ n: number }>(there, 'SELECT count(*)::int AS n FROM calls'))[0]?.n)
  }
  const child = begin(from, there)
  await waitFor(async () => (await there_()) > 0)
  child.kill('SIGKILL')
  await child.exited
  const half = await there_()
  expect(half).toBeLessThan(calls)
  expect(bytesOf(from)).toBe(bytes)

  const served = await runCommand([...COMMAND, 'serve'], {
    ...{ SECRET_KEY, DATABASE_URL: there, PORT: '0', DATA_DIR: join(temporaryDirectory(), 'data') },
  })
  expect(served.code).toBe(2)
  expect(served.err).toContain('This database holds a copy that is not finished.')

  const dry = await move(from, there, '--dry-run', '--json')
  expect(JSON.parse(dry.out)).toMatchObject({
    dry_run: true,
    plan: { how: 'resumed', interrupted: 0 },
  })
  expect(await there_()).toBe(half)
  const { out } = await moved(from, there)
  expect(out).toContain('from a copy that was cut off')
  expect(await there_()).toBe(calls)
  expect(await dumpOf(there)).toEqual(await dumpOf(from))

  const again = await moved(from, there)
  expect(again.out).toContain('The target has all of them already.')
})

test('killed on the way to SQLite, it goes on, and there is no half where a server looks', async () => {
  const calls = 20_000
  const [from, there, back] = [large(calls), await newDatabase(), newFile()]
  await moved(from, there)
  const half = `${pathOf(back)}.moving`
  const copied = () => {
    try {
      return Number(readFile(half, 'SELECT count(*) AS n FROM calls')[0]?.['n'])
    } catch {
      return 0
    }
  }
  const child = begin(there, back)
  await until(() => copied() > 0, 20_000)
  child.kill('SIGKILL')
  await child.exited
  expect(copied()).toBeLessThan(calls)
  expect(existsSync(pathOf(back))).toBe(false)
  const { out } = await moved(there, back)
  expect(out).toContain('from a copy that was cut off')
  expect(existsSync(half)).toBe(false)
  // The blocks by which calls of a key are found are those of the calls.
  const blocks = readFile(pathOf(back), 'SELECT id FROM call_blocks ORDER BY id')
  const ofCalls = 'SELECT DISTINCT (key_seq << 32) | (seq >> 8) AS id FROM calls ORDER BY id'
  expect(blocks).toEqual(readFile(pathOf(back), ofCalls))
  expect(await dumpOf(back)).toEqual(await dumpOf(from))
  expect((await moved(there, back)).out).toContain('The target has all of them already.')
})

test('killed at any moment, it is finished by running it again', async () => {
  const from = await filled()
  for (const ms of [200, 350, 500]) {
    for (const to of [await newDatabase(), newFile()]) {
      const child = begin(from, to)
      await Bun.sleep(ms)
      child.kill('SIGKILL')
      await child.exited
      await moved(from, to)
    }
  }
})

test('a source that has changed since a copy was cut off is copied anew', async () => {
  const [from, there] = [large(20_000), await newDatabase()]
  const child = begin(from, there)
  const begun = "SELECT to_regclass('unfinished_move') IS NOT NULL AS there"
  await waitFor(async () => (await sql<{ there: boolean }>(there, begun))[0]?.there === true)
  child.kill('SIGKILL')
  await child.exited
  const client = new Database(pathOf(from))
  client.run('DELETE FROM calls WHERE seq <= 10')
  client.run('UPDATE counters SET pruned = 10')
  client.close()
  expect((await moved(from, there)).out).toContain('does not fit the source as it is now')
  expect(await dumpOf(there)).toEqual(await dumpOf(from))
})

test('a target that does not keep what it is given is told of, stays refused, and is made good by another run', async () => {
  const [from, there] = [await filled(), await newDatabase()]
  // The tables, without anything in them.
  const empty = await startServer({ SECRET_KEY, DATABASE_URL: there })
  await empty.stop()
  await sql(
    there,
    `CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.latency_ms := NEW.latency_ms + 1; RETURN NEW; END'`,
  )
  await sql(
    there,
    'CREATE TRIGGER spoil BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION spoil()',
  )
  const { err, code } = await move(from, there)
  expect(code).toBe(1)
  expect(err).toContain('The target differs from the source.')
  expect(err).toContain('  - calls: 36 rows, not all equal')
  const served = await runCommand([...COMMAND, 'serve'], {
    SECRET_KEY,
    DATABASE_URL: there,
    PORT: '0',
    DATA_DIR: temporaryDirectory(),
  })
  expect(served.err).toContain('not finished')
  await sql(there, 'DROP TRIGGER spoil ON calls')
  expect((await moved(from, there)).out).toContain('all is copied again')
})

test('books that did not balance before are copied as they are, and told of', async () => {
  const [from, there] = [large(3), await newDatabase()]
  const client = new Database(pathOf(from))
  client.run('UPDATE counters SET used = used + 1')
  client.close()
  const { out, code } = await move(from, there)
  expect(code).toBe(1)
  expect(out).toContain('1 of 1 counters do not balance')
  expect(out).toContain('whether it was so before')
  expect(await dumpOf(there)).toEqual(await dumpOf(from))
})

test('a plan changes nothing, and says what there is to copy', async () => {
  const from = await filled()
  const to = join(temporaryDirectory(), 'new', 'quota.db')
  const { out, err, code } = await move(from, `file:${to}`, '--dry-run')
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(out).toMatch(/^calls +36$/m)
  expect(out).toContain('Nothing was copied')
  expect(existsSync(join(to, '..'))).toBe(false)
  const there = await newDatabase()
  expect((await move(from, there, '--dry-run')).code).toBe(0)
  expect(await sql(there, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")).toEqual([])
})

test('with --json it says all of it in one object', async () => {
  const [from, there] = [await filled(), await newDatabase()]
  const { out, code } = await move(from, there, '--json')
  expect(code).toBe(0)
  const said = JSON.parse(out)
  expect(said).toMatchObject({ dry_run: false, same: true, plan: { how: 'new', interrupted: 5 } })
  const bad = said.doctor.findings.filter(({ ok }: { ok: boolean }) => !ok)
  expect(bad.map(({ check }: { check: string }) => check)).toEqual([])
  const calls = said.tables.find(({ name }: { name: string }) => name === 'calls')
  expect(calls.from).toEqual(calls.to)
  expect(calls.from).toMatchObject({ rows: 36 })
})

async function refused(command: Promise<Ended>, ...says: string[]): Promise<void> {
  const { out, err, code } = await command
  expect({ out, code }).toEqual({ out: '', code: 2 })
  for (const text of says) expect(err).toContain(text)
  expect(err.trim().split('\n')).toHaveLength(1)
}

test('it is refused, with one sentence that says what to do, and nothing is changed', async () => {
  const [from, there] = [await filled(), await newDatabase()]
  const server = there.replace(/\/[^/]*$/, '')
  const text = join(temporaryDirectory(), 'text')
  writeFileSync(
    text,
    'no database at all, but a text that is longer than the header of one'.repeat(20),
  )
  const foreign = await newDatabase()
  await sql(foreign, 'CREATE TABLE keys (a int)')
  const other = join(temporaryDirectory(), 'other.db')
  const client = new Database(other)
  client.run('CREATE TABLE something (a)')
  client.close()

  await refused(move('mysql://a/b', there), '--from must be')
  await refused(move(from, 'postgres://a'), '--to ')
  await refused(move(from, ':memory:'), '--to must outlive')
  await refused(move(from, from), 'are the same database')
  await refused(
    move(from, `file:${pathOf(from).replace('/quota.db', '/./quota.db')}`),
    'are the same database',
  )
  await refused(move(there, there), 'are the same database')
  await refused(move(newFile(), there), 'There is no database at')
  await refused(move(there, newFile()), 'no tables of quota-proxy')
  await refused(move(`${server}/absent`, newFile()), 'Create the database first')
  await refused(move(from, `${server}/absent`), 'Create the database first')
  await refused(move(from, 'postgres://a@127.0.0.1:1/b'), 'ECONNREFUSED', 'Check the URL')
  await refused(move(from, foreign), 'holds tables of something else')
  await refused(move(from, `file:${other}`), 'is the database of something else')
  await refused(move(`file:${other}`, there), 'is no database of quota-proxy')
  await refused(move(`file:${text}`, there), 'Name a database of quota-proxy')
  await refused(move(from, `file:${text}`), 'Name a database of quota-proxy')
  await refused(move(from, large(3)), 'is not empty: it holds 1 keys and 3 calls')
  const neither = await runCommand([...COMMAND, 'migrate-data'], { DATA_DIR: temporaryDirectory() })
  expect(neither.code).toBe(2)
  expect(await sql(there, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")).toEqual([])
})

test('a source or a target that is served is refused, and so is a filled PostgreSQL', async () => {
  const env = { SECRET_KEY }
  const server = await startServer(env)
  const file = `file:${join(server.dataDir, 'quota.db')}`
  const there = await newDatabase()
  await refused(move(file, there), 'Stop it first')
  // A plan can be made meanwhile.
  const plan = await move(file, there, '--dry-run')
  expect(plan.code).toBe(0)
  expect(plan.out).toContain('Stop it first')
  await server.stop()
  const other = await startServer({ ...env, DATABASE_URL: there })
  await refused(move(file, there), 'may be serving', 'Stop all of them')
  await refused(move(there, newFile()), 'may be serving')
  const second = await move(there, newFile(), '--dry-run', '--json')
  expect(JSON.parse(second.out)).toMatchObject({
    plan: { served: expect.stringContaining('may be serving') },
  })
  await issueKey(other)
  await other.stop()
  await refused(move(file, there), 'is not empty: it holds 1 keys and 0 calls')
  // Nobody serves it, and it can be moved away.
  await moved(there, newFile())
})

test('a secret key that does not open every credential is refused, since they would be lost', async () => {
  const [from, there] = [await filled(), await newDatabase()]
  const wrong = { SECRET_KEY: randomBytes(32).toString('base64'), DATA_DIR: temporaryDirectory() }
  const command = [...COMMAND, 'migrate-data', '--from', from, '--to', there]
  await refused(
    runCommand(command, wrong),
    'The credential of the upstream "openai" cannot be opened',
    'Put that key back',
  )
  await refused(runCommand(command, { DATA_DIR: temporaryDirectory() }), 'Put that key back')
  // Of a server that has been at the target with another key.
  const server = await startServer({ SECRET_KEY: wrong.SECRET_KEY, DATABASE_URL: there })
  await server.stop()
  await refused(move(from, there), 'belongs to an installation with another secret key')
})

test('an unfinished copy of another database is left alone', async () => {
  const [from, there] = [large(20_000), await newDatabase()]
  const child = begin(from, there)
  const begun = "SELECT to_regclass('unfinished_move') IS NOT NULL AS there"
  await waitFor(async () => (await sql<{ there: boolean }>(there, begun))[0]?.there === true)
  child.kill('SIGKILL')
  await child.exited
  await refused(move(await filled(), there), 'an unfinished copy of another database')
})

test('a source of an older or a newer version is refused untouched', async () => {
  const there = await newDatabase()
  const older = join(temporaryDirectory(), 'old.db')
  const stored = join(import.meta.dir, '../fixtures/databases/0003_charges.sqlite.gz')
  writeFileSync(older, Bun.gunzipSync(readFileSync(stored)))
  await refused(move(`file:${older}`, there), 'older version', 'quota-proxy migrate')
  const newer = await filled()
  const client = new Database(pathOf(newer))
  client.run("INSERT INTO schema_migrations VALUES ('9999_later', '', 0)")
  client.close()
  await refused(move(newer, there), '"9999_later"')
})

test('a password in the command line is warned of, and shown nowhere', async () => {
  const from = await filled()
  const { err, out } = await move(from, 'postgres://a:hunter2@127.0.0.1:1/b')
  expect(err).toContain('warning: other users of this machine can see the password in --to')
  expect(err + out).not.toContain('hunter2')
})

test('two moves to one target do not mix: the later one takes over', async () => {
  const [from, there] = [large(20_000), await newDatabase()]
  const first = begin(from, there)
  const begun = "SELECT to_regclass('unfinished_move') IS NOT NULL AS there"
  await waitFor(async () => (await sql<{ there: boolean }>(there, begun))[0]?.there === true)
  await sql(there, "UPDATE unfinished_move SET run = 'another'")
  expect(await first.exited).toBe(1)
  await moved(from, there)
})
