/**
 * The user guide, typed in as it stands: every command of its sections "Basic use" and "Administration" goes through a
 * shell and a real curl. Only what a reader must fill in is filled in: address, token, endpoint, key and a date to come.
 */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const GUIDE = {
  health: `curl http://localhost:8787/healthz`,

  create: `# 使用管理令牌创建试用密钥
ADMIN_TOKEN="your-admin-token"
curl -X POST http://localhost:8787/admin/keys \\
  -H "Authorization: Bearer $ADMIN_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "trial-user-1",
    "quota": 1000,
    "expires_at": "2026-02-17T00:00:00Z"
  }'`,

  call: `# 使用 API 密钥调用代理服务
API_KEY="trial_abc123def456"
curl http://localhost:8787/proxy \\
  -H "X-API-Key: $API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "endpoint": "https://api.example.com/v1/chat",
    "method": "POST",
    "body": {
      "message": "Hello, quota-proxy!"
    }
  }'`,

  usage: `curl http://localhost:8787/admin/usage \\
  -H "Authorization: Bearer $ADMIN_TOKEN"`,

  usageOfKey: `curl "http://localhost:8787/admin/usage?key=trial_abc123def456" \\
  -H "Authorization: Bearer $ADMIN_TOKEN"`,

  list: `curl http://localhost:8787/admin/keys \\
  -H "Authorization: Bearer $ADMIN_TOKEN"`,

  remove: `curl -X DELETE "http://localhost:8787/admin/keys/trial_abc123def456" \\
  -H "Authorization: Bearer $ADMIN_TOKEN"`,

  reset: `curl -X POST "http://localhost:8787/admin/keys/trial_abc123def456/reset" \\
  -H "Authorization: Bearer $ADMIN_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "quota": 2000
  }'`,
}

const GUIDE_KEY = 'trial_abc123def456'
const EXPIRES = '2096-02-17T00:00:00Z'

/** As the guide shows instants: whole seconds, UTC. */
const INSTANT = expect.stringMatching(/^20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ$/)
const USED_AT = expect.stringMatching(/^20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{3})?Z$/)
const ID = expect.stringMatching(/^key_[0-9A-Za-z]{20}$/)

type Answer = { status: number; type: string; body: Record<string, unknown> }

test('every command of the user guide does what the guide says', async () => {
  const { server, upstream } = await start()
  const guide = (step: keyof typeof GUIDE, key = GUIDE_KEY) =>
    run(GUIDE[step].replaceAll(GUIDE_KEY, key), server, upstream)

  expect(await guide('health')).toEqual(json(200, { ok: true }))

  const created = await guide('create')
  expect(created).toEqual(
    json(201, {
      ...shown({ used: 0 }),
      key: expect.stringMatching(/^trial_[0-9A-Za-z]{36}$/),
      last_used_at: null,
    }),
  )
  const { key, ...rest } = created.body as { key: string }

  const called = await guide('call', key)
  expect(called).toMatchObject({ status: 200, body: { method: 'POST', path: '/v1/chat' } })
  expect(JSON.parse(String(called.body['body']))).toEqual({ message: 'Hello, quota-proxy!' })
  expect(upstream.seen.length).toBe(1)

  const row = { ...used(rest), calls: 1, failed: 0, requests: 1, tokens: 0, cost: 0, estimated: 0 }
  const sums = { ...row, bytes_in: anyInteger(), bytes_out: anyInteger() }
  const usage = json(200, { ...listOf(sums), currency: 'USD' })
  expect(await guide('usage')).toEqual(usage)
  expect(await guide('usageOfKey', key)).toEqual(usage)

  expect(await guide('list')).toEqual(json(200, listOf({ ...shown({ used: 1 }), ...same(rest) })))
  const { id } = rest as unknown as { id: string }
  expect(await guide('remove', key)).toEqual(json(200, { id, deleted: true }))
  expect(await guide('list')).toMatchObject({ body: { data: [] } })
  expect(await guide('call', key)).toMatchObject({
    status: 401,
    body: { error: { code: 'invalid_api_key' } },
  })

  // The guide resets after it has deleted; that the key is gone is then the right answer.
  expect(await guide('reset', key)).toMatchObject({ status: 404, body: { code: 'key_not_found' } })
  const second = await guide('create')
  const again = String(second.body['key'])
  await guide('call', again)
  expect(await guide('reset', again)).toEqual(
    json(200, { ...shown({ used: 0, quota: 2000 }), id: second.body['id'], last_used_at: USED_AT }),
  )
  const logs = await settledLogs(server)
  const secrets = [key, again, server.adminToken]
  expect(secrets.filter((secret) => logs.includes(secret))).toEqual([])
})

