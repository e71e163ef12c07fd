/**
 * What the service does while its database fails, by every failure that a test can really cause: it refuses and says so,
 * forwards nothing, stays alive, loses nothing, and goes on by itself when the cause is gone.
 */
import { Database } from 'bun:sqlite'
import { afterAll, expect, test } from 'bun:test'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { examineStore } from '../../src/db/open.ts'
import { entries, holds, settled, until } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import {
  COMMAND,
  issueKey,
  startServer,
  type TestServer,
  temporaryDirectory,
} from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const IN_FLIGHT = 5

type Scene = {
  readonly server: TestServer
  readonly upstream: Upstream
  readonly key: string
  readonly path: string
  /** Lets the calls go on that wait at the upstream, and resolves with their statuses. */
  readonly release: () => Promise<number[]>
}

/** A server with calls in flight: the ones that must come out right whatever happens to the store. */
async function setScene(dataDir = join(temporaryDirectory(), 'data')): Promise<Scene> {
  const gate = Promise.withResolvers<void>()
  const upstream = startUpstream(async (_, { path }) => {
    if (path === '/slow') await gate.promise
    return Response.json({})
  })
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host }, dataDir)
  const { key } = await issueKey(server, { quota: 1_000 })
  const slow = Array.from({ length: IN_FLIGHT }, () =>
    server.call(key, { endpoint: `${upstream.url}/slow` }).then((response) => response.status),
  )
  await until(() => upstream.seen.length === IN_FLIGHT)
  const release = () => {
    gate.resolve()
    return Promise.all(slow)
  }
  return { server, upstream, key, path: join(dataDir, 'quota.db'), release }
}

async function statusOf({ server }: Scene, path: string): Promise<number> {
  return (await fetch(server.url + path)).status
}

/** What the metrics say of calls that the store has failed. */
async function counted({ server }: Scene): Promise<number> {
  const lines = (await (await server.admin('GET', '/metrics')).text()).split('\n')
  return lines
    .filter((line) => /^quota_proxy_calls_total\{.*code="storage_unavailable"/.test(line))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

async function expectRefused(scene: Scene): Promise<void> {
  const { server, upstream, key, release } = scene
  const forwarded = upstream.seen.length
  const call = async () => {
    const response = await server.call(key, { endpoint: upstream.url })
    const { error } = (await response.json()) as { error?: { code: string } }
    return `${response.status} ${error?.code}`
  }
  const health: Promise<number>[] = []
  for (let round = 0; round < 3; round++) {
    const calls = Array.from({ length: 20 }, call)
    health.push(statusOf(scene, '/healthz'))
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['503 storage_unavailable']))
  }
  expect(await counted(scene)).toBe(60)
  expect(upstream.seen.length).toBe(forwarded)
  expect(await Promise.all(health)).toEqual([200, 200, 200])
  expect(await statusOf(scene, '/readyz')).toBe(503)

  const refused = await server.admin('POST', `/admin/keys/${key}/reset`, {})
  expect(refused.status).toBe(503)
  expect(refused.headers.get('content-type')).toStartWith('application/problem+json')
  expect(await refused.json()).toMatchObject({ code: 'storage_unavailable' })

  // The answers of the calls in flight are passed on, though nothing can be written about them yet.
  expect(await release()).toEqual(Array.from({ length: IN_FLIGHT }, () => 200))
  // Time enough for some tries to write it all the same, which must fail without losing it.
  await Bun.sleep(600)
  await until(() => errors(server).length > 0)
  expect(errors(server)).toEqual(['the database fails; calls are refused until it recovers'])
}

function errors(server: TestServer): unknown[] {
  return server
    .events()
    .filter(({ level }) => level === 'error' || level === 50)
    .map(({ msg }) => msg)
}

