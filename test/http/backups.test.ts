/** `/admin/backups`, and the schedule behind it. */
import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seqOf } from '../../src/domain/call.ts'
import { backUp, callsIn, fillDatabase, run } from '../support/backups.ts'
import { holds } from '../support/books.ts'
import { type Canaries, filesBelow, findCanaries } from '../support/canaries.ts'
import { runCommand } from '../support/command.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { S3_KEYS, startS3Server } from '../support/s3-server.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream } from '../support/upstream.ts'

setDefaultTimeout(120_000)

type List = {
  data: { name: string; places: string[]; contents: Record<string, unknown> }[]
  status: Record<string, unknown>
}

const upstream = startUpstream()
const list = async (server: TestServer) =>
  (await (await server.admin('GET', '/admin/backups')).json()) as List

/** Started with the file, since schedules know nothing finer than minutes. */
let scheduled: TestServer
beforeAll(async () => {
  scheduled = await startServer({ BACKUP_SCHEDULE: '* * * * *' })
})

test('a backup that is asked for is made, listed, and told of', async () => {
  const server = await startServer()
  expect(await list(server)).toMatchObject({
    object: 'list',
    data: [],
    status: { schedule: null, next_at: null, latest: null, success: null, s3: null },
  })
  await issueKey(server)
  const response = await server.admin('POST', '/admin/backups')
  expect(response.status).toBe(201)
  const made = (await response.json()) as List['data'][number]
  expect(made).toMatchObject({ places: ['local'], problem: null, contents: { keys: 1, calls: 0 } })
  const listed = await list(server)
  expect(listed.data).toEqual([made])
  expect(listed.status).toMatchObject({
    running: false,
    latest: { ok: true, error: null },
    success: { name: made.name },
  })
  await server.stop()
  // And is still known after a restart.
  const again = await startServer({}, server.dataDir)
  expect(await list(again)).toEqual(listed)
  await again.stop()
})

test('who asks while one is being made is told so, and may ask again', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { recursive: true })
  fillDatabase(join(dataDir, 'quota.db'), 100_000)
  const server = await startServer({}, dataDir)
  const first = server.admin('POST', '/admin/backups')
  while (!(await list(server)).status['running']) await Bun.sleep(5)
  const second = await server.admin('POST', '/admin/backups')
  expect(second.status).toBe(409)
  expect(await second.json()).toMatchObject({ code: 'backup_running' })
  expect((await first).status).toBe(201)
  expect((await server.admin('POST', '/admin/backups')).status).toBe(201)
  await server.stop()
})

test('a failure is told, logged and remembered, also after a restart', async () => {
  const blocked = join(temporaryDirectory(), 'file')
  writeFileSync(blocked, '')
  const server = await startServer({ BACKUP_DIR: blocked })
  const response = await server.admin('POST', '/admin/backups')
  expect(response.status).toBe(500)
  expect(await response.json()).toMatchObject({ code: 'backup_failed' })
  await server.stop()
  expect(server.events().some(({ msg }) => msg === 'the backup failed')).toBe(true)

  const storage = startS3Server('backups')
  storage.failWith = 500
  const s3 = { ...S3_KEYS, BACKUP_S3_URL: 's3://backups', BACKUP_S3_ENDPOINT: storage.endpoint }
  const sending = await startServer(s3)
  const unsent = await sending.admin('POST', '/admin/backups')
  expect(await unsent.json()).toMatchObject({ code: 'backup_failed' })
  await sending.stop()
  const again = await startServer(s3, sending.dataDir)
  const { data, status } = await list(again)
  expect(data).toHaveLength(1)
  expect(status).toMatchObject({ latest: { ok: false }, success: null })
  const metrics = await (await again.admin('GET', '/metrics')).text()
  expect(metrics).toContain('quota_proxy_backup_failed 1')
  await again.stop()
})