test("the guide's own key works as it is printed once it has been imported", async () => {
  const { server, upstream } = await start()
  const guide = (step: keyof typeof GUIDE) => run(GUIDE[step], server, upstream)
  const create = GUIDE.create.replace('"name"', `"key": "${GUIDE_KEY}", "name"`)

  const created = await run(create, server, upstream)
  expect(created).toMatchObject({ status: 201, body: { key: GUIDE_KEY, hint: 'tria…f456' } })
  const { id } = created.body
  expect(await run(create, server, upstream)).toMatchObject({
    status: 409,
    body: { code: 'key_already_exists' },
  })
  expect(await guide('call')).toMatchObject({ status: 200, body: { path: '/v1/chat' } })
  expect(await guide('usageOfKey')).toMatchObject({
    status: 200,
    body: { data: [{ id, quota: 1000, used: 1, calls: 1 }] },
  })
  expect(await guide('reset')).toMatchObject({ status: 200, body: { id, quota: 2000, used: 0 } })
  expect(await guide('call')).toMatchObject({ status: 200 })

  const before = [await guide('list'), await guide('usage'), await guide('usageOfKey')]
  await server.stop('SIGKILL')
  const next = await startServer(environment(upstream), server.dataDir)
  const after = [
    await run(GUIDE.list, next, upstream),
    await run(GUIDE.usage, next, upstream),
    await run(GUIDE.usageOfKey, next, upstream),
  ]
  expect(after).toEqual(before)
  expect(before[2]).toMatchObject({ body: { data: [{ used: 1, calls: 2 }] } })

  expect(await run(GUIDE.call, next, upstream)).toMatchObject({ status: 200 })
  expect(await run(GUIDE.remove, next, upstream)).toEqual(json(200, { id, deleted: true }))
  expect(await run(GUIDE.call, next, upstream)).toMatchObject({ status: 401 })
})

function environment(upstream: Upstream): Record<string, string> {
  return { PROXY_EGRESS_ALLOW: upstream.host }
}

async function start() {
  const upstream = startUpstream()
  return { upstream, server: await startServer(environment(upstream)) }
}

/** Runs a command of the guide in a shell of its own. A .curlrc adds the status, so that the text can stay as it is. */
async function run(command: string, server: TestServer, upstream: Upstream): Promise<Answer> {
  const home = temporaryDirectory()
  await Bun.write(
    join(home, '.curlrc'),
    'silent\nshow-error\nwrite-out = "\\n%{http_code} %{content_type}"\n',
  )
  const text = command
    .replaceAll('http://localhost:8787', server.url)
    .replaceAll('https://api.example.com', upstream.url)
    .replaceAll('your-admin-token', server.adminToken)
    .replaceAll('2026-02-17T00:00:00Z', EXPIRES)
  const env = { CURL_HOME: home, ADMIN_TOKEN: server.adminToken }
  const { out, err, code } = await runCommand(['sh', '-c', text], env)
  // What a call has cost is booked after its answer.
  await settled(server)
  expect({ err, code }).toEqual({ err: '', code: 0 })
  const end = out.lastIndexOf('\n')
  const [status = '', type = ''] = out.slice(end + 1).split(' ')
  return { status: Number(status), type, body: JSON.parse(out.slice(0, end)) }
}

function json(status: number, body: unknown): Answer {
  return { status, type: 'application/json;charset=utf-8', body: body as Answer['body'] }
}

function listOf(row: unknown) {
  return { object: 'list', data: [row], has_more: false, next: null }
}

/** The guide's key as the API shows it. */
function shown({ used: spent, quota = 1000 }: { used: number; quota?: number }) {
  const remaining = quota - spent
  const limit = { name: 'quota', unit: 'requests', amount: quota, window: 'lifetime' }
  return {
    id: ID,
    hint: expect.stringMatching(/^trial_[0-9A-Za-z]{4}…[0-9A-Za-z]{4}$/),
    name: 'trial-user-1',
    quota,
    used: spent,
    remaining,
    window: 'lifetime',
    resets_at: null,
    expires_at: EXPIRES,
    previous_until: null,
    enabled: true,
    status: 'active',
    concurrency: null,
    reserve_max: null,
    upstreams: null,
    methods: null,
    paths: null,
    models: null,
    ip_allow: null,
    limits: [
      {
        ...limit,
        timezone: 'UTC',
        week_start: 'monday',
        credited: 0,
        used: spent,
        remaining,
        resets_at: null,
      },
    ],
    tags: [],
    metadata: {},
    created_at: INSTANT,
    updated_at: INSTANT,
    last_used_at: USED_AT,
  }
}

/** What does not change of a key by using it. */
function same({ id, hint, created_at, updated_at }: Record<string, unknown>) {
  return { id, hint, created_at, updated_at }
}

/** The key's part of a row of usage after one call. */
function used(created: Record<string, unknown>) {
  const { id, hint } = created
  const { name, status, quota, used: spent, remaining, resets_at, expires_at } = shown({ used: 1 })
  const state = { name, status, quota, used: spent, remaining, resets_at, expires_at }
  return { id, hint, ...state, last_used_at: USED_AT }
}

function anyInteger() {
  return expect.any(Number)
}
