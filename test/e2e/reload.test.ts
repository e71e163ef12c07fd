/** Settings that change while the server runs: what takes effect, what waits for a restart, and what changes nothing. */
import { beforeEach, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callsOf, until } from '../support/books.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const TOKENS = ['c41f08a63be175e2b9d7', '7d9b2e571eb36a80f14c'] as const
const READ = 'the settings were read again'

let file: string
let upstream: Upstream
let open: () => void
/** What stands in the file at first, besides what a test adds. */
let settings: Record<string, string>

beforeEach(() => {
  file = join(temporaryDirectory(), 'settings')
  const gate = Promise.withResolvers<void>()
  open = gate.resolve
  upstream = startUpstream(async (_, { path }) => {
    if (path === '/gate') await gate.promise
    return new Response('ok', { status: path === '/missing' ? 404 : 200 })
  })
  settings = { PROXY_EGRESS_ALLOW: upstream.host }
})

function write(changes: Record<string, string>): void {
  settings = { ...settings, ...changes }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  writeFileSync(file, `# Settings\n${lines.join('\n')}\n`)
}

async function start(env: Record<string, string> = {}): Promise<TestServer> {
  write({})
  return startServer({ CONFIG_FILE: file, ...env })
}

const said = (server: TestServer, text: string) =>
  server.events().filter(({ msg }) => String(msg).includes(text))

/** Sends SIGHUP and waits until the server has answered it in its log. */
async function reload(server: TestServer, text = READ): Promise<Record<string, unknown>> {
  const before = said(server, text).length
  process.kill(server.pid, 'SIGHUP')
  await until(() => said(server, text).length > before)
  return said(server, text).at(-1) ?? {}
}

async function codeOf(response: Response): Promise<string> {
  const text = await response.text()
  return response.ok || !text.startsWith('{')
    ? String(response.status)
    : JSON.parse(text).error.code
}

test('what a file of settings says after SIGHUP holds from the next call on, and calls in flight go on', async () => {
  const server = await start()
  const { key, id } = await issueKey(server, { quota: null })
  const call = (path: string, more: object = {}) =>
    server.call(key, { endpoint: upstream.url + path, ...more })
  expect(await codeOf(await call('/x', { body: 'x'.repeat(2_000) }))).toBe('200')
  await (await call('/missing')).text()
  const running = call('/gate')
  await until(() => upstream.seen.some(({ path }) => path === '/gate'))

  write({ CHARGE_ON: 'success', PROXY_BODY_BYTES_MAX: '1000', KEY_PREFIX: 'team_' })
  const event = await reload(server)
  expect(event['changed']).toEqual(
    expect.arrayContaining(['CHARGE_ON', 'PROXY_BODY_BYTES_MAX', 'KEY_PREFIX']),
  )
  expect(await codeOf(await call('/x', { body: 'x'.repeat(2_000) }))).toBe('request_too_large')
  await (await call('/missing')).text()
  expect((await issueKey(server)).key).toStartWith('team_')
  write({ PROXY_EGRESS: 'off' })
  await reload(server)
  expect(await codeOf(await call('/x'))).toBe('target_not_allowed')

  open()
  expect(await (await running).text()).toBe('ok')
  const charged = (await callsOf(server, id)).map(({ status, requests }) => [
    status,
    requests.charged,
  ])
  // By when they began, newest first: the one that was in flight has its place before the change.
  expect(charged).toEqual([
    [404, 0],
    [200, 1],
    [404, 1],
    [200, 1],
  ])
})

test('a changed file is noticed without a signal, and LOG_LEVEL holds at once', async () => {
  const server = await start()
  const { key } = await issueKey(server)
  const callLines = () => said(server, 'call').length
  const isLogged = async () => {
    const before = callLines()
    await server.call(key, { endpoint: upstream.url }).then((response) => response.text())
    await Bun.sleep(100)
    return callLines() > before
  }
  expect(await isLogged()).toBe(true)
  write({ LOG_LEVEL: 'warn' })
  const deadline = performance.now() + 10_000
  while ((await isLogged()) && performance.now() < deadline) await Bun.sleep(100)
  expect(await isLogged()).toBe(false)
  write({ LOG_LEVEL: 'info' })
  await until(() => said(server, READ).some(({ cause }) => cause === 'a file has changed'), 10_000)
  expect(await isLogged()).toBe(true)
}, 30_000)

test('tokens change with their files, and the old ones open nothing', async () => {
  const tokenFile = join(temporaryDirectory(), 'token')
  writeFileSync(tokenFile, TOKENS[0])
  settings['METRICS_TOKEN'] = 'a63be175e2b9d7c41f08'
  const server = await start({ ADMIN_TOKEN_FILE: tokenFile })
  const status = async (path: string, token: string) =>
    (await fetch(server.url + path, { headers: { authorization: `Bearer ${token}` } })).status
  expect(await status('/admin/keys', TOKENS[0])).toBe(200)
  expect(await status('/metrics', 'a63be175e2b9d7c41f08')).toBe(200)
  writeFileSync(tokenFile, TOKENS[1])
  write({ METRICS_TOKEN: '08f14c7d9b2e571eb36a' })
  await reload(server)
  expect(await status('/admin/keys', TOKENS[1])).toBe(200)
  expect(await status('/admin/keys', TOKENS[0])).toBe(401)
  expect(await status('/metrics', '08f14c7d9b2e571eb36a')).toBe(200)
  expect(await status('/metrics', 'a63be175e2b9d7c41f08')).toBe(401)
  for (const token of [...TOKENS, '08f14c7d9b2e571eb36a'])
    expect(server.logs()).not.toContain(token)
})

test('what needs a restart says so and stays, while the rest of the file holds', async () => {
  write({ PORT: '0' })
  // What the environment sets wins over the file, so that the port may not be set there.
  const dataDir = join(temporaryDirectory(), 'data')
  const server = await startServer({ CONFIG_FILE: file, PORT: '' }, dataDir)
  write({ DURABILITY: 'full', PORT: '1', KEY_PREFIX: 'next_' })
  const event = await reload(server, 'need a restart')
  expect(event).toMatchObject({ level: 'warn', settings: ['PORT', 'DURABILITY'] })
  expect((await issueKey(server)).key).toStartWith('next_')
})

test('a file that is wrong changes nothing, whatever else it says, and the log says why', async () => {
  const server = await start()
  for (const [wrong, problem] of [
    [{ PROXY_TIMEOUT_MS: 'long' }, 'PROXY_TIMEOUT_MS'],
    [{ KEY_PREFX: 'x_' }, 'KEY_PREFX'],
    [{ TLS_CERT_FILE: '/nowhere' }, 'TLS_KEY_FILE'],
    [{ ADMIN_TOKEN: 'changeme' }, 'ADMIN_TOKEN'],
  ] as const) {
    const kept = settings
    write({ KEY_PREFIX: 'wrong_', ...wrong })
    const event = await reload(server, 'not valid')
    expect([problem, event['level'], String(event['problems'])]).toEqual([
      problem,
      'error',
      expect.stringContaining(problem),
    ])
    expect((await issueKey(server)).key).toStartWith('trial_')
    settings = kept
    write({})
    await reload(server)
  }
})

test('SIGHUP without a file of settings does not end the server', async () => {
  const server = await startServer()
  await reload(server)
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  expect(await server.stop()).toBe(0)
})
