/** What goes to the upstream and what comes back: as described, byte for byte, and nothing that is ours. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { entries, holds, settled } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  callBytes,
  exchange,
  openClient,
  type RawRequest,
  type RawUpstream,
  startRawUpstream,
} from '../support/wire.ts'

/** What the upstream answers at each path, in latin1; anything else gets a plain 200. */
const answers = new Map<string, string>()

let upstream: RawUpstream
let server: TestServer
let key: string

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { target }) => {
    const text = answers.get(target) ?? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    socket.write(Buffer.from(text, 'latin1'))
  })
  server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  key = (await issueKey(server, { quota: null })).key
})

/** Makes a call and returns what reached the upstream. */
async function sent(envelope: object, headers: Record<string, string> = {}): Promise<RawRequest> {
  const before = upstream.seen.length
  const bytes = callBytes({ 'X-API-Key': key, ...headers }, { endpoint: upstream.url, ...envelope })
  const { status } = await exchange(server.url, bytes)
  expect(status).toBe(200)
  const [request, ...more] = upstream.seen.slice(before)
  if (!request) throw new Error('nothing reached the upstream')
  expect(more).toEqual([])
  return request
}

/** Makes a call that the upstream answers with these bytes, and returns what reached the client. */
function answered(lines: readonly string[], body = '', method = 'GET') {
  const path = `/${answers.size}`
  answers.set(path, `${lines.join('\r\n')}\r\n\r\n${body}`)
  const envelope = { endpoint: `${upstream.url}${path}`, method }
  return exchange(server.url, callBytes({ 'X-API-Key': key }, envelope))
}

/** What a server in between says of itself. */
const OF_FRONT: readonly string[] = process.env['FRONT'] ? ['connection', 'server'] : []

const valuesOf = ({ headers }: RawRequest, name: string) =>
  headers.filter(([own]) => own === name).map(([, value]) => value)

/** Which headers there are, save the one that each connection writes for itself. */
const namesOf = ({ headers }: RawRequest) =>
  headers
    .map(([name]) => name)
    .filter((name) => name !== 'connection')
    .sort()