/** Without a restart, and with every call in the books exactly once. */
async function expectRecovered(scene: Scene, granted = IN_FLIGHT): Promise<void> {
  const { server, upstream, key, path } = scene
  for (let i = 0; i < 100 && (await statusOf(scene, '/readyz')) !== 200; i++) await Bun.sleep(50)
  expect(await statusOf(scene, '/readyz')).toBe(200)
  expect((await server.call(key, { endpoint: upstream.url })).status).toBe(200)
  await settled(server)
  expect(await holds(server)).toBe(0)
  const outcomes = (await entries(server)).map(
    ({ outcome, requests_charged }) => `${outcome} ${requests_charged}`,
  )
  expect(outcomes).toEqual(Array.from({ length: granted + 1 }, () => 'answered 1'))
  const shown = (await (await server.admin('GET', `/admin/keys/${key}`)).json()) as { used: number }
  expect(shown.used).toBe(granted + 1)
  const examined = await examineStore(`file:${path}`, Date.now())
  const books = examined?.findings.find(({ check }) => check === 'books')
  expect(books).toMatchObject({ ok: true })
  expect(errors(server)).toHaveLength(1)
  expect(await server.stop()).toBe(0)
}

/** Some failures can only be caused by root, or where sudo asks nothing. */
function asRoot(...command: string[]): boolean {
  const prefix = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (!Bun.which(prefix[0] ?? command[0] ?? '')) return false
  return Bun.spawnSync([...prefix, ...command], { stderr: 'ignore' }).success
}

const mounts: string[] = []
afterAll(() => {
  for (const folder of mounts) {
    asRoot('umount', '-l', folder)
    rmdirSync(folder)
  }
})

/** A disk of its own, of a few MiB; null where mounting one is not permitted. */
function smallDisk(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'quota-proxy-disk-'))
  const options = `size=4m,mode=700,uid=${process.getuid?.()}`
  const mounted = asRoot('mount', '-t', 'tmpfs', '-o', options, 'quota-proxy', folder)
  if (!mounted) rmdirSync(folder)
  else mounts.push(folder)
  return mounted ? folder : null
}

/** Whether a file can be made immutable where the tests have theirs: not every user may, nor has every file system it. */
function canFreeze(): boolean {
  const file = join(temporaryDirectory(), 'file')
  writeFileSync(file, '')
  return asRoot('chattr', '+i', file) && asRoot('chattr', '-i', file)
}

const disk = smallDisk()

test('a database that another process has locked: calls are refused, and go on when it lets go', async () => {
  const scene = await setScene()
  const other = new Database(scene.path)
  // The server may be writing at this moment.
  other.run('PRAGMA busy_timeout = 5000')
  other.run('BEGIN IMMEDIATE')
  await expectRefused(scene)
  other.run('ROLLBACK')
  other.close()
  await expectRecovered(scene)
})

test('a database that another process locks for a moment: calls wait for it, and none is refused', async () => {
  const scene = await setScene()
  const { server, upstream, key } = scene
  await scene.release()
  for (const begin of ['BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE']) {
    const other = new Database(scene.path)
    // The server may be writing at this moment.
    other.run('PRAGMA busy_timeout = 5000')
    other.run(begin)
    const calls = Array.from({ length: 20 }, () => server.call(key, { endpoint: upstream.url }))
    await Bun.sleep(500)
    other.run('ROLLBACK')
    other.close()
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200]))
  }
  await settled(server)
  expect(await statusOf(scene, '/readyz')).toBe(200)
})

test('a database that was moved away: calls are refused, and go on when it is back', async () => {
  const scene = await setScene()
  renameSync(scene.path, `${scene.path}.away`)
  for (let i = 0; i < 100 && (await statusOf(scene, '/readyz')) !== 503; i++) await Bun.sleep(50)
  await expectRefused(scene)
  renameSync(`${scene.path}.away`, scene.path)
  await expectRecovered(scene)
})

for (const table of ['counters', 'holds', 'keys']) {
  test(`a damaged page of ${table}: calls are refused, and go on when it is mended`, async () => {
    const scene = await setScene()
    const { page, size } = rootPage(scene.path, table)
    const sound = Buffer.alloc(size)
    const fd = openSync(scene.path, 'r+')
    readSync(fd, sound, 0, size, page)
    writeSync(fd, Buffer.alloc(size, 0xff), 0, size, page)
    dropCache(scene.path)
    await expectRefused(scene)
    writeSync(fd, sound, 0, size, page)
    closeSync(fd)
    dropCache(scene.path)
    await expectRecovered(scene)
  })
}

