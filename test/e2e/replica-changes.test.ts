/**
 * What is changed through one replica holds for calls through the others from the instant at which the change is answered: a
 * revoked key, a lowered limit, a disabled upstream, a new credential. CHANGE_TIMES says how often each is done, and
 * CHANGE_CLIENTS by how many clients at once.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { addUpstream } from '../support/named-upstream.ts'
import { newDatabase } from '../support/postgres.ts'
import { type Replicas, startReplicas, untilKnown } from '../support/replicas.ts'
import { issueKey, type TestServer } from '../support/server.ts'

const TIMES = Number(process.env['CHANGE_TIMES'] ?? 50)
/** Others are the same thing to the database, and take longer. */
const OTHER_TIMES = Math.ceil(TIMES / 5)
/** More than 256 at a time wait in `fetch`. */
const CLIENTS = Number(process.env['CHANGE_CLIENTS'] ?? 40)
/** After the change, each client calls so often. */
const CALLS_AFTER = 2

setDefaultTimeout(300_000 + TIMES * CLIENTS * 100)

type Call = { readonly id: number; readonly begunAt: number; status: number; code: string }

let replicas: Replicas
let first: TestServer
let others: readonly TestServer[]
let upstream: Bun.Server<undefined>
/** With which credential each call came. */
const credentials = new Map<number, string>()
let calls = 0

beforeAll(async () => {
  upstream = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const id = Number(new URL(request.url).pathname.slice(1))
      credentials.set(id, request.headers.get('authorization') ?? '')
      await request.text()
      return new Response('ok')
    },
  })
  const host = `127.0.0.1:${upstream.port}`
  replicas = await startReplicas(await newDatabase(), 3, { PROXY_EGRESS_ALLOW: host })
  const [one, ...rest] = replicas.servers
  if (!one) throw new Error('there is no replica')
  first = one
  others = rest
  const credential = { secret: 'sk-0' }
  await addUpstream(first, {
    name: 'api',
    base_url: `http://${host}`,
    credential,
    meter: { kind: 'none' },
  })
  await untilKnown(replicas, 'api')
})

afterAll(() => upstream.stop(true))

async function call(key: string, which = calls): Promise<Call> {
  const id = calls++
  const { url = '' } = others[which % others.length] ?? {}
  const one: Call = { id, begunAt: performance.now(), status: 0, code: '' }
  const headers = { authorization: `Bearer ${key}` }
  const response = await fetch(`${url}/u/api/${id}`, { method: 'POST', body: '{}', headers })
  one.status = response.status
  one.code = /"code":"(\w+)"/.exec(await response.text())?.[1] ?? ''
  return one
}

/** Resolves with the calls that began before the change was answered, and those that began after it. */
async function callAround(key: string, change: () => Promise<Response>) {
  const before: Call[] = []
  const after: Call[] = []
  let answeredAt = Infinity
  let begun = 0
  const hasBegun = Promise.withResolvers<void>()
  const clients = Array.from({ length: CLIENTS }, async () => {
    for (let left = CALLS_AFTER; left > 0; ) {
      const one = await call(key)
      if (one.begunAt < answeredAt) before.push(one)
      else {
        after.push(one)
        left--
      }
      if (++begun === CLIENTS) hasBegun.resolve()
    }
  })
  await hasBegun.promise
  const response = await change()
  answeredAt = performance.now()
  if (!response.ok) throw new Error(`the change was refused: ${await response.text()}`)
  await Promise.all(clients)
  expect(before.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
  return { before, after }
}

/** How many calls ended so. */
function endings(list: readonly Call[]): Record<string, number> {
  const ends = list.map(({ status, code }) => `${status} ${code}`.trim())
  return Object.fromEntries(
    [...Map.groupBy(ends, (end) => end)].map(([end, all]) => [end, all.length]),
  )
}

test('after the answer of a revocation no call passes that begins later', async () => {
  const ways = [
    { end: '401 api_key_disabled', method: 'PATCH', body: { enabled: false } },
    { end: '401 invalid_api_key', method: 'DELETE' },
    { end: '401 invalid_api_key', method: 'POST', route: '/rotate', body: {} },
  ]
  for (let i = 0; i < TIMES; i++) {
    const { end, method, body, route = '' } = ways[i % ways.length] ?? { end: '', method: '' }
    const { key, id } = await issueKey(first, { quota: null })
    const change = () => first.admin(method, `/admin/keys/${id}${route}`, body)
    const { after } = await callAround(key, change)
    expect(endings(after)).toEqual({ [end]: CALLS_AFTER * CLIENTS })
  }
})

test('after the answer of a lowered limit no call passes that begins later', async () => {
  for (let i = 0; i < OTHER_TIMES; i++) {
    const { key, id } = await issueKey(first, { quota: 1_000_000 })
    const change = () => first.admin('PATCH', `/admin/keys/${id}`, { quota: i % 2 })
    const { after } = await callAround(key, change)
    expect(endings(after)).toEqual({ '429 insufficient_quota': CALLS_AFTER * CLIENTS })
  }
})

test('an upstream that was disabled gets no call that begins after the answer', async () => {
  const { key } = await issueKey(first, { quota: null })
  const set = (enabled: boolean) => first.admin('PATCH', '/admin/upstreams/api', { enabled })
  for (let i = 0; i < OTHER_TIMES; i++) {
    const { after } = await callAround(key, () => set(false))
    expect(after.map(({ id }) => credentials.get(id) ?? 'none')).toEqual(after.map(() => 'none'))
    expect(endings(after)).toEqual({ '404 upstream_not_found': CALLS_AFTER * CLIENTS })
    await set(true)
    // What was enabled is known a little later.
    for (const which of others.keys())
      while ((await call(key, which)).status !== 200) await Bun.sleep(20)
  }
})

test('an upstream never sees its old credential in a call that begins after the answer', async () => {
  const { key } = await issueKey(first, { quota: null })
  for (let i = 1; i <= OTHER_TIMES; i++) {
    const secret = `sk-${i}`
    const change = () => first.admin('PATCH', '/admin/upstreams/api', { credential: { secret } })
    const { after } = await callAround(key, change)
    expect(endings(after)).toEqual({ '200': CALLS_AFTER * CLIENTS })
    const seen = new Set(after.map(({ id }) => credentials.get(id)))
    expect([...seen]).toEqual([`Bearer ${secret}`])
  }
})
