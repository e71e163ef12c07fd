/** What an upstream says instead of success: the holder's own trouble arrives, the operator's does not, and no secret. */
import { beforeAll, describe, expect, test } from 'bun:test'
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { settled, usedOf } from '../support/books.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream } from '../support/upstream.ts'
import { startRawUpstream } from '../support/wire.ts'

let saying: () => Response = () => Response.json({})
const upstream = startUpstream(() => saying())

let server: TestServer
let key: string
let id: string

beforeAll(async () => {
  server = await startServer({ PROXY_IDLE_TIMEOUT_MS: '1000' })
  const base_url = `${upstream.url}/v1`
  await addUpstream(server, { name: 'api', base_url, mount: '/v1', credential: { secret: CREDENTIAL } })
  await addUpstream(server, { name: 'own', base_url })
  for (const [name, credential] of [['google', { header: 'x-goog-api-key' }], ['query', { query: 'key' }]] as const)
    await addUpstream(server, { name, base_url: `${upstream.url}/${name}`, credential: { ...credential, secret: CREDENTIAL } })
  ;({ key, id } = await issueKey(server, { quota: null }))
}) // biome-ignore format: lines of a table

type Answer = { readonly status: number; readonly headers: Headers; readonly text: string }

async function ask(says: () => Response, path = '/v1/chat/completions', init: RequestInit = {}): Promise<Answer> {
  saying = says
  const headers = new Headers(init.headers)
  headers.set('x-api-key', key)
  const response = await fetch(server.url + path, { method: 'POST', body: '{"model":"m"}', ...init, headers, redirect: 'manual' })
  return { status: response.status, headers: response.headers, text: await response.text() }
} // biome-ignore format: long lines

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  () =>
    Response.json(body, { status, headers })

async function alerts(): Promise<number> {
  await settledLogs(server)
  return server.events().filter((event) => event['level'] === 'error').length
}

describe('a 401 or 403 that the request has brought about', () => {
  const theirs: readonly (readonly [number, object])[] = [
    [403, { error: { code: 403, message: 'Input was flagged', metadata: { reasons: ['violence'] } } }],
    [403, { error: { message: 'Country not supported', code: 'unsupported_country_region_territory' } }],
    [403, { error: { message: 'no access to model `m`', code: 'model_not_found' } }],
    [401, { error: { message: 'OpenAI-Organization header should match', code: 'mismatched_organization' } }],
    [403, { error: { code: 403, message: 'No permission to access the File', status: 'PERMISSION_DENIED' } }],
  ] // biome-ignore format: a table
  for (const [status, body] of theirs)
    test(`arrives as it is, and alarms nobody: ${JSON.stringify(body)}`, async () => {
      const before = await alerts()
      const answer = await ask(json(status, body))
      expect([answer.status, answer.text]).toEqual([status, JSON.stringify(body)])
      expect(await alerts()).toBe(before)
    })

  test('arrives whole, however long or slow it is', async () => {
    const long = `{"error":{"message":"flagged"},"pad":"${'x'.repeat(300_000)}"}`
    expect((await ask(() => new Response(long, { status: 403 }))).text).toBe(long)
    const pieces = ['{"error":', '{"message":"flagged"', '}}']
    const slow = async function* () {
      for (const piece of pieces) {
        await Bun.sleep(50)
        yield Buffer.from(piece)
      }
    }
    const answer = await ask(() => new Response(slow(), { status: 403 }))
    expect([answer.status, answer.text]).toEqual([403, pieces.join('')])
    expect((await ask(() => new Response(null, { status: 403 }))).status).toBe(403)
  })

  test('begins to arrive before it has ended, if it is longer than errors are', async () => {
    const begun = Buffer.alloc(70_000, 'x')
    saying = () =>
      new Response(new ReadableStream({ start: (c) => c.enqueue(begun) }), { status: 403 })
    const controller = new AbortController()
    const { signal } = controller
    const headers = { 'x-api-key': key }
    const response = await fetch(`${server.url}/v1/x`, { headers, signal })
    const first = await response.body?.getReader().read()
    expect([response.status, (first?.value?.byteLength ?? 0) > 0]).toEqual([403, true])
    controller.abort()
  })
})

