/** Envelopes that are not: refused with one stable answer, for free, without echo, and the server lives on. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { entries } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { callBytes, exchange } from '../support/wire.ts'

/** Stands in every wrong input, and may stand in no answer. */
const CANARY = 'CaNaRy7391'

let upstream: Upstream
let server: TestServer
let key: string
let id: string

beforeAll(async () => {
  upstream = startUpstream()
  server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const issued = await issueKey(server)
  key = issued.key
  id = issued.id
})

async function post(body: string | Uint8Array<ArrayBuffer>) {
  const response = await fetch(`${server.url}/proxy`, {
    method: 'POST',
    headers: { 'x-api-key': key },
    body,
  })
  return { status: response.status, text: await response.text() }
}

/** Texts that stand for an envelope in which one thing is wrong. */
const invalid: Record<string, () => string | Uint8Array<ArrayBuffer>> = {
  nothing: () => '',
  'white space': () => ' \r\n\t',
  'no JSON': () => `${CANARY}`,
  'broken off': () => `{"endpoint":"http://${CANARY}`,
  'two values': () => `{"endpoint":"${upstream.url}"}{}`,
  'a trailing comma': () => `{"endpoint":"${upstream.url}",}`,
  'single quotes': () => `{'endpoint':'${upstream.url}'}`,
  'a comment': () => `{"endpoint":"${upstream.url}"/*${CANARY}*/}`,
  null: () => 'null',
  'a list': () => `[{"endpoint":"${upstream.url}"}]`,
  'a string': () => JSON.stringify(CANARY),
  'a number': () => '7391',
  'invalid UTF-8': () => Uint8Array.of(...Buffer.from('{"endpoint":"'), 0xff, 0xfe, 0x22, 0x7d),
  'UTF-16': () => Uint8Array.from(Buffer.from(`{"endpoint":"${upstream.url}"}`, 'utf16le')),
  '10^6 brackets': () => '['.repeat(1_000_000),
  '10^6 braces': () => '{"a":'.repeat(1_000_000),
  '10^6 closed brackets': () => '['.repeat(1_000_000) + ']'.repeat(1_000_000),
}

/** Members that make a good envelope a bad one. */
const wrongMembers: Record<string, object> = {
  'no endpoint': { endpoint: undefined },
  'endpoint null': { endpoint: null },
  'endpoint empty': { endpoint: '' },
  'endpoint a number': { endpoint: 7391 },
  'endpoint a list': { endpoint: [CANARY] },
  'an unknown field': { [CANARY]: 1 },
  'a misspelt field': { Method: 'GET' },
  'the old timeout': { timeout: 5 },
  'method a number': { method: 1 },
  'method empty': { method: '' },
  'method CONNECT': { method: 'CONNECT' },
  'method TRACE': { method: 'TRACE' },
  'method TRACK': { method: 'TRACK' },
  'method of our own': { method: CANARY },
  'method with a line break': { method: 'GET / HTTP/1.1\r\nX: y' },
  'headers a list': { headers: [['a', CANARY]] },
  'headers a string': { headers: CANARY },
  'a header that is a number': { headers: { 'x-a': 1 } },
  'a header that is a list': { headers: { 'x-a': [CANARY] } },
  'a header with CRLF': { headers: { 'x-a': `a\r\nX-Injected: ${CANARY}` } },
  'a header with LF': { headers: { 'x-a': `a\n${CANARY}` } },
  'a header with NUL': { headers: { 'x-a': `a\u0000${CANARY}` } },
  'a header beyond latin1': { headers: { 'x-a': `☃${CANARY}` } },
  'a header with half a surrogate': { headers: { 'x-a': '\ud800' } },
  'a header that ends in a space': { headers: { 'x-a': `${CANARY} ` } },
  'a header that is too long': { headers: { 'x-a': 'a'.repeat(8_193) } },
  'a header name with CRLF': { headers: { 'x-a: b\r\nx-injected': CANARY } },
  'a header name with a colon': { headers: { 'x-a:': CANARY } },
  'a header name with a space': { headers: { 'x a': CANARY } },
  'an empty header name': { headers: { '': CANARY } },
  'too many headers': { headers: Object.fromEntries(many(101)) },
  'query a string': { query: `a=${CANARY}` },
  'query a list': { query: [CANARY] },
  'query with an object': { query: { a: { b: CANARY } } },
  'query with null': { query: { a: null } },
  'query with a list in a list': { query: { a: [[CANARY]] } },
  'query with half a surrogate': { query: { a: `\udc00${CANARY}` } },
  'query name with half a surrogate': { query: { [`\ud800${CANARY}`]: 1 } },
  '10^5 query parameters': { query: Object.fromEntries(many(100_000)) },
  '10^5 values of one parameter': { query: { a: many(100_000).map(([name]) => name) } },
  'a body with GET': { method: 'GET', body: CANARY },
  'a body with HEAD': { method: 'HEAD', body: { a: CANARY } },
  'a body with half a surrogate': { body: `\ud800${CANARY}` },
  'an endpoint with half a surrogate': { endpoint: `http://a.test/\ud800${CANARY}` },
  'timeout zero': { timeout_ms: 0 },
  'timeout negative': { timeout_ms: -1 },
  'timeout a fraction': { timeout_ms: 1.5 },
  'timeout a string': { timeout_ms: '1000' },
  'timeout over an hour': { timeout_ms: 3_600_001 },
}