describe('to the upstream', () => {
  test('every method arrives as itself; POST with a body and GET without are the defaults', async () => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      expect((await sent({ method })).method).toBe(method)
    }
    expect((await sent({ method: 'patch', body: 'x' })).method).toBe('PATCH')
    expect((await sent({ body: 'x' })).method).toBe('POST')
    expect((await sent({})).method).toBe('GET')
  })

  test('the query of the envelope is added to that of the endpoint, a fragment is not sent', async () => {
    const endpoint = `${upstream.url}/a%2Fb/c;d?x=1&y=%20z#part`
    expect((await sent({ endpoint })).target).toBe('/a%2Fb/c;d?x=1&y=%20z')
    const query = { y: ['1', 2, true], 'ä &': 'ö=+?#/', none: [] }
    const { target } = await sent({ endpoint: `${upstream.url}/p?x=%20~&s=a+b`, query })
    expect(target).toBe('/p?x=%20~&s=a+b&y=1&y=2&y=true&%C3%A4+%26=%C3%B6%3D%2B%3F%23%2F')
  })

  test('a JSON body arrives as it was written: numbers, order, escapes, spaces, twins', async () => {
    const body =
      '{ "z":12345678901234567890.10, "a":1e400,"a":-0.0,\t"\\u0041":"\\/é\\ud83d\\ude00",\n "__proto__":{"x":[ ]} }'
    const envelope = `{"method":"POST", "body" : ${body} ,"endpoint":"${upstream.url}/j"}`
    await exchange(server.url, callBytes({ 'X-API-Key': key }, envelope))
    const request = upstream.seen.at(-1)
    expect(Buffer.from(request?.body ?? '', 'latin1').toString()).toBe(body)
    expect(request && valuesOf(request, 'content-type')).toEqual(['application/json'])
  })

  test('a text body arrives as UTF-8 text, and the envelope may name another type for it', async () => {
    const text = 'naïve ☃ \u0000 line\r\n"quoted" \\n'
    const plain = await sent({ body: text })
    expect(Buffer.from(plain.body, 'latin1').toString()).toBe(text)
    expect(valuesOf(plain, 'content-type')).toEqual(['text/plain; charset=utf-8'])
    expect(valuesOf(plain, 'content-length')).toEqual([String(Buffer.byteLength(text))])
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
    const typed = await sent({ method: 'PUT', headers: form, body: 'a=1&b=2' })
    expect(typed.body).toBe('a=1&b=2')
    expect(valuesOf(typed, 'content-type')).toEqual(['application/x-www-form-urlencoded'])
    expect((await sent({ method: 'DELETE', body: [1] })).body).toBe('[1]')
    expect((await sent({ method: 'POST', body: '' })).body).toBe('')
  })

  test('the headers of the envelope arrive once each, its Authorization and X-API-Key among them', async () => {
    const request = await sent({
      headers: {
        Authorization: 'Bearer of-the-upstream',
        'x-api-key': 'another key',
        Cookie: 'a=b; c=d',
        'User-Agent': 'mine/1',
        Accept: 'text/csv',
        'X-Odd_~!#': 'ünïcode \t inside',
        'Accept-Encoding': 'zstd',
      },
    })
    expect(valuesOf(request, 'authorization')).toEqual(['Bearer of-the-upstream'])
    expect(valuesOf(request, 'x-api-key')).toEqual(['another key'])
    expect(valuesOf(request, 'cookie')).toEqual(['a=b; c=d'])
    expect(valuesOf(request, 'user-agent')).toEqual(['mine/1'])
    expect(valuesOf(request, 'accept')).toEqual(['text/csv'])
    expect(valuesOf(request, 'x-odd_~!#')).toEqual(['ünïcode \t inside'])
    expect(valuesOf(request, 'accept-encoding')).toEqual(['zstd'])
    expect(valuesOf(request, 'host')).toEqual([upstream.host])
  })

  test('nothing of the client’s own request goes on, except which encodings it can read', async () => {
    const own = {
      Cookie: 'secret=1',
      Origin: 'https://a.test',
      Referer: 'https://a.test/',
      'User-Agent': 'curl',
      'X-Forwarded-For': '10.0.0.1',
      Forwarded: 'for=10.0.0.1',
      'X-Custom': '1',
      'Accept-Encoding': 'br;q=0.5, gzip',
    }
    const request = await sent({}, own)
    expect(namesOf(request)).toEqual(['accept', 'accept-encoding', 'host', 'user-agent'])
    expect(valuesOf(request, 'accept-encoding')).toEqual(['br;q=0.5, gzip'])
    expect(valuesOf(await sent({}), 'accept-encoding')).toEqual(['identity'])
  })

  test('what belongs to a connection, or is ours to write, is not taken from the envelope', async () => {
    const ours = {
      Connection: 'X-Nominated', 'Keep-Alive': 'timeout=9', TE: 'trailers', Trailer: 'X-T', Upgrade: 'h2c',
      'Transfer-Encoding': 'chunked', 'Proxy-Authorization': 'Basic eDp5', 'Proxy-Connection': 'close',
      'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA', Host: 'evil.test', 'Content-Length': '9999', Expect: '100-continue',
      Via: '1.1 x', Forwarded: 'for=1.2.3.4', 'X-Forwarded-For': '1.2.3.4', 'X-Forwarded-Host': 'evil.test',
      'X-Real-IP': '1.2.3.4',
    } // biome-ignore format: a table
    const request = await sent({ headers: ours, body: 'four' })
    expect(namesOf(request)).toEqual([
      'accept', 'accept-encoding', 'content-length', 'content-type', 'host', 'user-agent',
    ]) // biome-ignore format: one list
    expect(valuesOf(request, 'host')).toEqual([upstream.host])
    expect(valuesOf(request, 'connection')).not.toContain('X-Nominated')
    expect(valuesOf(request, 'content-length')).toEqual(['4'])
  })

  test('the key of the call never reaches it, wherever the client has put it', async () => {
    const places = [
      { 'X-API-Key': key },
      { Authorization: `Bearer ${key}` },
      { 'api-key': key },
      { 'x-goog-api-key': key },
    ]
    for (const place of places) {
      const before = upstream.seen.length
      const headers = {
        Authorization: `Bearer ${key}`,
        'X-Other': `prefix ${key} suffix`,
        'X-Kept': 'yes',
      }
      await exchange(server.url, callBytes(place, { endpoint: upstream.url, headers }))
      expect(upstream.seen.length).toBe(before + 1)
      const request = upstream.seen.at(-1)
      expect(JSON.stringify(request)).not.toContain(key)
      expect(request && valuesOf(request, 'x-kept')).toEqual(['yes'])
    }
  })
})

