/** Starting and stopping: who may start, what a start leaves on the disk, and how a stop treats the calls in flight. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { testDatabase } from '../support/database.ts'
import { onPostgres, testOfFiles } from '../support/engine.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { openClient } from '../support/wire.ts'

const TOKEN = '7f3c9a1e5b2d8064c7f3'

/** Runs a server that is expected to end by itself. */
const runToEnd = (env: Record<string, string>) =>
  runCommand([...COMMAND, 'serve'], { PORT: '0', ...env })

/** An upstream that answers when it is told to. */
function startGate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const upstream = startUpstream(async () => {
    await opened
    return new Response('the whole answer')
  })
  return { upstream, open: () => open() }
}

async function wholeOf(running: Promise<Response>): Promise<[status: number, text: string]> {
  const answer = await running
  return [answer.status, await answer.text()]
}

test('a stop lets the running call finish and refuses every new one, and exits with 0', async () => {
  const { upstream, open } = startGate()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key } = await issueKey(server)
  // Begun before the stop, since idle connections are closed by it; whole when the server is already stopping.
  const early = await openClient(server.url)
  early.write(`POST /proxy HTTP/1.1\r\nhost: x\r\nx-api-key: ${key}\r\n`)
  const running = server.call(key, { endpoint: upstream.url })
  await until(() => upstream.seen.length === 1)

  const exit = server.stop('SIGTERM')
  await until(() => server.logs().includes('stopping; calls in flight may finish'))
  early.write('content-length: 0\r\n\r\n')
  const refused = await early.answer()
  expect(refused.status).toBe(503)
  expect(refused.header('retry-after')).toBe('1')
  expect(refused.header('x-should-retry')).toBe('true')
  expect(JSON.parse(refused.body.toString())).toMatchObject({ error: { code: 'shutting_down' } })
  const late = await server.call(key, { endpoint: upstream.url }).then(
    (response) => response.status,
    () => 'connection refused',
  )
  expect([503, 'connection refused']).toContain(late)

  open()
  expect(await wholeOf(running)).toEqual([200, 'the whole answer'])
  expect(await exit).toBe(0)
  expect(upstream.seen.length).toBe(1)
  const files = onPostgres ? ['replica.lock', 'secret-key'] : ['quota.db', 'quota.db.lock']
  expect(readdirSync(server.dataDir).sort()).toEqual(['admin-token', ...files])
})

test('a stop waits no longer than its grace, and books the calls that it cuts off', async () => {
  const { upstream } = startGate()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host, SHUTDOWN_GRACE_MS: '50' })
  const { key } = await issueKey(server)
  const running = server.call(key, { endpoint: upstream.url }).catch(() => null)
  await until(() => upstream.seen.length === 1)
  expect(await server.stop('SIGTERM')).toBe(0)
  await running
  const db = testDatabase({ path: server.database })
  expect(await db.all('SELECT count(*) AS n FROM holds')).toEqual([{ n: 0 }])
  expect(await db.all('SELECT requests_charged AS n FROM calls')).toEqual([{ n: 1 }])
})

test('a stop with a delay is seen at /readyz first, and takes calls until the delay is over', async () => {
  const { upstream, open } = startGate()
  open()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host, SHUTDOWN_DELAY_MS: '1500' })
  const { key } = await issueKey(server)
  const exit = server.stop('SIGTERM')
  await until(() => server.logs().includes('not ready any more'))
  const ready = await fetch(`${server.url}/readyz`)
  expect([ready.status, await ready.json()]).toEqual([503, { ok: false, state: 'draining' }])
  expect((await server.call(key, { endpoint: upstream.url })).status).toBe(200)
  expect(server.logs()).not.toContain('stopping; calls in flight may finish')
  expect(await exit).toBe(0)
  expect(server.logs()).toContain('stopping; calls in flight may finish')
})

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGTERM'],
] as const) {
  test(`${second} more than a second after ${first} ends the server at once with 1`, async () => {
    const { upstream } = startGate()
    const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
    const { key } = await issueKey(server)
    const running = server.call(key, { endpoint: upstream.url }).catch(() => null)
    await until(() => upstream.seen.length === 1)
    const exit = server.stop(first)
    await until(() => server.logs().includes('stopping; calls in flight may finish'))
    await Bun.sleep(1_050)
    process.kill(server.pid, second)
    expect(await exit).toBe(1)
    await running
  })
}

