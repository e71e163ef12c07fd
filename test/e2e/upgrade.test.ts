/**
 * Databases as earlier versions left them, killed in the middle of calls, on the present server. Each was made by the
 * code of its time (test/fixtures/databases/make.ts) and lies beside what its clients knew then.
 */
import { expect, test } from 'bun:test'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { SQLITE_MIGRATIONS } from '../../src/db/sqlite/migrations.gen.ts'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'

type Limit = { readonly name: string; readonly window: string; readonly used: number }
type Shown = Limit & { readonly id: string; readonly enabled: boolean; readonly limits: Limit[] }
type Call = { readonly id: string; readonly why: string }

type Known = {
  readonly upstreamPort: number
  readonly secretKey: string
  readonly deletedKey: string
  readonly callsOpen: number
  readonly keys: readonly { readonly key: string; readonly shown: Shown }[]
  readonly upstreams: readonly Record<string, unknown>[]
  readonly calls: readonly Call[]
}

const STORED = join(import.meta.dir, '../fixtures/databases')
const schemas = SQLITE_MIGRATIONS.map(({ name }) => name).filter((name) =>
  existsSync(join(STORED, `${name}.sqlite.gz`)),
)

test('each schema that another has followed is stored as a database, so that upgrades from it stay tested', () => {
  const followed = SQLITE_MIGRATIONS.slice(0, -1).map(({ name }) => name)
  expect(followed.filter((name) => !schemas.includes(name))).toEqual([])
})

for (const schema of schemas) {
  test(`a database of ${schema} is served on: keys, charges and calls are what they were`, async () => {
    const known: Known = await Bun.file(join(STORED, `${schema}.json`)).json()
    const { server, dataDir, env } = await upgrade(schema, known)

    for (const { key, shown } of known.keys) {
      const now = (await get(server, `/admin/keys/${shown.id}`)) as Shown
      expect(lasting(now)).toMatchObject(lasting(shown))
      expect((await me(server, key)).status).toBe(shown.enabled ? 200 : 401)
    }
    expect((await me(server, known.deletedKey)).status).toBe(401)
    const { data: upstreams } = await get(server, '/admin/upstreams')
    expect(upstreams).toMatchObject(known.upstreams as Record<string, unknown>[])
    for (const { why: _, ...call } of known.calls)
      expect(await get(server, `/admin/calls/${call.id}`)).toMatchObject(call)
    const { data: calls } = await get(server, '/admin/calls?limit=100')
    const interrupted = (calls as { outcome: string }[]).filter((c) => c.outcome === 'interrupted')
    expect(interrupted.length).toBe(known.callsOpen)
    expect((calls as Call[]).length).toBe(known.calls.length + known.callsOpen)

    await callWithEach(server, known)
    expect(await get(server, '/admin/doctor')).toMatchObject({ ok: true })
    expect(await server.stop()).toBe(0)
    const doctor = await runCommand([...COMMAND, 'doctor'], { ...env, DATA_DIR: dataDir })
    expect(doctor).toMatchObject({ code: 0 })
    // What the upgrade has brought stays as it is at the next start.
    const again = await startServer(env, dataDir)
    expect(again.logs()).not.toContain('database migrated')
    await again.stop()
  })
}

/** Starts the present server on a copy of the stored database. */
async function upgrade(schema: string, known: Known) {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { mode: 0o700 })
  const stored = await Bun.file(join(STORED, `${schema}.sqlite.gz`)).bytes()
  await Bun.write(join(dataDir, 'quota.db'), Bun.gunzipSync(stored))
  const env = {
    PROXY_EGRESS_ALLOW: `127.0.0.1:${known.upstreamPort}`,
    SECRET_KEY: known.secretKey,
    // The stored entries grow older than entries are usually kept.
    CALLS_RETENTION_DAYS: '36500',
    USAGE_RETENTION_DAYS: '36500',
  }
  const server = await startServer(env, dataDir)
  const missing = SQLITE_MIGRATIONS.map(({ name }) => name).filter((name) => name > schema)
  const migrated = server.events().find(({ migrations }) => migrations !== undefined)
  expect(migrated?.['migrations'] ?? []).toEqual(missing)
  return { server, dataDir, env }
}

/** Every key can do what it has left, and no more; a sealed credential reaches its upstream. */
async function callWithEach(server: TestServer, known: Known): Promise<void> {
  const seen: (string | null)[] = []
  const upstream = Bun.serve({
    hostname: '127.0.0.1',
    port: known.upstreamPort,
    fetch: (request) => {
      seen.push(request.headers.get('authorization'))
      return Response.json({ usage: { prompt_tokens: 30, completion_tokens: 12 } })
    },
  })
  const endpoint = `http://127.0.0.1:${known.upstreamPort}/`
  for (const { key, shown } of known.keys) {
    const isScoped = shown.limits.some(({ name }) => name.startsWith('tokens'))
    const response = isScoped
      ? await fetch(`${server.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: '{"model":"m-1","max_tokens":100,"messages":[]}',
        })
      : await server.call(key, { endpoint, body: 'x' })
    await response.text()
    const isSpent = shown.name === 'spent'
    const expected = !shown.enabled ? 401 : isSpent ? 429 : 200
    expect({ name: shown.name, status: response.status }).toEqual({
      name: shown.name,
      status: expected,
    })
    await settled(server)
    const now = (await get(server, `/admin/keys/${shown.id}`)) as Shown
    if (shown.window === 'lifetime') expect(now.used).toBe(shown.used + (expected === 200 ? 1 : 0))
  }
  await upstream.stop(true)
  expect(seen.includes('Bearer sk-of-the-operator-0a1b2c3d')).toBe(known.upstreams.length > 0)
}

/** A key without what changes by itself: windows that begin anew, and the end of the calls that were cut off. */
function lasting(key: Shown): object {
  const ofCalendar = ['used', 'remaining', 'resets_at']
  const strip = (limit: Limit) => without(limit, limit.window === 'lifetime' ? [] : ofCalendar)
  return { ...without(strip(key), ['last_used_at']), limits: key.limits.map(strip) }
}

function without(record: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)))
}

async function get(server: TestServer, path: string): Promise<Record<string, unknown>> {
  const response = await server.admin('GET', path)
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  return (await response.json()) as Record<string, unknown>
}

function me(server: TestServer, key: string): Promise<Response> {
  return fetch(`${server.url}/me`, { headers: { 'x-api-key': key } })
}
