/** `GET /admin/usage`: what each key has used, as a sum of what was done. */
import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream((request) => {
  return new Response('12345', { status: request.url.endsWith('/fail') ? 500 : 200 })
})
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const HOUR_MS = 3_600_000

type Row = Record<string, unknown>
type Page = { data: Row[]; has_more: boolean; next: string | null }

async function usage(query: Record<string, string> = {}): Promise<Page> {
  await settled(server)
  const response = await server.admin('GET', `/admin/usage?${new URLSearchParams(query)}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}

const call = async (key: string, path: string) =>
  (await server.call(key, { endpoint: upstream.url + path, body: 'abc' })).text()

const idle = await issueKey(server, { name: 'idle', quota: null })
const busy = await issueKey(server, { name: 'busy', quota: 5 })
for (const path of ['/ok', '/ok', '/ok', '/fail']) await call(busy.key, path)
// The 500 is refunded once the answer has ended; the next call is settled after it.
await call(busy.key, '/ok')

test('usage sums calls, failures, charges and bytes, and the quota stands beside it', async () => {
  const { data: all, ...rest } = await usage()
  // Other tests delete keys, which stay.
  const data = all.filter(({ status }) => status !== 'deleted')
  expect(rest).toEqual({ object: 'list', has_more: false, next: null, currency: 'USD' } as never)
  const envelope = JSON.stringify({ endpoint: `${upstream.url}/ok`, body: 'abc' })
  const failing = JSON.stringify({ endpoint: `${upstream.url}/fail`, body: 'abc' })
  expect(data).toEqual([
    {
      id: busy.id,
      hint: `${busy.key.slice(0, 10)}…${busy.key.slice(-4)}`,
      name: 'busy',
      status: 'active',
      quota: 5,
      used: 4,
      remaining: 1,
      resets_at: null,
      expires_at: null,
      last_used_at: expect.any(String),
      calls: 5,
      failed: 1,
      estimated: 0,
      requests: 4,
      tokens: 0,
      cost: 0,
      bytes_in: 4 * envelope.length + failing.length,
      bytes_out: 5 * '12345'.length,
    },
    expect.objectContaining({ id: idle.id, quota: null, used: 0, calls: 0, last_used_at: null }),
  ])
})

test('the usage of one key is asked for by its id or by the whole key', async () => {
  const data = (await usage()).data.filter(({ status }) => status !== 'deleted')
  expect((await usage({ key: busy.id })).data).toEqual([data[0] ?? {}])
  expect((await usage({ key: busy.key })).data).toEqual([data[0] ?? {}])
  expect((await usage({ key: idle.id })).data).toEqual([data[1] ?? {}])
})

test('a range counts the hours that begin in it', async () => {
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
  const at = (ms: number) => new Date(ms).toISOString()
  const calls = async (query: Record<string, string>) =>
    (await usage({ key: busy.id, ...query })).data[0]?.['calls']
  // Calls may have been made on both sides of the turn of an hour.
  const [before, after] = [at(hour - HOUR_MS), at(hour + HOUR_MS)]
  expect(await calls({ from: before })).toBe(5)
  expect(await calls({ from: before, to: after })).toBe(5)
  expect(await calls({ to: before })).toBe(0)
  expect(await calls({ from: after })).toBe(0)
  expect(await calls({ from: '2020-01-01T00:00:00+09:00', to: '2096-01-01T00:00:00Z' })).toBe(5)
  expect((await usage({ key: busy.id, to: before })).data[0]).toMatchObject({
    used: 4,
    requests: 0,
  })
})

test('what was used stays after a reset, and when the key is deleted', async () => {
  const { key, id } = await issueKey(server, { name: 'short-lived' })
  await call(key, '/ok')
  await server.admin('POST', `/admin/keys/${id}/reset`)
  expect((await usage({ key: id })).data[0]).toMatchObject({ used: 0, calls: 1, requests: 1 })
  await server.admin('DELETE', `/admin/keys/${id}`)
  expect((await usage({ key: id })).data[0]).toMatchObject({ calls: 1, status: 'deleted' })
  const unused = await issueKey(server, { name: 'unused' })
  await server.admin('DELETE', `/admin/keys/${unused.id}`)
  expect((await usage()).data.map((row) => row['id'])).toEqual([id, busy.id, idle.id])
})

test('pages of usage hold every key once, newest first, and go on after one that shows none', async () => {
  const unused = await issueKey(server, { name: 'deleted unused' })
  await server.admin('DELETE', `/admin/keys/${unused.id}`)
  expect(await usage({ limit: '1' })).toMatchObject({ data: [], has_more: true })
  const shown = (await usage()).data.map((row) => row['id'])
  const paged: unknown[] = []
  for (let after: string | undefined; ; ) {
    const page = await usage({ limit: '1', ...(after !== undefined && { after }) })
    expect(page.data.length).toBeLessThanOrEqual(1)
    paged.push(...page.data.map((row) => row['id']))
    if (page.next === null) break
    after = page.next
  }
  expect(paged).toEqual(shown)
  expect(paged.slice(-2)).toEqual([busy.id, idle.id])
})

const WRONG: [string, string][] = [
  ['from', 'yesterday'],
  ['from', '2026-02-30T00:00:00Z'],
  ['to', '2026-13-01T00:00:00Z'],
  ['to', '2026-01-01T00:00:00'],
  ['to', '1767225600'],
  ['from', '+010000-01-01T00:00:00Z'],
  ['limit', '0'],
  ['after', '-1'],
  ['key', ''],
]
for (const [path, value] of WRONG) {
  test(`usage ${path}=${value} is refused by name`, async () => {
    const query = new URLSearchParams({ [path]: value })
    const response = await server.admin('GET', `/admin/usage?${query}`)
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ code: 'validation_failed', errors: [{ path }] })
  })
}
