/** What holders and operators ask holds up no call, and each other as little as can be. */
import { expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testDatabase } from '../support/database.ts'
import { onPostgres } from '../support/engine.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { HOUR } from '../support/time.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream(() => new Response('yes'))
const env = { PROXY_EGRESS_ALLOW: upstream.host }

/** Years of hours with many upstreams: to sum them all takes far longer than a call. */
const ROLLUPS = 400_000

const { server, busy, other } = await startFilled()

/** `busy` has used so much, `other` nothing. */
async function startFilled() {
  const first = await startServer(env)
  const keys = {
    busy: await issueKey(first, { name: 'busy', quota: null }),
    other: await issueKey(first, { name: 'other', quota: null }),
  }
  await first.stop()
  await fill(first.database)
  return { server: await startServer(env, first.dataDir), ...keys }
}

async function fill(path: string): Promise<void> {
  await testDatabase({
    path,
  }).run(`WITH RECURSIVE n (i) AS (SELECT CAST(0 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < ${ROLLUPS - 1})
    INSERT INTO usage_hourly (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms)
    SELECT i / 50 * ${HOUR}, 1, 'upstream-' || (i % 50), 1, 0, 1, 2, 3, 4, 5, 6 FROM n`)
}

const ALL_TIME = '/me/usage?group_by=total&from=1970-01-01T00:00:00Z'

const ask = (key: string, path: string, from: TestServer = server) =>
  fetch(from.url + path, { headers: { 'x-api-key': key } })

const call = async (from: TestServer, key = other.key) => {
  const response = await from.call(key, { endpoint: upstream.url })
  await response.text()
  return response.status
}

/** How many calls begin and end, one after the other, before all of the answers are there. */
async function callsBefore(answers: Promise<Response>): Promise<number> {
  let answered = false
  void answers.then(() => {
    answered = true
  })
  for (let calls = 0; ; calls++) {
    expect(await call(server)).toBe(200)
    if (answered) return calls
  }
}

test('calls are answered while a holder is told of ever so many hours', async () => {
  const asked = ask(busy.key, ALL_TIME)
  expect(await callsBefore(asked)).toBeGreaterThan(10)
  const { data } = (await (await asked).json()) as { data: Record<string, unknown>[] }
  expect(data[0]).toMatchObject({ calls: ROLLUPS, tokens: 2 * ROLLUPS, bytes_out: 5 * ROLLUPS })
  expect(data[0]?.['by_upstream']).toHaveLength(50)
})

test('calls are answered while the operator is told of ever so many hours', async () => {
  const asked = server.admin('GET', '/admin/usage?limit=100')
  expect(await callsBefore(asked)).toBeGreaterThan(10)
  const { data } = (await (await asked).json()) as { data: Record<string, unknown>[] }
  expect(data).toContainEqual(expect.objectContaining({ id: busy.id, requests: ROLLUPS }))
})

test('a holder who asks long questions without end holds up no question of anybody else', async () => {
  const questions = Array.from({ length: 30 }, () => ask(busy.key, ALL_TIME))
  let answered = 0
  for (const question of questions)
    void question.then(({ ok }) => {
      if (ok) answered++
    })
  // The first that is refused shows that the others wait.
  const refused = await Promise.any(
    questions.map(async (question) => {
      const response = await question
      if (response.status === 200) throw new Error('answered')
      return response
    }),
  )
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(refused.headers.get('x-should-retry')).toBe('true')
  expect(await refused.json()).toEqual({
    error: {
      message: 'Too many of your questions are waiting for an answer. Ask fewer at once.',
      type: 'rate_limit_error', code: 'rate_limit_exceeded', param: null, request_id: expect.any(String),
    },
  }) // biome-ignore format: one answer
  expect((await ask(other.key, '/me')).status).toBe(200)
  expect((await server.admin('GET', '/admin/keys?limit=100')).status).toBe(200)
  expect(answered).toBeLessThan(16)
  const statuses = (await Promise.all(questions)).map(({ status }) => status)
  // On a slow machine some of those that wait take too long.
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(14)
  expect(statuses.filter((status) => status === 200)).not.toBeEmpty()
})

test('a key that asks about itself without end is refused, and may call all the same', async () => {
  const { key } = await issueKey(server)
  const statuses: number[] = []
  let last: Response
  do {
    last = await ask(key, ['/me', '/me/usage', '/me/billing/usage'][statuses.length % 3] ?? '')
    statuses.push(last.status)
  } while (last.status === 200 && statuses.length < 1_000)
  // One comes back each second meanwhile.
  expect(statuses.length).toBeGreaterThan(60)
  expect(last.status).toBe(429)
  expect(last.headers.get('retry-after')).toBe('1')
  const { error } = (await last.json()) as { error: Record<string, unknown> }
  expect(error).toMatchObject({
    message: 'A key may ask about itself 60 times a minute. Nothing was charged; ask again in a moment.',
    type: 'rate_limit_error', code: 'rate_limit_exceeded', limit: 60, remaining: 0,
  }) // biome-ignore format: one refusal
  expect(await call(server, key)).toBe(200)
  expect((await ask(other.key, '/me')).status).toBe(200)
})

/** Of PostgreSQL, its server answers. */
const threadsOnly = test.skipIf(process.platform !== 'linux' || onPostgres)

threadsOnly('a server that is asked nothing has no thread for answers', async () => {
  const quiet = await startServer(env)
  const { key } = await issueKey(quiet)
  await call(quiet, key)
  const before = threads(quiet)
  expect((await ask(key, '/me', quiet)).status).toBe(200)
  expect(threads(quiet)).toBe(before + 1)
})

test('a server that is stopped while it answers answers, and leaves its database whole', async () => {
  const one = await startFilled()
  const asked = ask(one.busy.key, ALL_TIME, one.server)
  // Answered after the question of the other was taken.
  expect((await ask(one.other.key, '/me', one.server)).status).toBe(200)
  const exit = one.server.stop()
  expect((await asked).status).toBe(200)
  expect(await exit).toBe(0)
  if (!onPostgres) expect(existsSync(join(one.server.dataDir, 'quota.db-wal'))).toBe(false)
})

function threads({ pid }: TestServer): number {
  const names = readdirSync(`/proc/${pid}/task`).map((id) =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim(),
  )
  return names.filter((name) => name === 'Worker').length
}
