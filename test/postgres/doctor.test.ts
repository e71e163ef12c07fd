/** What doctor finds in a PostgreSQL database: that a healthy one is well, and each kind of fault by its name. */
import { expect, test } from 'bun:test'
import pg from 'pg'
import { examineServer } from '../../src/db/postgres/health/doctor.ts'
import { withSnapshot } from '../../src/db/postgres/snapshot.ts'
import { parsePostgresUrl } from '../../src/domain/postgres-url.ts'
import type { Finding } from '../../src/domain/store.ts'
import { newDatabase, sql, startPostgres } from '../support/postgres.ts'
import { addKey, end, hold, ONE, openTestStore, type TestStore } from '../support/store.ts'
import { HOUR } from '../support/time.ts'

/** Two calls that have ended and one in flight. */
async function served(): Promise<TestStore> {
  const store = await openTestStore('PostgreSQL')
  const limits = [{ amount: 100 }, { name: 'money', unit: 'cost' as const, amount: 1_000 }]
  const key = await addKey(store, limits, 0, { concurrency: 5 })
  for (let i = 0; i < 2; i++) await end(store, await hold(store, key, await now(store)))
  await hold(store, key, await now(store), { ...ONE, cost: 30 })
  return store
}

async function now(store: TestStore): Promise<number> {
  const [row] = await sql<{ now: number }>(
    store.path,
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now',
  )
  return row?.now ?? 0
}

function addressesOf(url: string) {
  const parsed = parsePostgresUrl(url)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.addresses
}

async function examine(store: TestStore, skewMs = 0): Promise<Finding[]> {
  const at = (await now(store)) + skewMs
  return [...((await examineServer(addressesOf(store.path), at))?.findings ?? [])]
}

async function find(store: TestStore, check: Finding['check'], skewMs = 0) {
  return (await examine(store, skewMs)).find((one) => one.check === check)
}

test('a healthy database is found well, while it is served', async () => {
  const store = await served()
  const findings = await examine(store)
  expect(findings.map(({ check }) => check)).toEqual([
    'books', 'holds', 'integrity', 'clock', 'prices', 'server', 'replicas', 'bloat',
  ]) // biome-ignore format: one list
  const server = findings.find(({ check }) => check === 'server')
  expect(findings.filter(({ ok }) => !ok)).toEqual(server?.ok === false ? [server] : [])
  const details = Object.fromEntries(findings.map(({ check, detail }) => [check, detail]))
  expect(details['books']).toContain('2 counters balance with the ledger')
  expect(details['holds']).toBe('1 open, none stuck')
  expect(details['replicas']).toMatch(
    /^1 serve this database; the replica of tests \(.+, up \d+ s, lease 1[0-5] s\)$/,
  )
  expect(details['bloat']).toMatch(
    /calls \d+ dead beside \d+ live rows; counters .+; holds .+; oldest transaction \d+ s/,
  )
  for (const detail of Object.values(details)) expect(detail).not.toContain('\n')
})

test('nothing is examined where there is no database of ours', async () => {
  expect(await examineServer(addressesOf(await newDatabase()), 0)).toBeNull()
})

test('an examination can write nothing', async () => {
  const store = await served()
  const writing = withSnapshot(addressesOf(store.path), (_, { client }) =>
    client.query('UPDATE counters SET used = 0'),
  )
  await expect(writing).rejects.toMatchObject({ code: '25006' })
})

const FAULTS: readonly [Finding['check'], string, string, number | undefined][] = [
  ['books', "UPDATE counters SET used = used + 1 WHERE unit = 'requests'", '1 of 2 counters do not balance, such as quota of key_', 1],
  ['books', "UPDATE counters SET used = used + 1 WHERE unit = 'requests'", '4 used, 3 in the ledger', 1],
  ['books', 'UPDATE counters SET pruned = 7', '2 of 2 counters do not balance', 2],
  ['books', "UPDATE counters SET held = 9 WHERE unit = 'cost'", '9 held, 30 by calls in flight', 1],
  ['books', 'DELETE FROM calls WHERE seq = (SELECT min(seq) FROM calls)', '3 used, 2 in the ledger', 1],
  ['books', 'DELETE FROM holds', 'counts of calls in flight are wrong, such as key:', 3],
  ['books', 'UPDATE in_flight SET calls = 4', '4 counted, 1 in flight', 1],
  ['books', 'DELETE FROM in_flight', '0 counted, 1 in flight', 1],
  ['holds', `UPDATE holds SET at = at - ${3 * HOUR}`, '1 of 1 holds are older than any call may be', 1],
  ['holds', 'UPDATE holds SET replica = 77', '1 of 1 holds belong to a replica that has ended', 1],
  ['clock', `UPDATE calls SET at = at + ${HOUR}`, 'the newest entry is 3600 s in the future', undefined],
  [
    'replicas',
    "INSERT INTO replicas (id, version, started_at, lease_until) VALUES ('lost', '1', 0, 0)",
    '1 ran out of their lease and were not noticed',
    1,
  ],
] // biome-ignore format: one table

for (const [check, fault, detail, count] of FAULTS) {
  test(`${check}: "${fault}" is found`, async () => {
    const store = await served()
    // Whatever would mend it is gone.
    await store.close()
    if (check === 'replicas' || fault.startsWith('UPDATE holds SET at'))
      await sql(
        store.path,
        'UPDATE replicas SET ended_at = NULL, lease_until = lease_until + 60000',
      )
    await sql(store.path, fault)
    const found = await find(store, check)
    expect(found).toMatchObject({ ok: false })
    expect(found?.detail).toContain(detail)
    expect(found?.count).toBe(count)
  })
}

