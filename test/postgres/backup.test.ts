/**
 * Backups of PostgreSQL with PostgreSQL's own programs, on a server that is not newer than they are: what is dumped, what is
 * restored, and that nobody sees a password. Without such programs these tests skip.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createBackupEngine } from '../../src/db/backup.ts'
import { type Env, run } from '../support/backups.ts'
import { type PostgresServer, sql, startPostgres } from '../support/postgres.ts'
import { startServer, temporaryDirectory } from '../support/server.ts'
import { addKey, end, hold, openTestStore, type TestStore } from '../support/store.ts'

setDefaultTimeout(120_000)

const NAME = /^quota-\d{8}T\d{6}Z-[0-9a-f]{6}\.dump\.zst$/

/** The programs of the server beside the client's: of one version. Null if they are not there, or of too old a version. */
function serverBinaries(): string | null {
  const found = Bun.which('pg_dump')
  if (found === null) return null
  const { stdout } = Bun.spawnSync([found, '--version'])
  const major = /\b(\d+)/.exec(stdout.toString())?.[1] ?? ''
  const places = [dirname(realpathSync(found)), `/usr/lib/postgresql/${major}/bin`]
  const place = places.find((each) => existsSync(join(each, 'initdb')))
  return place !== undefined && Number(major) >= 15 ? place : null
}

const binaries = serverBinaries()
const here = test.skipIf(binaries === null)
const started = binaries === null ? null : startPostgres({}, binaries)

async function server(): Promise<PostgresServer> {
  if (!started) throw new Error('there are no programs of PostgreSQL')
  return await started
}

afterAll(async () => {
  await (await started)?.stop()
})

let names = 0

/** A role of its own with a password, and a database that it owns. */
async function owned(
  rights = 'CREATEDB',
): Promise<{ url: string; role: string; password: string }> {
  const on = await server()
  const role = `owner_${process.pid}_${++names}`
  const password = `p%w ${role}`
  await sql(on.url(), `CREATE ROLE ${role} LOGIN ${rights} PASSWORD '${password}'`)
  await sql(on.url(), `CREATE DATABASE ${role} OWNER ${role}`)
  const url = `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${on.port}/${role}`
  return { url, role, password }
}

type Filled = {
  readonly store: TestStore
  readonly url: string
  readonly env: Env
  readonly dataDir: string
}

/** One key, five calls that have ended and one in flight. */
async function filled(rights?: string): Promise<Filled> {
  const { url } = await owned(rights)
  const store = await openTestStore('PostgreSQL', { path: url })
  const key = await addKey(store, [{ amount: 100 }])
  for (let i = 0; i < 5; i++) await end(store, await hold(store, key, 1_000 + i))
  await hold(store, key, 2_000)
  return { store, url, env: { DATABASE_URL: url }, dataDir: temporaryDirectory() }
}

/** Charges calls, one after the other, until the function that it resolves with is called; that tells how many. */
async function charge(store: TestStore): Promise<() => Promise<number>> {
  const key = await addKey(store, [{ amount: 1_000_000 }])
  let going = true
  const charging = (async () => {
    let n = 0
    while (going) {
      await end(store, await hold(store, key, 5_000))
      n++
    }
    return n
  })()
  return () => {
    going = false
    return charging
  }
}

const json = (out: string) => JSON.parse(out || '{}')

async function create({ dataDir, env }: Filled) {
  const { out, err, code } = await run(dataDir, ['backup', 'create', '--json'], env)
  expect({ err, code, ok: json(out).ok, error: json(out).error }).toEqual({
    err: '',
    code: 0,
    ok: true,
    error: undefined,
  })
  return json(out).backup
}

const leftovers = async () =>
  await sql(
    (await server()).url(),
    "SELECT datname FROM pg_database WHERE datname LIKE 'quota\\_proxy\\_verify%'",
  )

