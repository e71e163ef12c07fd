/**
 * The files of a running server's database are deleted, moved, replaced and cut short, and other servers are sent to them by
 * other names. Nothing may be granted into a file that is gone, and nothing that was acknowledged may be lost with it.
 */
import { expect, test } from 'bun:test'
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { settled, until, usedOf } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import {
  COMMAND,
  issueKey,
  startServer,
  type TestServer,
  temporaryDirectory,
} from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream(() => Response.json({}))

const ENV = { PROXY_EGRESS_ALLOW: upstream.host }
const SPENT = 7
const FILES = ['quota.db', 'quota.db-wal', 'quota.db-shm', 'quota.db.lock'] as const

type Scene = { readonly server: TestServer; readonly key: string; readonly id: string }

/** A server whose database holds some calls that were answered, and which nobody asks for anything more. */
async function setScene(): Promise<Scene> {
  const server = await startServer(ENV)
  const { key, id } = await issueKey(server, { quota: 1_000 })
  for (let i = 0; i < SPENT; i++) expect(await call({ server, key })).toBe(200)
  await settled(server)
  return { server, key, id }
}

async function call({ server, key }: Pick<Scene, 'server' | 'key'>): Promise<number> {
  return (await server.call(key, { endpoint: upstream.url })).status
}

async function ready(server: TestServer): Promise<number> {
  return (await fetch(`${server.directUrl}/readyz`)).status
}

/** Asks in the given order and nothing before, so that each of them has to notice by itself. */
async function expectRefused(scene: Scene, file: string): Promise<void> {
  const { server, key } = scene
  const forwarded = upstream.seen.length
  expect(await call(scene)).toBe(503)
  expect(await ready(server)).toBe(503)
  const changed = await server.admin('POST', `/admin/keys/${key}/reset`, {})
  expect(`${changed.status} ${((await changed.json()) as { code: string }).code}`).toBe(
    '503 storage_unavailable',
  )
  expect(upstream.seen.length).toBe(forwarded)
  await until(() => server.logs().includes('the database fails'))
  expect(server.logs()).toContain(file)
}

async function expectNothingLost({ server, id, key }: Scene, calls = SPENT): Promise<void> {
  const next = await startServer(ENV, server.dataDir)
  expect(await usedOf(next, id)).toBe(calls)
  expect(await call({ server: next, key })).toBe(200)
  expect((await runCommand([...COMMAND, 'doctor'], { DATA_DIR: server.dataDir })).code).toBe(0)
  expect(await next.stop()).toBe(0)
}

for (const file of FILES) {
  const inDir = ({ server }: Scene) => join(server.dataDir, file)

  test(`${file} deleted: the very next call and change are refused, and say so`, async () => {
    const scene = await setScene()
    unlinkSync(inDir(scene))
    await expectRefused(scene, file)
    await scene.server.stop()
  })

  test(`${file} deleted while nobody asks: the next probe says 503, and the next change is refused`, async () => {
    const [idle, changing] = [await setScene(), await setScene()]
    unlinkSync(inDir(idle))
    expect(await ready(idle.server)).toBe(503)
    unlinkSync(inDir(changing))
    const revoked = await changing.server.admin('DELETE', `/admin/keys/${changing.id}`)
    expect(revoked.status).toBe(503)
    await Promise.all([idle.server.stop(), changing.server.stop()])
  })

  test(`${file} replaced by a copy of itself: calls are refused`, async () => {
    const scene = await setScene()
    copyFileSync(inDir(scene), `${inDir(scene)}.copy`)
    renameSync(`${inDir(scene)}.copy`, inDir(scene))
    await expectRefused(scene, file)
    await scene.server.stop()
  })

  test(`${file} moved away and back: calls are refused and go on, with nothing lost or charged between`, async () => {
    const scene = await setScene()
    renameSync(inDir(scene), `${inDir(scene)}.away`)
    await expectRefused(scene, file)
    renameSync(`${inDir(scene)}.away`, inDir(scene))
    await untilReady(scene.server)
    expect(await call(scene)).toBe(200)
    expect(await usedOf(scene.server, scene.id)).toBe(SPENT + 1)
    expect(await scene.server.stop()).toBe(0)
    await expectNothingLost(scene, SPENT + 1)
  })
}