test('a damaged index of keys: what needs no look-up goes on, and no key is let in unseen', async () => {
  const { server, upstream, key, path, release } = await setScene()
  const unseen = (await issueKey(server, { quota: 200 })).key
  const call = (one: string) =>
    server.call(one, { endpoint: upstream.url }).then(({ status }) => status)
  const { page, size } = rootPage(path, 'keys_hash_unique')
  const sound = Buffer.alloc(size)
  const fd = openSync(path, 'r+')
  readSync(fd, sound, 0, size, page)
  writeSync(fd, Buffer.alloc(size, 0xff), 0, size, page)
  dropCache(path)
  expect([await call(key), await call(unseen)]).toEqual([200, 503])
  expect(upstream.seen).toHaveLength(IN_FLIGHT + 1)
  writeSync(fd, sound, 0, size, page)
  closeSync(fd)
  dropCache(path)
  for (let i = 0; i < 100 && (await call(unseen)) !== 200; i++) await Bun.sleep(50)
  expect([await call(key), await call(unseen)]).toEqual([200, 200])
  await release()
})

/** Where a table or an index begins in the file, once the file holds all there is. */
function rootPage(path: string, name: string): { page: number; size: number } {
  const client = new Database(path)
  client.run('PRAGMA busy_timeout = 1000')
  client.run('PRAGMA wal_checkpoint(TRUNCATE)')
  const size = Number(client.query('PRAGMA page_size').values()[0]?.[0])
  const number = Number(
    client.query('SELECT rootpage FROM sqlite_schema WHERE name = ?').values(name)[0]?.[0],
  )
  client.close()
  return { page: (number - 1) * size, size }
}

/** A server trusts the pages that it has read until another process has written. */
function dropCache(path: string): void {
  const client = new Database(path)
  client.run('PRAGMA busy_timeout = 1000')
  client.run('UPDATE schema_migrations SET applied_at = applied_at')
  client.run('PRAGMA wal_checkpoint(TRUNCATE)')
  client.close()
}

test.skipIf(!canFreeze())(
  'files that were made read-only (needs chattr +i): calls are refused, and go on when they can be written',
  async () => {
    const scene = await setScene()
    const files = [scene.path, `${scene.path}-wal`]
    expect(asRoot('chattr', '+i', ...files)).toBeTrue()
    try {
      await expectRefused(scene)
    } finally {
      asRoot('chattr', '-i', ...files)
    }
    await expectRecovered(scene)
  },
)

test.skipIf(disk === null)(
  'a full disk (needs to mount a tmpfs): calls are refused, and go on when there is room',
  async () => {
    const folder = disk ?? ''
    const scene = await setScene(join(folder, 'data'))
    const ballast = join(folder, 'ballast')
    fill(ballast)
    await expectRefused(scene)
    rmSync(ballast)
    await expectRecovered(scene)
  },
)

test.skipIf(disk === null)(
  'a start on a read-only disk (needs to mount a tmpfs) ends with a sentence',
  async () => {
    const folder = smallDisk() ?? ''
    const dataDir = join(folder, 'data')
    expect(await (await startServer({}, dataDir)).stop()).toBe(0)
    expect(asRoot('mount', '-o', 'remount,ro', folder)).toBeTrue()
    const { err, code } = await runCommand([...COMMAND, 'serve'], { DATA_DIR: dataDir, PORT: '0' })
    expect(code).toBe(1)
    expect(err).toContain(`The database ${dataDir}/quota.db cannot be written (EROFS).`)
  },
)

function fill(path: string): void {
  const fd = openSync(path, 'w')
  for (const bytes of [65_536, 4_096, 1]) {
    try {
      for (;;) writeSync(fd, Buffer.alloc(bytes))
    } catch {}
  }
  closeSync(fd)
}