const calls = async (url: string, schema = 'public') =>
  Number((await sql<{ n: string }>(url, `SELECT count(*) AS n FROM ${schema}.calls`))[0]?.n)

here(
  'a backup is made while calls are charged, is restored once to verify it, and can be listed',
  async () => {
    const installation = await filled()
    const { store, dataDir, env } = installation
    const stop = await charge(store)
    const backup = await create(installation)
    expect(await stop()).toBeGreaterThan(0)
    expect(store.events).toEqual([])
    expect(backup.name).toMatch(NAME)
    expect(backup).toMatchObject({
      format: 1,
      encrypted: false,
      sums: { keys: 2, unbalanced: 0 },
    })
    expect(backup.verified).toBeUndefined()
    expect(backup.sums.requests).toBe(backup.sums.calls + backup.sums.holds)
    expect(backup.sums.migrations[0]).toBe('0000_init')
    expect(await leftovers()).toEqual([])
    const { out } = await run(dataDir, ['backup', 'list'], env)
    expect(out).toContain(backup.name)
    const verified = await run(dataDir, ['backup', 'verify'], env)
    expect({ ...verified, out: '' }).toEqual({ out: '', err: '', code: 0 })
    expect(verified.out).toContain('sound. It holds 2 keys')
    expect(
      readdirSync(join(dataDir, 'backups')).filter((file) => file.startsWith('.create')),
    ).toEqual(['.create.lock'])
  },
)

here(
  'a role that may not create databases has its backup read to its end, and is told',
  async () => {
    const installation = await filled('')
    const { store, dataDir, env } = installation
    const stop = await charge(store)
    const backup = await create(installation)
    await stop()
    expect(backup).toMatchObject({ verified: 'read', sums: { keys: 2, unbalanced: 0 } })
    // What was counted is what was dumped, to the call.
    const { url } = await owned()
    const path = join(dataDir, 'backups', backup.name)
    const restored = await run(temporaryDirectory(), ['restore', path, '--yes'], {
      DATABASE_URL: url,
    })
    expect({ ...restored, out: '' }).toEqual({ out: '', err: '', code: 0 })
    const [sums] = await sql(
      url,
      'SELECT (SELECT count(*)::integer FROM calls) AS calls, (SELECT sum(used)::integer FROM counters) AS requests',
    )
    expect(sums).toEqual({ calls: backup.sums.calls, requests: backup.sums.requests })
    const { out, code } = await run(dataDir, ['backup', 'verify'], env)
    expect(code).toBe(0)
    expect(out).toContain('can be read to its end (it was not restored, since the role')
  },
)

here('a dump is read by the programs of PostgreSQL alone', async () => {
  const { dataDir, ...rest } = await filled()
  const { name } = await create({ dataDir, ...rest })
  const dump = join(temporaryDirectory(), 'quota.dump')
  await Bun.$`zstd -q -d ${join(dataDir, 'backups', name)} -o ${dump}`.nothrow()
  if (!existsSync(dump)) return
  const list = await Bun.$`pg_restore --list ${dump}`.text()
  expect(list).toContain('TABLE DATA public calls')
  expect(list).toContain('FUNCTION public quota_write')
  expect(list).not.toContain('EXTENSION')
  const { url } = await owned()
  const restored =
    await Bun.$`pg_restore --no-owner --schema=public --single-transaction --dbname=${url} ${dump}`.quiet()
  expect(restored.stderr.toString()).toBe('')
  expect(await calls(url)).toBe(5)
})

