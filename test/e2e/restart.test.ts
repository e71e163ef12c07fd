/** What a crash of the process leaves behind, and what the next start makes of it. */
import { expect, test } from 'bun:test'
import { until } from '../support/books.ts'
import { testDatabase } from '../support/database.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

async function everything(server: TestServer, ids: readonly string[]): Promise<unknown[]> {
  const paths = ['/admin/keys?limit=100', '/admin/usage?limit=100']
  const all = [...paths, ...ids.map((id) => `/admin/keys/${id}`)]
  return Promise.all(all.map(async (path) => (await server.admin('GET', path)).json()))
}

test('keys and usage are the same after SIGKILL as before, and so are they after SIGTERM', async () => {
  const upstream = startUpstream()
  const env = { PROXY_EGRESS_ALLOW: upstream.host }
  let server = await startServer(env)
  const plain = await issueKey(server, { quota: 5 })
  const full = await issueKey(server, {
    quota: 9,
    window: 'month',
    timezone: 'Asia/Tokyo',
    expires_at: '2096-01-01T00:00:00Z',
    limits: [{ name: 'burst', unit: 'requests', amount: 100, window: 'day' }],
    concurrency: 3,
    tags: ['a', 'b'],
    metadata: { nested: { deep: [1, null, 'x'] } },
  })
  const imported = await issueKey(server, { key: 'an-imported-key-of-ours' })
  const disabled = await issueKey(server, { enabled: false })
  const deleted = await issueKey(server)
  for (const { key } of [plain, plain, full, imported, deleted]) {
    await (await server.call(key, { endpoint: upstream.url, body: 'x' })).text()
  }
  await server.admin('POST', `/admin/keys/${plain.id}/reset`, { quota: 3 })
  await (await server.call(plain.key, { endpoint: upstream.url })).text()
  await server.admin('DELETE', `/admin/keys/${deleted.id}`)
  // Settled after the answer has ended; this call's reservation comes after all of that.
  await (await server.call(imported.key, { endpoint: upstream.url })).text()

  const ids = [plain.id, full.id, imported.id, disabled.id]
  await Bun.sleep(50)
  const before = await everything(server, ids)
  expect(before.slice(0, 2)).toMatchObject([
    { data: [{ status: 'disabled' }, { used: 2 }, { used: 1 }, { used: 1, quota: 3 }] },
    {
      data: [
        { status: 'deleted', calls: 1 },
        ...[{ calls: 0 }, { calls: 2 }, { calls: 1 }, { calls: 3, requests: 3 }],
      ],
    },
  ])
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
    await server.stop(signal)
    server = await startServer(env, server.dataDir)
    expect(await everything(server, ids)).toEqual(before)
  }
  expect((await server.call(deleted.key, { endpoint: upstream.url })).status).toBe(401)
  expect((await server.call(disabled.key, { endpoint: upstream.url })).status).toBe(401)
  expect((await server.call(plain.key, { endpoint: upstream.url })).status).toBe(200)
})

test('calls that SIGKILL cuts off are booked once as interrupted, and stay charged', async () => {
  const upstream = startUpstream(() => new Promise<Response>(() => {}))
  const env = { PROXY_EGRESS_ALLOW: upstream.host }
  const server = await startServer(env)
  const { key, id } = await issueKey(server, { quota: 10 })
  const open = Array.from({ length: 4 }, () =>
    server.call(key, { endpoint: upstream.url }).catch(() => null),
  )
  await until(() => upstream.seen.length === 4)
  await server.stop('SIGKILL')
  await Promise.all(open)

  const next = await startServer(env, server.dataDir)
  expect(next.logs()).toContain('"calls":4')
  const shown = await next.admin('GET', `/admin/keys/${id}`)
  expect(await shown.json()).toMatchObject({ used: 4, remaining: 6 })
  const usage = await next.admin('GET', `/admin/usage?key=${id}`)
  expect(await usage.json()).toMatchObject({ data: [{ calls: 4, failed: 4, requests: 4 }] })
  expect(await next.stop()).toBe(0)
  // A start after a clean stop finds nothing more to resolve.
  const third = await startServer(env, server.dataDir)
  expect(third.logs()).not.toContain('cut off by the last stop')
  await third.stop()

  const db = testDatabase({ path: server.database })
  const calls = await db.all(
    'SELECT outcome, status, requests_reserved, requests_charged FROM calls ORDER BY seq',
  )
  expect(calls).toEqual(
    Array(4).fill({
      outcome: 'interrupted',
      status: null,
      requests_reserved: 1,
      requests_charged: 1,
    }),
  )
  expect(await db.all('SELECT count(*) AS n FROM holds')).toEqual([{ n: 0 }])
  expect(await db.all('SELECT CAST(sum(used) AS bigint) AS n FROM counters')).toEqual([{ n: 4 }])
  if (!db.isPostgres)
    expect(await db.all('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
})