describe('from the upstream', () => {
  test('every status from 200 to 599 arrives as sent, with its body', async () => {
    const client = await openClient(server.url)
    for (let status = 200; status <= 599; status++) {
      const body = [204, 205, 304].includes(status) ? '' : `body of ${status}`
      const path = `/status/${status}`
      const length = status === 204 ? '' : `Content-Length: ${body.length}\r\n`
      answers.set(path, `HTTP/1.1 ${status} Whatever\r\nX-Seen: ${status}\r\n${length}\r\n${body}`)
      client.write(callBytes({ 'X-API-Key': key }, { endpoint: upstream.url + path }))
      const answer = await client.answer()
      expect([answer.status, answer.whole, answer.body.toString()]).toEqual([status, true, body])
      expect(answer.header('x-seen')).toBe(String(status))
    }
    client.socket.destroy()
  })

  test('a number that is no status is an upstream failure: 502, free, and nothing stays held', async () => {
    for (const status of [600, 999, 101]) {
      const answer = await answered([`HTTP/1.1 ${status} Odd`, 'Content-Length: 0'])
      expect([answer.status, answer.header('x-quota-cost')]).toEqual([502, '0'])
    }
    await settled(server)
    expect((await entries(server)).at(-1)).toMatchObject({
      outcome: 'upstream_error',
      requests_charged: 0,
    })
  })

  test('interim answers are passed over', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    const answer = await answered([`${hints}HTTP/1.1 200 OK`, 'Content-Length: 2'], 'ok')
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
  })

  const every = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i))
  const long = every.repeat(1_000)
  const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
  const bodies: [name: string, type: string, coding: string | null, body: string][] = [
    ['JSON with odd spelling', 'application/json', null, '{"b":1.0,\r\n "a":"\\u0041"}'],
    ['text with invalid UTF-8', 'text/plain; charset=utf-8', null, 'a\xff\xfe\x00\xc3(b'],
    ['text with a byte order mark', 'text/plain', null, '\xef\xbb\xbfhi'],
    ['every byte', 'application/octet-stream', null, every],
    ['256 KB', 'application/octet-stream', null, long],
    ['gzip', 'application/json', 'gzip', latin1(gzipSync(long))],
    ['brotli', 'application/json', 'br', latin1(brotliCompressSync(long))],
    ['zstd', 'application/json', 'zstd', latin1(zstdCompressSync(long))],
    ['what only calls itself gzip', 'text/plain', 'gzip', 'plain after all'],
  ]
  for (const [name, type, coding, body] of bodies) {
    test(`${name} arrives byte for byte, with its length and without`, async () => {
      const head = ['HTTP/1.1 200 OK', `Content-Type: ${type}`]
      if (coding) head.push(`Content-Encoding: ${coding}`)
      const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
      const framings: [string, string][] = [
        [`Content-Length: ${body.length}`, body],
        ['Transfer-Encoding: chunked', chunks],
        ['Transfer-Encoding: chunked\r\nContent-Length: 3', chunks],
      ]
      for (const [framing, content] of framings) {
        const answer = await answered([...head, framing], content)
        expect(answer.whole).toBe(true)
        expect(answer.body.equals(Buffer.from(body, 'latin1'))).toBe(true)
        expect(answer.all('content-type')).toEqual([type])
        expect(answer.all('content-encoding')).toEqual(coding ? [coding] : [])
      }
    })
  }

  test('a body of up to 64 KiB keeps its Content-Length', async () => {
    for (const size of [0, 1, 4_096, 65_536]) {
      const lines = ['HTTP/1.1 200 OK', `Content-Length: ${size}`]
      const answer = await answered(lines, 'x'.repeat(size))
      expect(answer.all('content-length')).toEqual([String(size)])
      expect(answer.header('transfer-encoding')).toBeNull()
    }
  })

  test('a body that ends with its connection arrives whole', async () => {
    const closing = await startRawUpstream((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end')
    })
    const other = await startServer({ PROXY_EGRESS_ALLOW: closing.host })
    const issued = await issueKey(other)
    const answer = await exchange(
      other.url,
      callBytes({ 'X-API-Key': issued.key }, { endpoint: closing.url }),
    )
    expect([answer.whole, answer.body.toString()]).toEqual([true, 'until the end'])
  })

  test('an answer without a body has none, and the connection goes on to the next call', async () => {
    const client = await openClient(server.url)
    const silent: [string, string[]][] = [
      ['HEAD', ['HTTP/1.1 200 OK', 'Content-Length: 1234', 'ETag: "h"']],
      ['HEAD', ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'ETag: "h"']],
      ['GET', ['HTTP/1.1 204 No Content', 'ETag: "h"']],
      ['GET', ['HTTP/1.1 205 Reset Content', 'Content-Length: 0', 'ETag: "h"']],
      ['GET', ['HTTP/1.1 304 Not Modified', 'Content-Length: 77', 'ETag: "h"']],
    ]
    for (const [i, [method, lines]] of silent.entries()) {
      answers.set(`/silent/${i}`, `${lines.join('\r\n')}\r\n\r\n`)
      const endpoint = `${upstream.url}/silent/${i}`
      client.write(callBytes({ 'X-API-Key': key }, { endpoint, method }))
      const answer = await client.answer()
      expect([answer.whole, answer.body.length, answer.header('etag')]).toEqual([true, 0, '"h"'])
      client.write(callBytes({ 'X-API-Key': key }, { endpoint: upstream.url }))
      expect((await client.answer()).body.toString()).toBe('ok')
    }
    client.socket.destroy()
  })

  test('a redirect is passed on, Location as sent, and not followed', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const before = upstream.seen.length
      const location = `${upstream.url}/elsewhere?a=%20b`
      const answer = await answered(
        [`HTTP/1.1 ${status} Moved`, `Location: ${location}`, 'Content-Length: 4'],
        'gone',
      )
      expect([answer.status, answer.header('location')]).toEqual([status, null])
      expect(answer.header('x-upstream-location')).toBe(location)
      expect(answer.body.toString()).toBe('gone')
      expect(upstream.seen.length).toBe(before + 1)
    }
    const relative = await answered(['HTTP/1.1 302 Found', 'Location: ../x', 'Content-Length: 0'])
    expect(relative.header('x-upstream-location')).toBe('../x')
    const inside = await answered([
      'HTTP/1.1 302 Found',
      'Location: http://10.0.0.1/x',
      'Content-Length: 0',
    ])
    expect([inside.header('location'), inside.header('x-upstream-location')]).toEqual([null, null])
    const made = await answered(['HTTP/1.1 201 Created', 'Location: /x/1', 'Content-Length: 0'])
    expect(made.header('location')).toBe('/x/1')
  })

  test('end-to-end headers arrive: repeated ones as one list, a single Date, which is the upstream’s', async () => {
    const answer = await answered([
      'HTTP/1.1 200 OK', 'Date: Mon, 01 Jan 2024 00:00:00 GMT', 'X-Two: 1', 'X-Two: 2', 'Link: <a>; rel=next',
      'Link: <b>; rel=prev', 'ETag: W/"x"', 'Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT', 'Vary: Accept',
      'X-Latin: \xe4\xf6', 'X-Empty:', 'Retry-After: 7', 'Server: theirs', 'Content-Length: 0', 'x-request-id: theirs',
    ]) // biome-ignore format: a table
    const shown = (name: string) => answer.all(name).join(', ')
    expect(shown('date')).toBe('Mon, 01 Jan 2024 00:00:00 GMT')
    expect(shown('x-two')).toBe('1, 2')
    expect(shown('link')).toBe('<a>; rel=next, <b>; rel=prev')
    expect(shown('etag')).toBe('W/"x"')
    expect(shown('last-modified')).toBe('Mon, 01 Jan 2024 00:00:00 GMT')
    expect(shown('vary')).toBe('Accept')
    expect(shown('x-latin')).toBe('\xe4\xf6')
    expect(shown('x-empty')).toBe('')
    expect(shown('retry-after')).toBe('7')
    expect(shown('server')).toBe('theirs')
    expect(shown('x-upstream-request-id')).toBe('theirs')
    expect(answer.all('x-request-id')).toEqual([expect.stringMatching(/^req_[\w-]{16,}$/)])
    const none = await answered(['HTTP/1.1 200 OK', 'Content-Length: 0'])
    expect(none.all('date').length).toBe(1)
  })

  test('what belongs to a connection, to the operator’s account or to our origin is dropped', async () => {
    const answer = await answered([
      'HTTP/1.1 200 OK', 'Connection: keep-alive, X-Nominated', 'X-Nominated: 1', 'Keep-Alive: timeout=5',
      'Proxy-Authenticate: Basic', 'Trailer: X-T', 'Upgrade: h2c', 'Set-Cookie: a=1', 'Set-Cookie: b=2',
      'Set-Cookie2: c=3', 'Strict-Transport-Security: max-age=1', 'Alt-Svc: h3=":443"', 'Clear-Site-Data: "*"',
      'Access-Control-Allow-Origin: *', 'Access-Control-Allow-Credentials: true', 'Service-Worker-Allowed: /',
      'Refresh: 0;url=/', 'X-RateLimit-Remaining-Requests: 9', 'RateLimit: "theirs";r=9', 'RateLimit-Limit: 9',
      'anthropic-ratelimit-tokens-remaining: 9', 'openai-organization: acme', 'X-Quota-Remaining: 9',
      'Content-Length: 0',
    ]) // biome-ignore format: a table
    const names = answer.headers.map(([name]) => name).filter((name) => !OF_FRONT.includes(name))
    expect(names.sort()).toEqual([
      'cache-control', 'content-length', 'content-security-policy', 'date', 'x-content-type-options',
      'x-quota-charge-id', 'x-quota-cost', 'x-request-id',
    ]) // biome-ignore format: one list
    expect(answer.header('cache-control')).toBe('private, no-store')
    expect(answer.header('content-security-policy')).toBe("sandbox; default-src 'none'")
  })

  test('each call stands in the ledger once, with its status and its bytes, and none stays held', async () => {
    await settled(server)
    const count = (await entries(server)).length
    const body = 'y'.repeat(100_000)
    await answered(['HTTP/1.1 418 Teapot', `Content-Length: ${body.length}`], body)
    await settled(server)
    expect(await holds(server)).toBe(0)
    const [entry, ...more] = (await entries(server)).slice(count)
    expect(more).toEqual([])
    expect(entry).toMatchObject({
      outcome: 'answered',
      status: 418,
      requests_charged: 1,
      bytes_out: 100_000,
    })
    expect(entry?.bytes_in).toBeGreaterThan(20)
  })
})