test('clocks that differ are found, whichever is ahead', async () => {
  const store = await served()
  expect((await find(store, 'clock', 30_000))?.detail).toContain(
    'database is 30 s behind the one here',
  )
  expect((await find(store, 'clock', -30_000))?.detail).toContain(
    'database is 30 s ahead of the one here',
  )
  expect(await find(store, 'clock', 5_000)).toMatchObject({ ok: true })
})

test('upstreams without prices are named, unless no key with a limit in money may call them', async () => {
  const store = await served()
  const add = (name: string, kind: string) =>
    sql(
      store.path,
      "INSERT INTO upstreams (name, base_url, settings, revision, created_at, updated_at) VALUES ($1, 'https://a.example', $2, 1, 0, 0)",
      [name, { meter: { kind } }],
    )
  await add('untold', 'tokens')
  await add('counted', 'requests')
  const named = (await find(store, 'prices'))?.detail
  expect(named).toContain('1 upstreams have no prices, such as untold')
  await sql(store.path, `UPDATE keys SET scope = '{"upstreams": ["counted"]}'`)
  expect(await find(store, 'prices')).toMatchObject({ count: 0 })
  await sql(store.path, `UPDATE keys SET scope = '{"upstreams": ["untold"]}'`)
  expect(await find(store, 'prices')).toMatchObject({ count: 1 })
  await sql(
    store.path,
    "INSERT INTO price_lists (upstream, at, prices) VALUES ('untold', 0, '[{}]')",
  )
  expect(await find(store, 'prices')).toMatchObject({ count: 0 })
})

test('versions of replicas are listed, and that they differ is said', async () => {
  const store = await served()
  const later = (await now(store)) + 10_000
  await sql(
    store.path,
    `INSERT INTO replicas (id, version, started_at, lease_until) VALUES ('other:/data', '9.9.9', 0, ${later})`,
  )
  const found = await find(store, 'replicas')
  expect(found?.ok).toBe(true)
  expect(found?.detail).toContain('2 serve this database; they are of several versions')
  expect(found?.detail).toContain('other:/data (9.9.9, up')
})

test('with amcheck, indexes are checked, and a damaged one is named', async () => {
  const store = await served()
  expect((await find(store, 'integrity'))?.detail).toContain('amcheck is not installed')
  await sql(store.path, 'CREATE EXTENSION amcheck')
  expect((await find(store, 'integrity'))?.detail).toMatch(/^\d\d indexes are whole/)
  // An index whose order is another than that of its operator class.
  await sql(
    store.path,
    `CREATE FUNCTION backwards(bigint, bigint) RETURNS integer LANGUAGE plpgsql IMMUTABLE STRICT AS
       $$ BEGIN RETURN btint8cmp($1, $2); END $$`,
  )
  await sql(
    store.path,
    `CREATE OPERATOR CLASS turned FOR TYPE bigint USING btree AS
       OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 backwards(bigint, bigint)`,
  )
  await sql(store.path, 'CREATE INDEX calls_turned ON calls (seq turned)')
  await sql(
    store.path,
    `CREATE OR REPLACE FUNCTION backwards(bigint, bigint) RETURNS integer LANGUAGE plpgsql IMMUTABLE STRICT AS
       $$ BEGIN RETURN btint8cmp($2, $1); END $$`,
  )
  const found = await find(store, 'integrity')
  expect(found).toMatchObject({ ok: false })
  expect(found?.detail).toContain('the index calls_turned is damaged')
})

test('a server that may lose what it has answered is not well', async () => {
  const server = await startPostgres({ fsync: 'off', synchronous_commit: 'off' })
  const store = await openTestStore('PostgreSQL', { path: await newDatabase(server) })
  const found = await find(store, 'server')
  expect(found).toMatchObject({ ok: false })
  expect(found?.detail).toContain('fsync is off')
  expect(found?.detail).toContain('synchronous_commit is off')
  await store.close()
  await server.stop()
}, 30_000)

test('a server that keeps what it has answered is well', async () => {
  const server = await startPostgres({ fsync: 'on' })
  const url = await newDatabase(server)
  await sql(url, 'CREATE TABLE schema_migrations (name text)')
  const found = await withSnapshot(addressesOf(url), async (tx) =>
    (await import('../../src/db/postgres/health/server.ts')).server(tx),
  )
  expect(found).toMatchObject({ ok: true })
  expect(found.detail).toMatch(
    /^PostgreSQL \d+.*; synchronous_commit on, fsync on, full_page_writes on$/,
  )
  await server.stop()
}, 30_000)

test('a session that has long been idle in a transaction is named', async () => {
  const store = await served()
  const client = new pg.Client({ connectionString: store.path, application_name: 'forgotten' })
  await client.connect()
  await client.query('BEGIN; SELECT 1')
  const bloat = () =>
    withSnapshot(addressesOf(store.path), async (tx) =>
      (await import('../../src/db/postgres/health/server.ts')).bloat(tx, -1),
    )
  const { ok, detail } = await bloat()
  expect({ ok, detail }).toMatchObject({ ok: false })
  expect(detail).toMatch(/^the session \d+ \(forgotten\) has been idle in a transaction for \d+ s/)
  expect(await find(store, 'bloat')).toMatchObject({ ok: true })
  await client.query('ROLLBACK')
  await client.end()
  expect(await bloat()).toMatchObject({ ok: true })
})