test('one Ctrl-C that arrives as several signals cuts off no call', async () => {
  const { upstream, open } = startGate()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key } = await issueKey(server)
  const running = server.call(key, { endpoint: upstream.url })
  await until(() => upstream.seen.length === 1)
  const exit = server.stop('SIGINT')
  await until(() => server.logs().includes('stopping; calls in flight may finish'))
  for (const again of ['SIGINT', 'SIGTERM'] as const) process.kill(server.pid, again)
  // Time enough to see them.
  await server.admin('GET', '/healthz').catch(() => null)
  open()
  expect(await wholeOf(running)).toEqual([200, 'the whole answer'])
  expect(await exit).toBe(0)
})

testOfFiles(
  'a second server on the same database is refused, and the first goes on undisturbed',
  async () => {
    const upstream = startUpstream()
    const env = { PROXY_EGRESS_ALLOW: upstream.host }
    const first = await startServer(env)
    const { key } = await issueKey(first, { quota: null })
    const statuses: number[] = []
    let done = false
    const load = Array.from({ length: 8 }, async () => {
      while (!done) statuses.push((await first.call(key, { endpoint: upstream.url })).status)
    })
    const refusals = await Promise.all(
      Array.from({ length: 3 }, () => runToEnd({ DATA_DIR: first.dataDir })),
    )
    done = true
    await Promise.all(load)
    for (const { err, code } of refusals) {
      expect(code).toBe(1)
      expect(err).toBe(
        `quota-proxy: Another quota-proxy is already serving ${first.dataDir}/quota.db. Stop it first, or give this one its own DATA_DIR.\n`,
      )
    }
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(upstream.seen.length).toBe(statuses.length)
    const shown = await first.admin('GET', `/admin/keys/${key}`)
    expect(await shown.json()).toMatchObject({ used: statuses.length })

    await first.stop('SIGKILL')
    const next = await startServer(env, first.dataDir)
    const after = await next.admin('GET', `/admin/keys/${key}`)
    expect(await after.json()).toMatchObject({ used: statuses.length })
  },
)

