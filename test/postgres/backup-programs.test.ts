/**
 * What the programs of PostgreSQL are told, by stand-ins that write down how they were started: everything by their
 * environment, and no password anywhere else. Also what is said where the programs are missing, or too old.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environmentOf } from '../../src/db/postgres/backup/programs.ts'
import type { PostgresTls } from '../../src/domain/postgres-url.ts'
import { runCommand } from '../support/command.ts'
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.ts'
import { newDatabase, sharedPostgres, sql } from '../support/postgres.ts'
import { COMMAND, startServer, temporaryDirectory } from '../support/server.ts'
import { addKey, openTestStore } from '../support/store.ts'

setDefaultTimeout(60_000)

const PASSWORD = 'secret%of the owner'

const LIST = ['calls', 'counters', 'keys', 'limits', 'schema_migrations']
  .map((table, i) => `${i}; 0 ${i} TABLE DATA public ${table} owner`)
  .join('\n')

/** Each writes its arguments and its environment beside itself. */
function standIns(version: string): string {
  const bin = join(temporaryDirectory(), 'bin')
  mkdirSync(bin, { recursive: true })
  const write = (name: string, body: string) => {
    const log = `(for each in "$@"; do echo "$each"; done) >> ${bin}/${name}.args; /usr/bin/env > ${bin}/${name}.env`
    writeFileSync(join(bin, name), `#!/bin/sh\n[ "$1" = --version ] || { ${log}; }\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  write(
    'pg_dump',
    `if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) ${version}"; else printf PGDMPdata; fi`,
  )
  write(
    'pg_restore',
    `case "$1" in --list) /bin/cat <<'END'\n;\n215; 1259 16385 TABLE public schema_migrations owner\n${LIST}\nEND\n;; *) echo data;; esac`,
  )
  write('psql', 'exit 3')
  return bin
}

/** A role that has a password and may not create databases, which a restore would need. */
async function database(): Promise<{ url: string; role: string }> {
  const url = new URL(await newDatabase())
  const role = `owner_${url.pathname.slice(1)}`
  await sql(url.href, `CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`)
  await sql(url.href, `GRANT CREATE, USAGE ON SCHEMA public TO ${role}`)
  url.username = role
  url.password = encodeURIComponent(PASSWORD)
  const store = await openTestStore('PostgreSQL', { path: url.href })
  await addKey(store, [{ amount: 1 }])
  return { url: url.href, role }
}

const backUp = (url: string, PATH: string) =>
  runCommand(
    [Bun.which(COMMAND[0] ?? '') ?? '', ...COMMAND.slice(1), 'backup', 'create', '--json'],
    { DATA_DIR: temporaryDirectory(), DATABASE_URL: url, PATH },
  )

test('pg_dump learns of the server by its environment, and of a password nowhere else', async () => {
  const bin = standIns('99.1')
  const { url, role } = await database()
  const { out, err, code } = await backUp(url, bin)
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(JSON.parse(out).backup).toMatchObject({
    database_bytes: 9,
    verified: 'read',
    sums: { keys: 1 },
  })
  const args = readFileSync(join(bin, 'pg_dump.args'), 'utf8')
  expect(args).toMatch(
    /^--format=custom\n--compress=0\n--no-owner\n--no-privileges\n--no-password\n--schema="public"\n--snapshot=[0-9A-F-]+\n$/,
  )
  const { port } = await sharedPostgres()
  const env = readFileSync(join(bin, 'pg_dump.env'), 'utf8').split('\n')
  const expected = [
    `PGPASSWORD=${PASSWORD}`,
    'PGHOST=127.0.0.1',
    `PGPORT=${port}`,
    `PGUSER=${role}`,
    'PGSSLMODE=disable',
  ]
  expect(env).toEqual(expect.arrayContaining(expected))
  for (const name of ['pg_dump.args', 'pg_restore.args'])
    expect(readFileSync(join(bin, name), 'utf8')).not.toContain('secret')
})

test('without the programs, or with old ones, it says in one sentence what to install', async () => {
  const { url } = await database()
  const none = JSON.parse((await backUp(url, temporaryDirectory())).out)
  expect(none).toMatchObject({ ok: false, reason: 'failed' })
  expect(none.error).toMatch(
    /^Backups of PostgreSQL need pg_dump, pg_restore and psql on the PATH \(missing: pg_dump, pg_restore, psql\); install the client programs of PostgreSQL (\d+) or newer \(Debian: postgresql-client-\1\)\.$/,
  )
  const old = JSON.parse((await backUp(url, standIns('9.6'))).out)
  expect(old.error).toMatch(
    /^pg_dump is version 9 here, and the server is PostgreSQL (\d+): it must be at least as new\. Install .+ \(Debian: postgresql-client-\1\)\.$/,
  )
})

test('a server whose scheduled backups would fail says so at its start, and metrics tell of each that has', async () => {
  const env = { PATH: temporaryDirectory(), BACKUP_SCHEDULE: '17 3 * * *' }
  const server = await startServer({ DATABASE_URL: await newDatabase(), ...env })
  expect(server.logs()).toContain('backups are scheduled, and will fail')
  const response = await server.admin('POST', '/admin/backups', {})
  expect({ status: response.status, ...((await response.json()) as object) }).toMatchObject({
    status: 500,
    code: 'backup_failed',
    detail: expect.stringContaining('Backups of PostgreSQL need pg_dump'),
  })
  const metrics = await (await server.admin('GET', '/metrics')).text()
  expect(metrics).toContain('quota_proxy_backup_scheduled 1')
  expect(metrics).toContain('quota_proxy_backup_failed 1')
  await server.stop()
})

test.skipIf(!hasPgbouncer)(
  'through a pooler, whose other clients would get the settings of pg_dump, no backup is made',
  async () => {
    const { url, role } = await database()
    const { port } = await sharedPostgres()
    const pooled = new URL(url)
    pooled.port = String(await startPgbouncer(port, { user: role, password: PASSWORD }))
    const bin = standIns('99.1')
    const { ok, error } = JSON.parse((await backUp(pooled.href, bin)).out)
    expect({ ok, error }).toMatchObject({ ok: false })
    expect(error).toContain('DATABASE_URL leads through a pooler')
    expect(existsSync(join(bin, 'pg_dump.args'))).toBe(false)
  },
)

test('TLS is asked for as DATABASE_URL says, and names are checked where it would check them', () => {
  const programs = (major: number) => ({
    paths: { pg_dump: '/usr/bin/pg_dump', pg_restore: '', psql: '' },
    major,
  })
  const tls = (given: Partial<PostgresTls>, major = 18) => {
    const all = { rootCertificate: undefined, certificate: undefined, key: undefined }
    const address = { host: 'db', port: 1, database: 'd', user: 'u', password: undefined }
    const env = environmentOf(
      { ...address, tls: { mode: 'verify-full', ...all, ...given } },
      programs(major),
    )
    return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('PGSSL')))
  }
  expect(tls({})).toEqual({ PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'system' })
  expect(tls({ rootCertificate: '/ca.pem' }, 15)).toEqual({
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: '/ca.pem',
  })
  expect(tls({ mode: 'require', certificate: '/c.pem', key: '/k.pem' })).toEqual({
    PGSSLMODE: 'require',
    PGSSLCERT: '/c.pem',
    PGSSLKEY: '/k.pem',
  })
  expect(tls({ mode: 'disable' })).toEqual({ PGSSLMODE: 'disable' })
})