async function untilReady(server: TestServer): Promise<void> {
  for (let i = 0; i < 200 && (await ready(server)) !== 200; i++) await Bun.sleep(25)
  expect(await ready(server)).toBe(200)
}

for (const file of ['quota.db-wal', 'quota.db-shm', 'quota.db.lock'] as const) {
  test(`${file} deleted: after a stop and a start everything acknowledged is there`, async () => {
    const scene = await setScene()
    unlinkSync(join(scene.server.dataDir, file))
    expect(await call(scene)).toBe(503)
    await scene.server.stop()
    await expectNothingLost(scene)
  })
}

test('a log that was deleted is folded into the database, so that not even a kill loses what it held', async () => {
  const scene = await setScene()
  const { server } = scene
  unlinkSync(join(server.dataDir, 'quota.db-wal'))
  const fd = descriptorOf(server, 'quota.db-wal (deleted)')
  expect(statSync(fd).size).toBeGreaterThan(0)
  await until(() => statSync(fd).size === 0)
  await server.stop('SIGKILL')
  await expectNothingLost(scene)
})

test('a database that was deleted can be taken back whole from the running server', async () => {
  const scene = await setScene()
  const { server } = scene
  for (const file of ['quota.db', 'quota.db-wal', 'quota.db-shm']) {
    unlinkSync(join(server.dataDir, file))
  }
  const log = descriptorOf(server, 'quota.db-wal (deleted)')
  await until(() => statSync(log).size === 0)
  copyFileSync(descriptorOf(server, 'quota.db (deleted)'), join(server.dataDir, 'quota.db'))
  expect(await call(scene)).toBe(503)
  await server.stop('SIGKILL')
  await expectNothingLost(scene)
})

/** What a process has open, by the name that it had. */
function descriptorOf({ pid }: TestServer, name: string): string {
  const folder = `/proc/${pid}/fd`
  const fd = readdirSync(folder).find((each) => readlinkSync(join(folder, each)).endsWith(name))
  if (fd === undefined) throw new Error(`nothing of that name is open: ${name}`)
  return join(folder, fd)
}

test('the directory moved away and back: calls are refused and go on', async () => {
  const scene = await setScene()
  const { dataDir } = scene.server
  renameSync(dataDir, `${dataDir}.away`)
  await expectRefused(scene, 'quota.db')
  mkdirSync(dataDir)
  expect(await call(scene)).toBe(503)
  rmSync(dataDir, { recursive: true })
  renameSync(`${dataDir}.away`, dataDir)
  await untilReady(scene.server)
  expect(await scene.server.stop()).toBe(0)
  await expectNothingLost(scene)
})

test('a link to the directory that now leads elsewhere: calls are refused', async () => {
  const folder = temporaryDirectory()
  const link = join(folder, 'data')
  mkdirSync(join(folder, 'one'), { mode: 0o700 })
  mkdirSync(join(folder, 'two'), { mode: 0o700 })
  symlinkSync('one', link)
  const server = await startServer(ENV, link)
  const { key, id } = await issueKey(server)
  expect(await call({ server, key })).toBe(200)
  unlinkSync(link)
  symlinkSync('two', link)
  await expectRefused({ server, key, id }, 'quota.db')
  await server.stop()
})

for (const file of ['quota.db', 'quota.db-wal'] as const) {
  test(`${file} emptied in place: calls are refused`, async () => {
    const scene = await setScene()
    truncateSync(join(scene.server.dataDir, file))
    await expectRefused(scene, file)
    await scene.server.stop('SIGKILL')
  })
}