test('a backup whose process is killed has failed, and leaves nothing that looks like one', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { recursive: true })
  fillDatabase(join(dataDir, 'quota.db'), 150_000)
  const server = await startServer({}, dataDir)
  const asked = server.admin('POST', '/admin/backups')
  let children: number[] = []
  while (children.length === 0) {
    const { out } = await runCommand(['ps', '-o', 'pid=', '--ppid', String(server.pid)])
    children = out.split('\n').map(Number).filter(Boolean)
  }
  for (const pid of children) process.kill(pid, 'SIGKILL')
  expect(await (await asked).json()).toMatchObject({ code: 'backup_failed' })
  const { data, status } = await list(server)
  expect(data).toEqual([])
  expect(status).toMatchObject({ running: false, latest: { ok: false } })
  expect((await server.admin('POST', '/admin/backups')).status).toBe(201)
  expect(await server.stop()).toBe(0)
})

test('a stop does not wait for a backup, and one that was cut off looks like none', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { recursive: true })
  fillDatabase(join(dataDir, 'quota.db'), 300_000)
  const server = await startServer(
    { BACKUP_SCHEDULE: '17 3 * * *', SHUTDOWN_GRACE_MS: '100' },
    dataDir,
  )
  void server.admin('POST', '/admin/backups').catch(() => {})
  while (!(await list(server)).status['running']) await Bun.sleep(5)
  expect(await server.stop()).toBe(0)
  const files = readdirSync(join(dataDir, 'backups'))
  expect(files.filter((file) => file.startsWith('quota-'))).toEqual([])
})

test('a database in memory cannot be backed up, and that is said', async () => {
  const server = await startServer({ DATABASE_URL: ':memory:', BACKUP_SCHEDULE: '* * * * *' })
  const response = await server.admin('POST', '/admin/backups')
  expect(response.status).toBe(500)
  expect(await response.text()).toContain('A database in memory cannot be backed up.')
  expect(await settledLogs(server)).toContain('BACKUP_SCHEDULE is of no use')
  expect((await list(server)).status['schedule']).toBe(null)
  await server.stop()
})

test('what was called before a backup is in it, and nothing that was called after, under load', async () => {
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key } = await issueKey(server, { quota: null })
  const seqs = { before: [] as number[], after: [] as number[] }
  let backup: 'not begun' | 'running' | 'ended' = 'not begun'
  let stopped = false
  const client = async () => {
    while (!stopped) {
      const begun = backup
      const response = await server.call(key, { endpoint: upstream.url })
      await response.text()
      expect(response.status).toBe(200)
      const seq = seqOf(response.headers.get('x-quota-charge-id') ?? '') ?? 0
      if (backup === 'not begun') seqs.before.push(seq)
      if (begun === 'ended') seqs.after.push(seq)
    }
  }
  const clients = Array.from({ length: 8 }, client)
  await Bun.sleep(1500)
  const ids = new Set<string>()
  for (let round = 0; round < 3; round++) {
    backup = 'running'
    const response = await server.admin('POST', '/admin/backups')
    expect(response.status).toBe(201)
    ids.add(((await response.json()) as { name: string }).name)
  }
  backup = 'ended'
  await Bun.sleep(500)
  stopped = true
  await Promise.all(clients)

  const [first = ''] = ids
  const elsewhere = join(temporaryDirectory(), 'data')
  const path = join(server.dataDir, 'backups', first)
  expect(await run(elsewhere, ['restore', path, '--yes'])).toMatchObject({ code: 0, err: '' })
  const inside = callsIn(join(elsewhere, 'quota.db'))
  const newest = inside.at(-1) ?? 0
  // One moment: all numbers up to some one, and none beyond it.
  expect(inside).toEqual(Array.from({ length: newest }, (_, i) => i + 1))
  expect(seqs.before.length).toBeGreaterThan(50)
  expect(seqs.after.length).toBeGreaterThan(10)
  expect(Math.max(...seqs.before)).toBeLessThanOrEqual(newest)
  expect(Math.min(...seqs.after)).toBeGreaterThan(newest)
  expect(await run(elsewhere, ['doctor'])).toMatchObject({ code: 0 })

  const restored = await startServer({}, elsewhere)
  expect(await holds(restored)).toBe(0)
  expect(await (await restored.admin('GET', '/admin/doctor')).json()).toMatchObject({ ok: true })
  await Promise.all([server.stop(), restored.stop()])
})