here('a backup that was changed, or is of another kind, is found out', async () => {
  const installation = await filled()
  const { store, dataDir, env } = installation
  const { name } = await create(installation)
  await store.close()
  const path = join(dataDir, 'backups', name)
  const manifest = json(readFileSync(`${path}.json`, 'utf8'))
  manifest.sums.keys = 7
  await Bun.write(`${path}.json`, JSON.stringify(manifest))
  const changed = await run(dataDir, ['backup', 'verify'], env)
  expect(changed).toMatchObject({ code: 1 })
  expect(changed.err).toContain('It is not what its manifest says')
  const other = join(temporaryDirectory(), 'quota.db')
  const { fillDatabase } = await import('../support/backups.ts')
  fillDatabase(other, 3)
  const foreign = await run(dataDir, ['restore', other, '--yes'], env)
  expect(foreign.err).toContain('It is of another kind of database than DATABASE_URL names.')
  const dump = join(dataDir, 'backups', name)
  const back = await run(temporaryDirectory(), ['restore', dump, '--yes'])
  expect(back.err).toContain('It is of another kind of database than DATABASE_URL names.')
  expect(await leftovers()).toEqual([])
})

here(
  'a database is restored as it was, and the one of before is kept in a schema of its own',
  async () => {
    const installation = await filled()
    const { store, url, dataDir, env } = installation
    const { name } = await create(installation)
    const key = await addKey(store, [{ amount: 9 }], 3_000)
    for (let i = 0; i < 3; i++) await end(store, await hold(store, key, 4_000))
    const served = await run(dataDir, ['restore', name, '--yes'], env)
    expect(served.err).toContain(
      '1 replicas serve this database (the replica of tests). Stop all of them first',
    )
    await store.close()

    const dry = await run(dataDir, ['restore', 'latest', '--dry-run'], env)
    expect({ ...dry, out: '' }).toEqual({ out: '', err: '', code: 0 })
    expect(dry.out).toContain('holds 1 key and 5 calls; the database now holds 2 keys and 8 calls')
    expect(await calls(url)).toBe(8)

    const { out, err, code } = await run(dataDir, ['restore', 'latest', '--yes'], env)
    expect({ err, code }).toEqual({ err: '', code: 0 })
    const [, kept = ''] =
      /The one of before is the schema (quota_before_restore_\w+)/.exec(out) ?? []
    expect(await calls(url)).toBe(5)
    expect(await calls(url, kept)).toBe(8)

    // The call in flight of the time of the backup is ended, the books balance, and numbers go on.
    const again = await openTestStore('PostgreSQL', { path: url })
    for (let i = 0; i < 400 && (await calls(url)) < 6; i++) await Bun.sleep(50)
    expect(await calls(url)).toBe(6)
    const later = await addKey(again, [{ amount: 9 }])
    await end(again, await hold(again, later, 9_000))
    const books = (await again.examine(0)).findings.find(({ check }) => check === 'books')
    expect(books).toMatchObject({ ok: true })
    await again.close()
  },
)