test('an error that breaks off before anybody can tell what it is about is none of the holder’s', async () => {
  const head = 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n'
  const breaking = await startRawUpstream((socket) => socket.end(`${head}9\r\n{"error":\r\n`))
  const base_url = breaking.url
  await addUpstream(server, { name: 'breaking', base_url })
  await addUpstream(server, { name: 'theirs', base_url, credential: { secret: CREDENTIAL } })
  const before = await usedOf(server, id)
  for (const name of ['breaking', 'theirs']) {
    const { status, text } = await ask(() => new Response(), `/u/${name}/x`)
    expect([status, text.includes('"upstream_error"')]).toEqual([502, true])
  }
  expect(await usedOf(server, id)).toBe(before)
})

test('an error without a body, and one to a HEAD, arrives as it is', async () => {
  const says = () => new Response('gone', { status: 404, headers: { 'x-a': '1' } })
  const head = await ask(says, '/v1/x', { method: 'HEAD', body: null })
  expect([head.status, head.text, head.headers.get('x-a'), head.headers.get('content-length')]).toEqual([404, '', '1', '4'])
  expect((await ask(() => new Response(null, { status: 500 }))).text).toBe('')
  expect((await ask(() => new Response(null, { status: 304 }), '/v1/x', { method: 'GET', body: null })).status).toBe(304)
}) // biome-ignore format: long lines