test('no secret is in a backup, its manifest, the status, an answer or the log', async () => {
  const storage = startS3Server('backups')
  const given = {
    'admin token': 'adm-5e1c9a7d3b8f2046-tOkEn-8a7b6c5d4e3f',
    'credential of the environment': 'sk-env-8Kd3Wn6Qz1Tb5Vm9Rj2Xf7',
    'credential of an upstream': 'sk-ups-4Hg9Lp2Yc7Ns1Qe6Zd8Ua3',
    'secret of the storage': S3_KEYS.BACKUP_S3_SECRET_ACCESS_KEY,
  } as const
  const server = await startServer({
    LOG_LEVEL: 'debug',
    ADMIN_TOKEN: given['admin token'],
    UPSTREAM_BASE_URL: upstream.url,
    UPSTREAM_API_KEY: given['credential of the environment'],
    PROXY_EGRESS_ALLOW: upstream.host,
    ...S3_KEYS,
    BACKUP_S3_URL: 's3://backups',
    BACKUP_S3_ENDPOINT: storage.endpoint,
  })
  const credential = { secret: given['credential of an upstream'] }
  await addUpstream(server, { name: 'named', base_url: upstream.url, credential })
  const { key } = await issueKey(server)
  await (await server.call(key, { endpoint: `${upstream.url}/` })).text()
  const canaries: Canaries = { ...given, key }
  const said = [
    await (await server.admin('POST', '/admin/backups')).text(),
    JSON.stringify(await list(server)),
  ]
  storage.failWith = 500
  said.push(await (await server.admin('POST', '/admin/backups')).text())
  said.push(JSON.stringify(await list(server)), await settledLogs(server))
  const { out, err } = await run(server.dataDir, ['backup', 'verify'])
  said.push(out, err)
  await server.stop()

  const directory = join(server.dataDir, 'backups')
  const plain = join(temporaryDirectory(), 'plain.db')
  const name = readdirSync(directory).find((file) => file.endsWith('.zst')) ?? ''
  await runCommand(['zstd', '-q', '-d', join(directory, name), '-o', plain])
  const files = [...filesBelow(directory), [plain, readFileSync(plain)] as const]
  expect(files.length).toBeGreaterThan(4)
  const found = [
    ...said.flatMap((text, i) => findCanaries(text, canaries).map((one) => `answer ${i}: ${one}`)),
    ...files.flatMap(([path, bytes]) =>
      findCanaries(bytes, canaries).map((one) => `${path}: ${one}`),
    ),
    ...[...storage.objects].flatMap(([path, bytes]) =>
      findCanaries(bytes, canaries).map((one) => `${path}: ${one}`),
    ),
  ]
  expect(found).toEqual([])
})

test('the schedule is followed, and a changed one from the next reload on', async () => {
  const backups = () => scheduled.events().filter(({ msg }) => msg === 'backed up').length
  const { status } = await list(scheduled)
  expect(status).toMatchObject({ schedule: '* * * * *' })
  for (let i = 0; i < 1200 && backups() === 0; i++) await Bun.sleep(100)
  expect(backups()).toBeGreaterThan(0)
  expect((await list(scheduled)).data.length).toBeGreaterThan(0)
  const metrics = await (await scheduled.admin('GET', '/metrics')).text()
  expect(metrics).toContain('quota_proxy_backup_scheduled 1')
  await scheduled.stop()

  const file = join(temporaryDirectory(), 'settings')
  writeFileSync(file, '')
  const server = await startServer({ CONFIG_FILE: file })
  const scheduleIs = async (wanted: string | null) => {
    for (let i = 0; i < 200; i++) {
      if ((await list(server)).status['schedule'] === wanted) return true
      await Bun.sleep(50)
    }
    return false
  }
  expect(await scheduleIs(null)).toBe(true)
  writeFileSync(file, 'BACKUP_SCHEDULE=17 3 * * *\n')
  process.kill(server.pid, 'SIGHUP')
  expect(await scheduleIs('17 3 * * *')).toBe(true)
  expect((await list(server)).status['next_at']).toMatch(/T03:17:00Z$/)
  await server.stop()
})

test('a backup that a command makes beside the server is seen by it', async () => {
  const server = await startServer()
  const { name } = await backUp(server.dataDir)
  expect(await list(server)).toMatchObject({ data: [{ name }], status: { success: { name } } })
  await server.stop()
})
