import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import {
  COMMAND,
  issueKey,
  startServer,
  type TestServer,
  temporaryDirectory,
} from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

type Examination = { ok: boolean; findings: { check: string; ok: boolean; detail: string }[] }

const upstream = startUpstream()

const doctor = (dataDir: string, ...options: string[]) =>
  runCommand([...COMMAND, 'doctor', ...options], { DATA_DIR: dataDir })

async function used(): Promise<{ server: TestServer; id: string }> {
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key, id } = await issueKey(server, {
    quota: 10,
    limits: [{ unit: 'requests', amount: 5, window: 'minute' }],
  })
  for (let i = 0; i < 3; i++) await (await server.call(key, { endpoint: upstream.url })).text()
  await settled(server)
  return { server, id }
}

test('a healthy database is found well, while it is served and after', async () => {
  const { server } = await used()
  const response = await server.admin('GET', '/admin/doctor')
  const served = (await response.json()) as Examination
  expect(response.status).toBe(200)
  expect(served.ok).toBe(true)
  expect(served.findings.map(({ check }) => check)).toEqual([
    'books', 'holds', 'integrity', 'foreign_keys', 'clock', 'prices', 'wal', 'disk', 'sqlite', 'backup',
  ]) // biome-ignore format: one list
  expect(served.findings[0]?.detail).toBe('2 counters balance with the ledger')

  await server.stop()
  const { out, code } = await doctor(server.dataDir)
  expect(code).toBe(0)
  expect(out).toContain('ok    books         2 counters balance')
})

test('a database that a starting server has for itself is waited for, and not called broken', async () => {
  const { server } = await used()
  await server.stop()
  const database = join(server.dataDir, 'quota.db')
  // As a restored one is found by the first start after it: not yet in WAL mode, where whoever writes has it alone.
  const holding = `
    const db = new (require('bun:sqlite').Database)(${JSON.stringify(database)})
    db.run('PRAGMA journal_mode = DELETE')
    db.run('BEGIN EXCLUSIVE')
    console.log('held')
    await Bun.sleep(1500)
    db.run('ROLLBACK')`
  for (const command of [['doctor'], ['migrate', '--status']]) {
    const holder = Bun.spawn([process.execPath, '-e', holding], { stdout: 'pipe' })
    await holder.stdout.getReader().read()
    const { err, code } = await runCommand([...COMMAND, ...command], { DATA_DIR: server.dataDir })
    expect({ command, err, code }).toEqual({ command, err: '', code: 0 })
    await holder.exited
  }
})

const BREAKS: [string, string, string][] = [
  [
    'books',
    'UPDATE counters SET used = used + 1 WHERE period_end IS NULL',
    '4 used, 3 in the ledger',
  ],
  ['books', 'DELETE FROM calls WHERE seq = 2', '3 used, 2 in the ledger'],
  [
    'holds',
    "INSERT INTO holds VALUES (99, 1, 5, '', 'req_1', 0, 0, 0, '[]')",
    'older than any call may be',
  ],
  ['clock', 'UPDATE calls SET at = at + 86400000000 WHERE seq = 3', 'in the future'],
  ['foreign_keys', 'UPDATE counters SET limit_id = 77', 'broken'],
]
test.each(BREAKS)('a fault in the %s is found (%s)', async (check, sql, detail) => {
  const { server } = await used()
  const client = new Database(join(server.dataDir, 'quota.db'))
  client.run('PRAGMA foreign_keys = OFF')
  client.run(sql)
  client.close()
  const served = (await (await server.admin('GET', '/admin/doctor')).json()) as Examination
  await server.stop('SIGKILL')

  const { out, code } = await doctor(server.dataDir, '--json')
  const stopped = JSON.parse(out) as Examination
  expect(code).toBe(1)
  for (const { ok, findings } of [served, stopped]) {
    expect(ok).toBe(false)
    const found = findings.find((finding) => finding.check === check)
    expect(found?.ok).toBe(false)
    expect(found?.detail).toContain(detail)
  }
})

test('a damaged page is found', async () => {
  const { server } = await used()
  await server.stop()
  const path = join(server.dataDir, 'quota.db')
  const bytes = Buffer.from(await Bun.file(path).arrayBuffer())
  // The heads of all pages but the first, which says that this is a database.
  for (let at = 4096; at < bytes.length; at += 4096) bytes.fill(0xff, at, at + 16)
  writeFileSync(path, bytes)
  const { out, err, code } = await doctor(server.dataDir, '--json')
  expect(code).toBe(1)
  expect(out + err).toMatch(/restore a backup|malformed/)
})

test('without a database it says where to look', async () => {
  const { err, code } = await doctor(join(temporaryDirectory(), 'nothing'))
  expect(code).toBe(1)
  expect(err).toContain('There is no database to examine.')
})

test('a database in memory is examined by its server', async () => {
  const server = await startServer({ DATABASE_URL: ':memory:' })
  await issueKey(server)
  const found = (await (await server.admin('GET', '/admin/doctor')).json()) as Examination
  expect(found.ok).toBe(true)
})
