/** What Prometheus is told, and what it never is. */
import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { CREDENTIAL, startFixture } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

test('without the admin token there are no metrics', async () => {
  const server = await startServer()
  const { key } = await issueKey(server)
  for (const authorization of ['', 'Bearer nonsense', `Bearer ${key}`]) {
    const response = await fetch(`${server.url}/metrics`, { headers: { authorization } })
    expect(response.status).toBe(401)
    expect(await response.text()).not.toContain('quota_proxy_')
  }
})

test('calls are counted by upstream and end, what was charged is summed, and circuits are shown', async () => {
  const fixture = await startFixture({}, (request) =>
    new URL(request.url).pathname.endsWith('/bad')
      ? new Response(null, { status: 500 })
      : new Response('ok'),
  )
  const { key } = await fixture.issue({ quota: 3 })
  for (const path of ['/v1/a', '/v1/bad', '/u/api/b', '/v1/c', '/v1/over'])
    await (await fixture.pass(key, path)).text()
  await (await fixture.pass('trial_nobody', '/v1/a')).text()
  await settled(fixture.server)
  const response = await fixture.server.admin('GET', '/metrics')
  expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4')
  const text = await response.text()
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')[1],
    )
  const calls = (labels: string) => value(`quota_proxy_calls_total{${labels}}`)
  expect(calls('upstream="api",outcome="answered",code="",status="2xx"')).toBe(3)
  expect(calls('upstream="api",outcome="answered",code="",status="5xx"')).toBe(1)
  expect(calls('upstream="api",outcome="refused",code="insufficient_quota",status="4xx"')).toBe(1)
  expect(calls('upstream="",outcome="refused",code="invalid_api_key",status="4xx"')).toBe(1)
  expect(value('quota_proxy_requests_charged_total{upstream="api"}')).toBe(3)
  expect(value('quota_proxy_call_duration_seconds_count{upstream="api"}')).toBe(4)
  expect(value('quota_proxy_upstream_circuit{upstream="api"}')).toBe(0)
  expect(text).toContain('quota_proxy_build_info{version="')
  for (const secret of [key, CREDENTIAL, fixture.server.adminToken, '127.0.0.1'])
    expect(text).not.toContain(secret)
})

test('an open circuit shows, and one of an upstream that is gone no longer does', async () => {
  const fixture = await startFixture({}, () => new Response(null, { status: 503 }))
  const { key } = await fixture.issue()
  for (let n = 0; n < 10; n++) await (await fixture.pass(key, '/v1/x')).text()
  const read = async () => (await fixture.server.admin('GET', '/metrics')).text()
  expect(await read()).toContain('quota_proxy_upstream_circuit{upstream="api"} 2')
  await fixture.server.admin('DELETE', '/admin/upstreams/api')
  expect(await read()).not.toContain('quota_proxy_upstream_circuit{upstream="api"}')
})

test('whatever clients send adds no series', async () => {
  const upstream = startUpstream()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key } = await issueKey(server)
  const series = async () => {
    await settled(server)
    return (await (await server.admin('GET', '/metrics')).text()).split('\n').length
  }
  const send = async (n: number) => {
    const method = ['GET', 'POST', 'PATCH'][n % 3]
    await (await server.call(key, { endpoint: `${upstream.url}/${n}`, method })).text()
    await (await fetch(`${server.url}/u/name-${n}/x`, { headers: { 'x-api-key': key } })).text()
    await (await server.call(`trial_${n}`, { endpoint: upstream.url })).text()
  }
  await send(0)
  const before = await series()
  for (let n = 1; n <= 20; n++) await send(n)
  expect(await series()).toBe(before)
})
