import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream((_, { path }) =>
  path === '/fail' ? new Response('no', { status: 500 }) : new Response('yes'),
)
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const alice = await issueKey(server, { name: 'alice' })
const bob = await issueKey(server, { name: 'bob' })

async function call(key: string, path: string): Promise<string> {
  const response = await server.call(key, { endpoint: upstream.url + path })
  await response.text()
  await settled(server)
  return response.headers.get('x-quota-charge-id') ?? ''
}

const json = async (response: Response) => (await response.json()) as Record<string, unknown>

test('the charge id of an answer leads to its entry, for the operator and for the holder', async () => {
  const id = await call(alice.key, '/')
  const entry = {
    id,
    key_id: alice.id,
    outcome: 'answered',
    status: 200,
    why: 'Charged: the upstream answered 200.',
    requests: { reserved: 1, charged: 1, refunded: 0 },
    tokens: {
      ...{ reserved: 0, charged: 0, refunded: 0 },
      ...{ input: null, output: null, cached: null, reasoning: null },
    },
    model: null,
    estimated: false,
    price_list: null,
    bytes_out: 3,
  }
  expect(await json(await server.admin('GET', `/admin/calls/${id}`))).toMatchObject(entry)
  const own = await fetch(`${server.url}/me/calls/${id}`, { headers: { 'x-api-key': alice.key } })
  expect(await json(own)).toMatchObject(entry)
})

test('a call that was given back says so', async () => {
  const id = await call(alice.key, '/fail')
  expect(await json(await server.admin('GET', `/admin/calls/${id}`))).toMatchObject({
    status: 500,
    why: 'Given back: the upstream answered 500.',
    requests: { reserved: 1, charged: 0, refunded: 1 },
  })
})

test('a holder sees no call of another key, and cannot tell it from none', async () => {
  const id = await call(alice.key, '/')
  const look = async (what: string) => {
    const response = await fetch(`${server.url}/me/calls/${what}`, {
      headers: { 'x-api-key': bob.key },
    })
    const { error } = (await response.json()) as { error: Record<string, unknown> }
    return { status: response.status, ...error, request_id: null }
  }
  const theirs = await look(id)
  expect(theirs).toMatchObject({ status: 404, code: 'call_not_found' })
  expect(await look('call_999999999')).toEqual(theirs)
  expect(await look('nonsense')).toEqual(theirs)
})

test('looking costs nothing and works when the quota is used up', async () => {
  const { key, id } = await issueKey(server, { quota: 1 })
  const charge = await call(key, '/')
  const own = await fetch(`${server.url}/me/calls/${charge}`, {
    headers: { authorization: `Bearer ${key}` },
  })
  expect(own.status).toBe(200)
  expect(await json(await server.admin('GET', `/admin/keys/${id}`))).toMatchObject({ used: 1 })
})

test('without a key, or with a wrong one, nothing is shown', async () => {
  expect((await fetch(`${server.url}/me/calls/call_1`)).status).toBe(401)
  const wrong = await fetch(`${server.url}/me/calls/call_1`, {
    headers: { 'x-api-key': 'trial_wrong_wrong_wrong' },
  })
  expect(wrong.status).toBe(401)
})

test('the list shows the newest first, page by page, of one key if asked', async () => {
  const { key, id } = await issueKey(server, { quota: 10 })
  const made: string[] = []
  for (let i = 0; i < 5; i++) made.unshift(await call(key, '/'))
  const seen: unknown[] = []
  let after = ''
  do {
    const page = await json(await server.admin('GET', `/admin/calls?key=${id}&limit=2${after}`))
    seen.push(...(page['data'] as { id: string }[]).map((entry) => entry.id))
    after = page['has_more'] ? `&after=${page['next']}` : ''
  } while (after !== '')
  expect(seen).toEqual(made)
  const all = await json(await server.admin('GET', '/admin/calls?limit=1'))
  expect(all).toMatchObject({ data: [{ id: made[0] }], has_more: true })
  expect((await server.admin('GET', '/admin/calls?key=key_00000000000000000000')).status).toBe(404)
})
