/** Which door serves what, and the control socket: whose it is, and that it is there exactly while the server runs. */
import { expect, test } from 'bun:test'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { exchange } from '../support/wire.ts'

const DOORS = {
  ADMIN_LISTEN: '127.0.0.1:0',
  METRICS_LISTEN: '127.0.0.1:0',
  METRICS_TOKEN: '5e2b9d7c41f08a63be17',
}

const withJson = (body: unknown) =>
  body === undefined
    ? {}
    : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }

/** Where the other doors are, as the server says when it starts. */
function doorsOf(events: readonly Record<string, unknown>[]): Record<'admin' | 'metrics', string> {
  const text = JSON.stringify(events)
  const of = (name: string) =>
    new RegExp(`"${name}(?:_url)?":"(http://127\\.0\\.0\\.1:\\d+)/?"`).exec(text)?.[1] ?? ''
  return { admin: of('admin'), metrics: of('metrics') }
}

test('each door serves what is for it, and the rest is not found there', async () => {
  const upstream = startUpstream()
  const server = await startServer(DOORS)
  const { admin, metrics } = doorsOf(server.events())
  const unix = join(server.dataDir, 'control.sock')
  const operator = {
    ...server,
    admin: (method: string, path: string, body?: unknown) =>
      fetch(`http://localhost${path}`, { unix, method, ...withJson(body) }),
  }
  await addUpstream(operator, { name: 'api', base_url: upstream.url, mount: '/v1' })
  const { key } = await issueKey(operator)
  const token = { authorization: `Bearer ${server.adminToken}` }
  const holder = { authorization: `Bearer ${key}` }
  const table: [path: string, headers: Record<string, string>, ...statuses: number[]][] = [
    // What, as whom, and then at: main, admin, metrics, control.
    ['/healthz', {}, 200, 200, 200, 200],
    ['/readyz', {}, 200, 200, 200, 200],
    ['/admin/keys', token, 404, 200, 404, 200],
    ['/admin/keys', {}, 404, 401, 404, 200],
    ['/admin/keys', { authorization: 'Bearer wrong-but-long-enough' }, 404, 401, 404, 401],
    ['/metrics', token, 404, 200, 200, 200],
    ['/metrics', {}, 404, 401, 200, 200],
    ['/metrics', { authorization: `Bearer ${DOORS.METRICS_TOKEN}` }, 404, 200, 200, 200],
    ['/admin/keys', { authorization: `Bearer ${DOORS.METRICS_TOKEN}` }, 404, 401, 404, 401],
    ['/swagger', {}, 404, 200, 404, 200],
    ['/', {}, 404, 200, 404, 404],
    ['/', { accept: 'text/html' }, 200, 200, 404, 404],
    ['/favicon.ico', {}, 200, 200, 404, 404],
    ['/me', holder, 200, 404, 404, 404],
    ['/u/api/x', holder, 200, 404, 404, 404],
    ['/v1/x', holder, 200, 404, 404, 404],
  ]
  for (const [path, headers, ...expected] of table) {
    const found: number[] = []
    for (const url of [server.url, admin, metrics])
      found.push((await fetch(url + path, { headers })).status)
    found.push((await fetch(`http://localhost${path}`, { headers, unix })).status)
    expect([path, headers, ...found]).toEqual([path, headers, ...expected])
  }
})

test('with a door for the operator, no spelling of its routes leads in by the main one', async () => {
  const server = await startServer(DOORS)
  const spellings = [
    ...['/admin/keys', '//admin/keys', '/Admin/keys', '/%61dmin/keys', '/./admin/keys', '/u/../admin/keys'],
    ...['/u/%2e%2e/admin/keys', '/u\\..\\admin/keys', '/admin\\keys', '/admin/keys/', '/.//admin/keys', '/admin/keys#x'],
    ...['http://localhost/admin/keys', '/u/..%2fadmin/keys', '/me/../admin/keys', '/me/..\\admin/keys', '/healthz/../metrics'],
    ...['/metrics', '/metrics/', '/swagger', '/swagger/', '/swagger/json', '/u/../swagger', '/me/%2e%2e/swagger/json'],
  ] // biome-ignore format: a table
  for (const target of spellings) {
    const head = `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.adminToken}\r\n\r\n`
    const { status } = await exchange(server.url, head)
    // What is taken for a call has no valid key; a fragment is no part of a target.
    const expected = target.includes('%2f') ? 401 : target.includes('#') ? 400 : 404
    expect([target, status]).toEqual([target, expected])
  }
})

test('without doors of their own, the operator’s routes are at the main one', async () => {
  const server = await startServer({ METRICS_LISTEN: '127.0.0.1:0' })
  for (const path of ['/admin/keys', '/metrics', '/swagger']) {
    expect([path, (await server.admin('GET', path)).status]).toEqual([path, 200])
  }
  expect((await fetch(`${server.url}/metrics`)).status).toBe(401)
})

test('the control socket is for the owner of the data directory, and gone when the server has stopped', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  const path = join(dataDir, 'control.sock')
  const server = await startServer({}, dataDir)
  const mode = (of: string) => (statSync(of).mode & 0o777).toString(8)
  expect([mode(dataDir), mode(path)]).toEqual(['700', '600'])
  expect(statSync(path).isSocket()).toBe(true)
  expect(await server.stop()).toBe(0)
  expect(readdirSync(dataDir)).not.toContain('control.sock')
})

test('a control socket that SIGKILL has left does not hinder the next start', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  const path = join(dataDir, 'control.sock')
  const killed = await startServer({}, dataDir)
  await killed.stop('SIGKILL')
  expect(existsSync(path)).toBe(true)
  await expect(fetch('http://localhost/healthz', { unix: path })).rejects.toThrow()
  const next = await startServer({}, dataDir)
  expect((await fetch('http://localhost/admin/keys', { unix: path })).status).toBe(200)
  expect(await next.stop()).toBe(0)
  expect(existsSync(path)).toBe(false)
})

test('a second server of the same directory fails, and the first keeps its control socket', async () => {
  const server = await startServer()
  await expect(startServer({}, server.dataDir)).rejects.toThrow('did not start')
  const unix = join(server.dataDir, 'control.sock')
  expect((await fetch('http://localhost/admin/keys', { unix })).status).toBe(200)
})

test('a data directory whose path is too long for a socket is only warned of', async () => {
  const dataDir = join(temporaryDirectory(), 'd'.repeat(120))
  const server = await startServer({}, dataDir)
  expect(existsSync(join(dataDir, 'control.sock'))).toBe(false)
  // Said after the line by which a start is known.
  const warned = () => JSON.stringify(server.events().filter(({ level }) => level === 'warn'))
  await until(() => warned().includes('too long for a socket'))
  expect((await issueKey(server)).key).toStartWith('trial_')
  expect(await server.stop()).toBe(0)
})