test('a log that an operator folds in from a shell is no reason to refuse', async () => {
  const scene = await setScene()
  const path = join(scene.server.dataDir, 'quota.db')
  const script = `new (require('bun:sqlite').Database)(process.env.DB).run('PRAGMA wal_checkpoint(TRUNCATE)')`
  expect(Bun.spawnSync([process.execPath, '-e', script], { env: { DB: path } }).success).toBe(true)
  expect(statSync(`${path}-wal`).size).toBe(0)
  expect(await call(scene)).toBe(200)
  expect(await ready(scene.server)).toBe(200)
  expect(await scene.server.stop()).toBe(0)
})

test('under load, no call that begins after the log was deleted is let in, and none of before is lost', async () => {
  const server = await startServer(ENV)
  const { key, id } = await issueKey(server, { quota: 100_000 })
  let isDeleted = false
  let granted = 0
  const late: number[] = []
  const client = async () => {
    for (;;) {
      const beganLate = isDeleted
      const status = await call({ server, key })
      if (status === 200) granted++
      if (beganLate) late.push(status)
      if (beganLate || status !== 200) return
    }
  }
  const clients = Array.from({ length: 16 }, client)
  await until(() => granted >= 200)
  unlinkSync(join(server.dataDir, 'quota.db-wal'))
  isDeleted = true
  await Promise.all(clients)
  expect(late.filter((status) => status !== 503)).toEqual([])
  await server.stop()
  const next = await startServer(ENV, server.dataDir)
  expect(await usedOf(next, id)).toBeGreaterThanOrEqual(granted)
  expect(await next.stop()).toBe(0)
})

/** Starts a second server at the same database by another name. */
async function startBy(databaseUrl: string, cwd: string): Promise<{ code: number; err: string }> {
  const env = { DATA_DIR: join(temporaryDirectory(), 'data'), DATABASE_URL: databaseUrl, PORT: '0' }
  return runCommand([...COMMAND, 'serve'], env, cwd)
}

test('a second server is refused by whatever name it comes to the database', async () => {
  const { server, key } = await setScene()
  const folder = temporaryDirectory()
  const path = join(server.dataDir, 'quota.db')
  symlinkSync(path, join(folder, 'file-link.db'))
  symlinkSync(server.dataDir, join(folder, 'directory-link'))
  linkSync(path, join(folder, 'hard-link.db'))
  linkSync(path, join(server.dataDir, 'beside.db'))
  const names = [
    join(folder, 'file-link.db'),
    join(folder, 'directory-link/quota.db'),
    join(dirname(server.dataDir), 'data/../data/./quota.db'),
    relative(folder, path),
    join(folder, 'hard-link.db'),
    join(server.dataDir, 'beside.db'),
  ]
  for (const name of names) {
    const { code, err } = await startBy(`file:${name}`, folder)
    expect(`${name} ${code}`).toBe(`${name} 1`)
    expect(err).toMatch(/Another quota-proxy is already serving|has 3 names \(hard links\)/)
  }
  // Whoever serves it is not disturbed.
  expect(await call({ server, key })).toBe(200)
  expect(await server.stop()).toBe(0)
})

test('a database with a second name is not served by either, until one of them is removed', async () => {
  const scene = await setScene()
  const { server } = scene
  expect(await server.stop()).toBe(0)
  const path = join(server.dataDir, 'quota.db')
  const other = join(temporaryDirectory(), 'other.db')
  linkSync(path, other)
  for (const name of [path, other]) {
    const { code, err } = await startBy(`file:${name}`, '/')
    expect(code).toBe(1)
    expect(err).toContain(`The database ${name} has 2 names (hard links)`)
  }
  unlinkSync(other)
  await expectNothingLost(scene)
})

test('a restore that was cut off with the database under two names does not keep the server from starting', async () => {
  const scene = await setScene()
  expect(await scene.server.stop()).toBe(0)
  const path = join(scene.server.dataDir, 'quota.db')
  linkSync(path, `${path}.before-restore-20260610T120000Z`)
  await expectNothingLost(scene)
})