/** A stopped database that was changed by hand, and what a server says about it. */
async function startOn(change: string): Promise<{ err: string; code: number; same: boolean }> {
  const server = await startServer()
  await issueKey(server)
  await server.stop()
  const path = join(server.dataDir, 'quota.db')
  const db = new Database(path)
  db.run(change)
  db.run('PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
  const before = { bytes: readFileSync(path), files: readdirSync(server.dataDir).sort() }
  const { err, code } = await runToEnd({ DATA_DIR: server.dataDir })
  const after = { bytes: readFileSync(path), files: readdirSync(server.dataDir).sort() }
  expect(after.files).toEqual(before.files)
  return { err, code, same: before.bytes.equals(after.bytes) }
}

testOfFiles('a database that is newer than the binary is refused and left untouched', async () => {
  const row = "INSERT INTO schema_migrations VALUES ('9999_future', 'x', 0)"
  const { err, code, same } = await startOn(row)
  expect({ code, same }).toEqual({ code: 1, same: true })
  expect(err).toBe(
    'quota-proxy: The database is newer than this binary (it has the migration "9999_future"). Use the version that wrote it, or a newer one.\n',
  )
})

testOfFiles(
  'a database with a migration of another making is refused and left untouched',
  async () => {
    const { err, code, same } = await startOn("UPDATE schema_migrations SET hash = 'x'")
    expect({ code, same }).toEqual({ code: 1, same: true })
    expect(err).toContain('is not the one in this binary')
  },
)

testOfFiles('a file that is no database is refused and left untouched', async () => {
  const dataDir = temporaryDirectory()
  const path = join(dataDir, 'quota.db')
  const text = 'This is a letter to my mother, not a database. '.repeat(100)
  writeFileSync(path, text)
  const { err, code } = await runToEnd({ DATA_DIR: dataDir, ADMIN_TOKEN: TOKEN })
  expect(code).toBe(1)
  expect(err).toMatch(/^quota-proxy: .*\n$/)
  expect(readFileSync(path, 'utf8')).toBe(text)
})

test('a database in memory serves, leaves nothing behind, and forgets', async () => {
  const upstream = startUpstream()
  const env = { DATABASE_URL: ':memory:', PROXY_EGRESS_ALLOW: upstream.host }
  const server = await startServer(env)
  const { key } = await issueKey(server)
  expect((await server.call(key, { endpoint: upstream.url })).status).toBe(200)
  expect(await server.stop()).toBe(0)
  expect(readdirSync(server.dataDir)).toEqual(['admin-token'])
  const next = await startServer(env, server.dataDir)
  expect(next.adminToken).toBe(server.adminToken)
  expect((await next.call(key, { endpoint: upstream.url })).status).toBe(401)
})

const WEAK = ['your-secure-admin-token-here', 'your-admin-token', 'changeme', 'a'.repeat(40), '']
test('a weak or copied admin token is refused, from the environment and from the data directory', async () => {
  for (const token of WEAK.filter((text) => text !== '')) {
    const dataDir = join(temporaryDirectory(), 'data')
    const { err, code } = await runToEnd({ DATA_DIR: dataDir, ADMIN_TOKEN: token })
    expect({ token, code }).toEqual({ token, code: 2 })
    expect(err).toContain('ADMIN_TOKEN')
    expect(err).not.toContain(token)
    expect(existsSync(dataDir)).toBe(false)
  }
  for (const token of WEAK) {
    const dataDir = temporaryDirectory()
    writeFileSync(join(dataDir, 'admin-token'), token)
    const { err, code } = await runToEnd({ DATA_DIR: dataDir })
    expect({ token, code }).toEqual({ token, code: 1 })
    expect(err).toContain(join(dataDir, 'admin-token'))
    if (token) expect(err).not.toContain(token)
  }
})

test('a first start with nothing set keeps its directory and files to its user, even under a loose umask', async () => {
  const home = temporaryDirectory()
  await using child = Bun.spawn(['sh', '-c', 'umask 000; exec "$@"', 'sh', ...COMMAND], {
    // Only what keeps it away from the ports of this machine.
    env: { PATH: process.env['PATH'] ?? '', PORT: '0' },
    cwd: home,
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const output = child.stdout.getReader()
  let logs = ''
  while (!logs.includes('is listening on')) {
    const { value, done } = await output.read()
    if (done) break
    logs += new TextDecoder().decode(value)
  }
  const url = /"url":"(http[^"]+)\/"/.exec(logs)?.[1] ?? ''
  expect(url).toStartWith('http://127.0.0.1:')
  const token = readFileSync(join(home, 'data/admin-token'), 'utf8').trim()
  const created = await fetch(`${url}/admin/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"name": "first", "quota": 1}',
  })
  expect(created.status).toBe(201)

  const mode = (name: string) => (statSync(join(home, 'data', name)).mode & 0o777).toString(8)
  const database = ['quota.db', 'quota.db-shm', 'quota.db-wal', 'quota.db.lock']
  const files = readdirSync(join(home, 'data')).sort()
  expect(files).toEqual(['admin-token', 'control.sock', ...database])
  expect(['.', ...files].map(mode)).toEqual(['700', ...files.map(() => '600')])
  expect(logs).not.toContain(token)
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
})

test('a data directory that others may enter is used, and warned of', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { mode: 0o755 })
  const server = await startServer({}, dataDir)
  expect(server.logs()).toContain(`run: chmod 700 ${dataDir}`)
})