here(
  'a server that begins while a backup is restored stops that, and goes on serving',
  async () => {
    const { store, url } = await filled()
    const engine = await createBackupEngine(url, temporaryDirectory())
    const dump = join(temporaryDirectory(), 'copy.dump')
    await engine?.copy(dump)
    const replaced = engine?.replace(dump, Date.UTC(2026, 0, 1))
    await expect(replaced).rejects.toThrow('A server has begun to serve this database.')
    expect(await sql(url, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'quota%'")).toEqual(
      [],
    )
    const key = await addKey(store, [{ amount: 9 }])
    await end(store, await hold(store, key, 4_000))
    expect(store.events).toEqual([])
  },
)

here(
  'into an empty database a backup is restored, too, and a second restore keeps both of before',
  async () => {
    const installation = await filled()
    const { name } = await create(installation)
    const { url } = await owned()
    const env = { DATABASE_URL: url }
    const path = join(installation.dataDir, 'backups', name)
    const first = await run(temporaryDirectory(), ['restore', path, '--yes'], env)
    expect({ ...first, out: '' }).toEqual({ out: '', err: '', code: 0 })
    expect(first.out).toContain('The backup is the database now.\n')
    expect(await calls(url)).toBe(5)
    // Leases are as long as they were at the time of the backup.
    await sql(url, 'UPDATE replicas SET lease_until = 0')
    for (let i = 0; i < 2; i++) {
      const { code, err } = await run(temporaryDirectory(), ['restore', path, '--yes'], env)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      await sql(url, 'UPDATE replicas SET lease_until = 0')
    }
    const schemas = await sql(url, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'quota%'")
    expect(schemas).toHaveLength(2)
  },
)

here('a restore that fails on the way leaves the database as it was', async () => {
  const installation = await filled()
  const { store, url, dataDir, env } = installation
  const { name } = await create(installation)
  await store.close()
  // In the way of an index of the dump, which is made after all rows are there.
  await sql(url, 'ALTER INDEX keys_by_created RENAME TO keys_by_created_2')
  await sql(url, 'CREATE SEQUENCE keys_by_created')
  const before = await sql(
    url,
    'SELECT sum(used)::bigint AS used, count(*) AS counters FROM counters',
  )
  const { err, code } = await run(dataDir, ['restore', name, '--yes'], env)
  expect(code).toBe(1)
  expect(err).toContain('already exists')
  expect(
    await sql(url, 'SELECT sum(used)::bigint AS used, count(*) AS counters FROM counters'),
  ).toEqual(before)
  expect(await calls(url)).toBe(5)
  expect(await sql(url, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'quota%'")).toEqual([])
})

here('of all servers that a backup is due at, one makes it', async () => {
  const { url } = await filled()
  const engines = await Promise.all(
    Array.from({ length: 8 }, () => createBackupEngine(url, temporaryDirectory())),
  )
  const claims = (due: number) => Promise.all(engines.map((engine) => engine?.shared?.claim(due)))
  for (const due of [60_000, 120_000]) {
    expect((await claims(due)).filter((mine) => mine)).toHaveLength(1)
    expect((await claims(due)).filter((mine) => mine)).toHaveLength(0)
  }
})

here('a backup that another server makes is not made, and is no failure', async () => {
  const { url, dataDir, env } = await filled()
  const due = ['backup', 'create', '--json', '--due', '180000']
  const [one, other] = await Promise.all([
    run(dataDir, due, env),
    run(temporaryDirectory(), due, env),
  ])
  const outcomes = [json(one.out), json(other.out)]
  expect(outcomes.map(({ ok }) => ok).toSorted()).toEqual([false, true])
  expect(outcomes.find(({ ok }) => !ok)).toMatchObject({ reason: 'elsewhere', backup: null })
  const { success, latest } = (
    await sql<{ record: { latest: unknown; success: unknown } }>(url, 'SELECT record FROM chores')
  )[0]?.record ?? { success: null, latest: null }
  expect(latest).toMatchObject({ ok: true })
  expect(success).not.toBeNull()
})

here('servers of one database know of each other’s backups', async () => {
  const installation = await filled()
  const { url } = installation
  const [one, other] = [await createBackupEngine(url, 'a'), await createBackupEngine(url, 'b')]
  expect(await other?.shared?.read()).toBeNull()
  const { name } = await create(installation)
  expect(await other?.shared?.read()).toMatchObject({ latest: { ok: true }, success: { name } })
  expect(await one?.shared?.claim(60_000)).toBe(true)
  expect(await other?.shared?.read()).toMatchObject({ success: { name } })
})

here('a server makes backups when it is asked, and reports them', async () => {
  const { url } = await owned()
  const served = await startServer({ DATABASE_URL: url })
  const response = await served.admin('POST', '/admin/backups', {})
  expect(response.status).toBe(201)
  const made = (await response.json()) as { name: string; contents: unknown }
  expect(made.name).toMatch(NAME)
  const { code, out } = await run(served.dataDir, ['doctor', '--json'], { DATABASE_URL: url })
  expect(code).toBe(out.includes('fsync is off') ? 1 : 0)
  expect(
    json(out).findings.find(({ check }: { check: string }) => check === 'backup'),
  ).toMatchObject({ ok: true, detail: expect.stringContaining('the latest is of') })
  await served.stop()
})