/** Endpoints that nobody may call. */
const forbidden: Record<string, string> = {
  'no URL': CANARY,
  'a relative URL': `/${CANARY}`,
  'a file': `file:///etc/passwd?${CANARY}`,
  'a data URL': `data:text/plain,${CANARY}`,
  'with NUL': `http://a.test/\u0000${CANARY}`,
  'with a line break': `http://a.test/ HTTP/1.1\r\nHost: ${CANARY}`,
  'with a user': `http://${CANARY}@a.test/`,
  'over 8 KiB': `http://a.test/${CANARY}${'a'.repeat(8_192)}`,
}

function many(n: number): [string, string][] {
  return Array.from({ length: n }, (_, i) => [`p${i}`, 'v'])
}

async function expectRefusal(body: string | Uint8Array<ArrayBuffer>, status: number, code: string) {
  const answer = await post(body)
  const { error } = JSON.parse(answer.text)
  expect({ status: answer.status, code: error.code }).toEqual({ status, code })
  expect(answer.text).not.toContain(CANARY)
  expect(answer.text.length).toBeLessThan(1_500)
  expect(answer.text).not.toMatch(/\bat .*:\d+:\d+|node_modules|TypeError|SyntaxError/)
}

describe('an envelope', () => {
  for (const [name, body] of Object.entries(invalid)) {
    test(`that is ${name} is a 422`, () => expectRefusal(body(), 422, 'invalid_request'))
  }

  for (const [name, members] of Object.entries(wrongMembers)) {
    test(`with ${name} is a 422`, () => {
      const envelope = { endpoint: upstream.url, ...members }
      return expectRefusal(JSON.stringify(envelope), 422, 'invalid_request')
    })
  }

  for (const [name, endpoint] of Object.entries(forbidden)) {
    test(`whose endpoint is ${name} is a 403`, () =>
      expectRefusal(JSON.stringify({ endpoint }), 403, 'target_not_allowed'))
  }

  test('says where it is wrong, each place once', async () => {
    const { text } = await post('{"endpoint":1,"method":2,"headers":3,"query":4,"timeout_ms":"5"}')
    const { errors } = JSON.parse(text).error as { errors: { path: string }[] }
    expect(errors.map(({ path }) => path)).toEqual([
      'endpoint',
      'method',
      'headers',
      'query',
      'timeout_ms',
    ])
    const headers = Object.fromEntries(many(100).map(([name]) => [`${name}:`, 1]))
    const much = await post(JSON.stringify({ endpoint: upstream.url, headers }))
    expect(JSON.parse(much.text).error.errors.length).toBe(1)
  })

  test('that is bad never reaches the upstream, is never charged, and ends nothing', async () => {
    for (const [name, body] of Object.entries(invalid))
      expect([name, (await post(body())).status]).toEqual([name, 422])
    expect(upstream.seen.filter(({ path }) => !path.startsWith('/good'))).toEqual([])
    expect((await entries(server)).filter(({ bytes_in }) => bytes_in === 0)).toEqual([])
    const shown = (await (await server.admin('GET', `/admin/keys/${id}`)).json()) as {
      used: number
    }
    expect(shown.used).toBe(upstream.seen.length)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    expect(await settledLogs(server)).not.toContain(CANARY)
  })
})

describe('an odd envelope that is none the less one', () => {
  const good = (text: string) => post(text.replace('URL', `${upstream.url}/good`))
  const received = () => upstream.seen.at(-1)

  test('has the last of duplicate members, as JSON.parse has', async () => {
    await good(
      '{"endpoint":"http://x.test","body":{"a":1},"endpoint":"URL","body":[2],"b\\u006fdy":[3 ]}',
    )
    expect(received()).toMatchObject({ method: 'POST', body: '[3 ]' })
    await good('{"endpoint":"URL","body":{"a":1},"body":null}')
    expect(received()).toMatchObject({ method: 'GET', body: '' })
  })

  test('may carry a body as deep as it likes: it is not walked', async () => {
    const body = '['.repeat(50_000) + ']'.repeat(50_000)
    expect((await good(`{"body":${body},"endpoint":"URL"}`)).status).toBe(200)
    expect(received()?.body === body).toBe(true)
  })

  test('may carry __proto__ where names are free, and pollutes nothing', async () => {
    const text =
      '{"endpoint":"URL","method":"POST","headers":{"__proto__":"h"},"query":{"__proto__":"q"},"body":{"__proto__":{"polluted":true}}}'
    expect((await good(text)).status).toBe(200)
    expect(received()).toMatchObject({
      path: '/good?__proto__=q',
      body: '{"__proto__":{"polluted":true}}',
    })
    expect(received()?.headers.get('__proto__')).toBe('h')
    await expectRefusal('{"__proto__":{"endpoint":"http://a.test"}}', 422, 'invalid_request')
  })

  test('may say that it is of any type', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
      const envelope = { endpoint: `${upstream.url}/good` }
      const answer = await exchange(
        server.url,
        callBytes({ 'X-API-Key': key, 'Content-Type': type }, envelope),
      )
      expect(answer.status).toBe(200)
    }
  })

  test('may leave its members null', async () => {
    const nulls = '"method":null,"headers":null,"query":null,"body":null,"timeout_ms":null'
    expect((await good(`{"endpoint":"URL",${nulls}}`)).status).toBe(200)
    expect(received()).toMatchObject({ method: 'GET', path: '/good', body: '' })
  })

  test('may name as many headers and parameters as the limits say', async () => {
    const envelope = {
      endpoint: `${upstream.url}/good`,
      headers: Object.fromEntries(many(90)),
      query: Object.fromEntries(many(1_000)),
    }
    expect((await post(JSON.stringify(envelope))).status).toBe(200)
    expect(received()?.headers.get('p89')).toBe('v')
    expect(received()?.path).toEndWith('&p999=v')
  })
})