describe('an error about the operator’s credential', () => {
  const packed = JSON.stringify({ error: { message: 'The API key is disabled' } })
  const ours: Readonly<Record<string, () => Response>> = {
    'OpenAI’s': json(401, { error: { message: `Incorrect API key provided: ${CREDENTIAL}`, code: 'invalid_api_key' } }),
    'Anthropic’s': json(401, { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key' } }),
    'Google’s, which is a bad request': json(400, {
      error: { code: 400, message: 'API key not valid.', details: [{ reason: 'API_KEY_INVALID' }] },
    }),
    'a 403 that says so': json(403, { error: { message: 'Your API key has been disabled' } }),
    'a compressed one': () => new Response(gzipSync(packed), { status: 403, headers: { 'content-encoding': 'gzip' } }),
    'one that never ends': () =>
      new Response(new ReadableStream({ start: (c) => c.enqueue(Buffer.from('{"error":')) }), { status: 401 }),
    'one that nobody can read': () => new Response('\xff\xfe', { status: 401, headers: { 'content-encoding': 'gzip' } }),
  } // biome-ignore format: a table
  for (const [whose, says] of Object.entries(ours))
    test(`is a 502, costs nothing and is told to the operator: ${whose}`, async () => {
      await settled(server)
      const before = [await alerts(), await usedOf(server, id)] as const
      const answer = await ask(says)
      expect([answer.status, JSON.parse(answer.text).error.code]).toEqual([502, 'upstream_credential_rejected'])
      expect(answer.text).not.toContain(CREDENTIAL.slice(0, 8))
      await settled(server)
      expect([await alerts(), await usedOf(server, id)]).toEqual([before[0] + 1, before[1]])
    }) // biome-ignore format: long lines

  test('is the client’s own where the operator has given none', async () => {
    for (const status of [400, 401, 403]) {
      const answer = await ask(json(status, { error: { code: 'invalid_api_key' } }), '/u/own/x')
      expect([answer.status, answer.text]).toEqual([status, '{"error":{"code":"invalid_api_key"}}'])
    }
  })
})

describe('an error that shows the credential', () => {
  const told = `no access with ${CREDENTIAL} (sk-operat****${CREDENTIAL.slice(-4)}, ${btoa(`u:${CREDENTIAL}`)})`
  for (const status of [400, 402, 403, 404, 409, 422, 429, 500, 503, 529])
    test(`with a ${status} arrives without it, and as long as it was`, async () => {
      const { text } = await ask(json(status, { error: { message: told } }))
      expect(text).toStartWith('{"error":{"message":"no access with ***')
      expect(text).toHaveLength(JSON.stringify({ error: { message: told } }).length)
      expect(text).not.toMatch(new RegExp(`sk-|${CREDENTIAL.slice(-4)}|${btoa(`u:${CREDENTIAL}`).slice(8, 30)}`))
    })

  for (const [coding, pack] of [
    ['gzip', gzipSync], ['deflate', deflateSync], ['br', brotliCompressSync], ['zstd', zstdCompressSync],
  ] as const) // biome-ignore format: a table
    test(`in ${coding} arrives unpacked and without it`, async () => {
      const body = pack(JSON.stringify({ error: { message: told } }))
      const ofBytes = { etag: '"e"', 'content-digest': 'md5=:AA==:', 'repr-digest': 'md5=:AA==:' }
      const headers = { 'content-encoding': coding, ...ofBytes }
      const answer = await ask(() => new Response(body, { status: 429, headers }))
      expect(answer.text).toStartWith('{"error":{"message":"no access with ***')
      for (const name of Object.keys(headers)) expect(answer.headers.get(name)).toBeNull()
    })

  for (const [how, coding, pack] of [
    ['packed twice', 'gzip, br', (bytes: Buffer) => brotliCompressSync(gzipSync(bytes))],
    ['in deflate without its frame', 'deflate', deflateRawSync],
    ['in a coding by another name', 'x-gzip', gzipSync],
    ['packed by another coding than the header names', 'br', gzipSync],
    ['packed though no header says so', null, gzipSync],
    ['in plain text that a header calls packed', 'gzip', (bytes: Buffer) => bytes],
  ] as const)
    test(`${how} arrives without it`, async () => {
      const body = pack(Buffer.from(JSON.stringify({ error: { message: told } })))
      saying = () => new Response(body, { status: 429, headers: coding === null ? {} : { 'content-encoding': coding } })
      // As it has come: what fetch unpacks by itself it does not show.
      const response = await fetch(`${server.url}/v1/x`, { headers: { 'x-api-key': key }, decompress: false })
      expect(Buffer.from(await response.arrayBuffer()).toString()).toStartWith('{"error":{"message":"no access with ***')
    }) // biome-ignore format: long lines

  test('in bytes that are no text arrives with all others as they were', async () => {
    const bytes = Buffer.from([0xff, 0, 0xc3, ...Buffer.from(CREDENTIAL), 0x80, 0x0a])
    saying = () => new Response(bytes, { status: 500 })
    const response = await fetch(`${server.url}/v1/x`, { headers: { 'x-api-key': key } })
    const expected = Buffer.from([0xff, 0, 0xc3, ...Buffer.from('*'.repeat(CREDENTIAL.length)), 0x80, 0x0a])
    expect(Buffer.from(await response.arrayBuffer())).toEqual(expected)
  })

  test('in a header loses the header', async () => {
    const masked = `Bearer error="sk-op...${CREDENTIAL.slice(-4)}"`
    const headers = { 'www-authenticate': masked, 'x-a': btoa(`u:${CREDENTIAL}`), 'x-b': Buffer.from(CREDENTIAL).toString('hex'), 'x-c': '...' }
    const answer = await ask(json(429, {}, headers))
    expect(['www-authenticate', 'x-a', 'x-b', 'x-c'].map((name) => answer.headers.get(name))).toEqual([null, null, null, '...'])
    expect((await ask(json(200, {}, headers))).headers.get('x-a')).toBe(null)
  })
}) // biome-ignore format: long lines

describe('what an upstream says of this very request arrives:', () => {
  test('whether and when to try again', async () => {
    const headers = { 'retry-after-ms': '1500', 'x-should-retry': 'false', 'retry-after': '2' }
    const answer = await ask(json(429, {}, headers))
    for (const [name, value] of Object.entries(headers)) expect(answer.headers.get(name)).toBe(value)
    expect(answer.headers.get('x-quota-error')).toBe(null)
  })

  test('that Anthropic’s limits reject it, and nothing more of them', async () => {
    const status = 'anthropic-ratelimit-unified-status'
    const reset = 'anthropic-ratelimit-unified-reset'
    const headers = { [status]: 'rejected', [reset]: '1', 'anthropic-ratelimit-tokens-remaining': '5' }
    const refused = await ask(json(429, {}, headers))
    expect([...refused.headers.keys()].filter((name) => name.startsWith('anthropic-')).sort()).toEqual([reset, status])
    const granted = await ask(json(200, {}, headers))
    expect([...granted.headers.keys()].filter((name) => name.startsWith('anthropic-'))).toEqual([])
  })

  test('nginx keeps no stream back, and obeys no upstream', async () => {
    const piece = async function* () {
      yield Buffer.from('data: 1\n\n')
      await Bun.sleep(20)
      yield Buffer.from('data: 2\n\n')
    }
    for (const type of ['text/event-stream', 'text/event-stream; charset=utf-8', 'application/x-ndjson', 'application/json']) {
      const headers = { 'content-type': type, 'x-accel-redirect': '/private', 'x-sendfile': '/etc/passwd' }
      const answer = await ask(() => new Response(piece(), { headers }))
      expect(['x-accel-buffering', 'x-accel-redirect', 'x-sendfile'].map((name) => answer.headers.get(name))).toEqual(['no', null, null])
    }
    expect((await ask(json(200, {}))).headers.get('x-accel-buffering')).toBe(null)
    const asked = { headers: { 'content-type': 'image/png' } }
    expect((await ask(() => new Response(piece(), asked))).headers.get('x-accel-buffering')).toBe(null)
  })
}) // biome-ignore format: long lines

describe('to an upstream that is called on the operator’s account goes', () => {
  const last = () => upstream.seen.at(-1)

  test('no header by which the holder would choose another account of it', async () => {
    const names = ['openai-organization', 'openai-project', 'x-goog-user-project', 'anthropic-organization-id',
      'anthropic-workspace-id', 'chatgpt-account-id', 'x-amz-security-token'] // biome-ignore format: a list
    const headers = Object.fromEntries([...names, 'openai-beta'].map((name) => [name, 'theirs']))
    await ask(json(200, {}), '/v1/x', { headers })
    expect([...names, 'openai-beta'].filter((name) => last()?.headers.has(name))).toEqual(['openai-beta'])
    await ask(json(200, {}), '/u/own/x', { headers })
    expect(names.filter((name) => last()?.headers.has(name))).toEqual(names)
  })

  test('no other credential, whichever place it stands in', async () => {
    for (const headers of [
      { authorization: 'Bearer sk-ant-oat01-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }, { authorization: 'Bearer dummy' },
      { authorization: 'Basic dXNlcjpwYXNz' }, { authorization: `Bearer ${'e'.repeat(2_000)}` }, { authorization: 'dummy' },
      { 'api-key': 'dummy', 'x-goog-api-key': 'AIzaSyDUMMYDUMMYDUMMYDUMMYDUMMYDUMMYDUM' },
      { authorization: 'Bearer trial_000000000000000000000000000000000000' },
    ] as Record<string, string>[]) {
      expect((await ask(json(200, {}), '/v1/x', { headers })).status).toBe(200)
      const seen = last()?.headers
      expect(seen?.get('authorization')).toBe(`Bearer ${CREDENTIAL}`)
      expect(['x-api-key', 'api-key', 'x-goog-api-key'].filter((name) => seen?.has(name))).toEqual([])
    }
    await ask(json(200, {}), '/u/google/x?a=%2f&key=theirs&k%65y=theirs&alt=sse')
    expect(last()?.path).toBe('/google/x?a=%2f&alt=sse')
    await ask(json(200, {}), '/u/query/x?key=theirs')
    expect(last()?.path).toBe(`/query/x?key=${CREDENTIAL}`)
    await ask(json(200, {}), '/v1/x?key=theirs&&a')
    expect(last()?.path).toBe('/v1/x?key=theirs&&a')
  })
}) // biome-ignore format: long lines
