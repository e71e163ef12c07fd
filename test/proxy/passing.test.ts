/** What passes through a named upstream, by its name and by its mount: as it was sent, and only what may. */
import { beforeAll, describe, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { entries, settled, until, usedOf } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  exchange,
  openClient,
  type RawAnswer,
  type RawRequest,
  type RawUpstream,
  startListener,
  startRawUpstream,
} from '../support/wire.ts'

/** What the upstream answers at each path under its base URL, in latin1; anything else gets a plain 200. */
const answers = new Map<string, string>()

let upstream: RawUpstream
let server: TestServer
let key: string
/** Bytes that have reached the upstream `slow`, which answers nobody, and the connections that they came by. */
let arrived = ''
const sides: Socket[] = []
let tlsUrls: Record<'good' | 'wrong', string>

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { target }) => {
    const text = answers.get(target.replace(/^\/base|\?.*/g, '')) ?? OK
    socket.write(Buffer.from(text, 'latin1'))
  })
  const slow = await startListener((socket) => {
    sides.push(socket)
    socket.on('data', (data) => {
      arrived += data.toString('latin1')
    })
  })
  const authority = await createAuthority()
  const [good, wrong] = await Promise.all(
    ['DNS:localhost', 'DNS:other.test'].map(async (names) =>
      startRawUpstream((socket) => socket.write(OK), await authority.issue(names)),
    ),
  )
  tlsUrls = { good: good?.url ?? '', wrong: wrong?.url ?? '' }
  server = await startServer(authority.env)
  key = (await issueKey(server, { quota: null })).key
  const base_url = `${upstream.url}/base`
  const plain = { base_url, credential: { secret: CREDENTIAL }, meter: { kind: 'none' } }
  for (const fields of [
    { ...plain, name: 'api', mount: '/v1' },
    { ...plain, name: 'frank', cookies: true, forward_client: true },
    { ...plain, name: 'query', credential: { secret: 'a&b/c+d', query: 'api_key' } },
    { ...plain, name: 'extra', headers: { 'X-Team': 'ours', 'User-Agent': 'ours/1' } },
    { ...plain, name: 'slow', base_url: slow.url },
    { ...plain, name: 'tls', base_url: tlsUrls.good },
    { ...plain, name: 'wrong-name', base_url: tlsUrls.wrong },
  ]) {
    await addUpstream(server, fields)
  }
})

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** The bytes of a request; `lines` follow the key. */
function requestBytes(method: string, target: string, lines: readonly string[] = [], body = '') {
  const head = [`${method} ${target} HTTP/1.1`, 'Host: proxy.test', `X-API-Key: ${key}`, ...lines]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1')
}

async function send(
  method: string,
  target: string,
  lines: readonly string[] = [],
  body = '',
): Promise<RawAnswer> {
  const client = await openClient(server.url)
  client.write(requestBytes(method, target, lines, body))
  const answer = await client.answer(5_000, method)
  client.socket.destroy()
  return answer
}

/** Makes a call and returns what reached the upstream. */
async function sent(...args: Parameters<typeof send>): Promise<RawRequest> {
  const before = upstream.seen.length
  const { status, body } = await send(...args)
  expect(`${status} ${body}`).toBe(args[0] === 'HEAD' ? '200 ' : '200 ok')
  const [request, ...more] = upstream.seen.slice(before)
  if (!request) throw new Error('nothing reached the upstream')
  expect(more).toEqual([])
  return request
}

/** Makes a call that the upstream answers with these bytes, and returns what reached the client. */
function answered(
  lines: readonly string[],
  { body = '', method = 'GET', way = '/u/api', asked = [] as readonly string[] } = {},
): Promise<RawAnswer> {
  const path = `/${answers.size}`
  answers.set(path, `${lines.join('\r\n')}\r\n\r\n${body}`)
  return send(method, way + path, asked)
}

const valuesOf = ({ headers }: RawRequest, name: string) =>
  headers.filter(([own]) => own === name).map(([, value]) => value)

const lengthOf = (body: string) => `Content-Length: ${body.length}`
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

describe.each(['/u/api', '/v1'])('by %s', (way) => {
  test('every method arrives as itself, with its body where it has one', async () => {
    for (const method of ['GET', 'HEAD']) {
      expect(await sent(method, `${way}/x`)).toMatchObject({ method, body: '' })
    }
    for (const method of [
      ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND', 'PROPPATCH', 'MKCOL'],
      ...['COPY', 'MOVE', 'LOCK', 'UNLOCK', 'REPORT', 'SEARCH', 'PURGE', 'LINK', 'UNLINK'],
    ]) {
      for (const body of ['', '{"a": 1}']) {
        const lines = body === '' ? [] : [lengthOf(body)]
        expect(await sent(method, `${way}/x`, lines, body)).toMatchObject({ method, body })
      }
    }
  })

  test('path and query arrive as they were spelled', async () => {
    for (const path of [
      ...[
        '',
        '/',
        '//',
        '/a//b',
        '/a/b/',
        '/a;v=1/b',
        '/a%20b',
        '/a%2Fb%2fc',
        '/~u/$x!*()',
        '/a:b@c',
      ],
      ...['/%C3%A9%c3%a9', '/a,b&c=d', '/a|b', '/...', '/.a', '/a.', '/%25', '/[1]'],
      ...[
        '/x?a=1&a=2',
        '/x?a=%2f%2F',
        '/x?a=+%20',
        '/x?%zz',
        '/x?%',
        '/x?a&b&&=&',
        '/x?a[]=1',
        '/x??/a?b',
      ],
      ...[
        '/x?a;b',
        '/x?u=http://h/p?q=1',
        '/x?a=../../b',
        '/x?{}|^`',
        '/x?a=\\',
        '/x?A=B&a=b',
        '/?a',
      ],
    ]) {
      // biome-ignore format: a table
      expect((await sent('GET', way + path)).target).toBe(`/base${path}`)
    }
  })

  test('a body arrives byte for byte, with its type, its encoding and its length', async () => {
    const parts =
      '--b\r\nContent-Disposition: form-data; name="f"; filename="\xc3\xa9"\r\n\r\n\0\xff\r\n--b--\r\n'
    const bodies: [type: string, body: string, coding?: string][] = [
      ['application/octet-stream', String.fromCharCode(...Array(256).keys()).repeat(16)],
      ['application/json', '{ "b":1.0e+02,"a":12345678901234567890,"a":"\\u00e9\xc3\xa9" }\n'],
      ['text/plain; charset=latin1', 'caf\xe9'],
      ['text/plain', '\xef\xbb\xbfwith a mark\r\n'],
      ['application/x-www-form-urlencoded', 'a=+%20&b'],
      ['multipart/form-data; boundary=b', parts],
      ['application/json', gzipSync('{"a":1}').toString('latin1'), 'gzip'],
      ['application/octet-stream', 'x'.repeat(65_536)],
      ['application/octet-stream', 'y'.repeat(65_537)],
    ]
    for (const [type, body, coding] of bodies) {
      const lines = [`Content-Type: ${type}`, ...(coding ? [`Content-Encoding: ${coding}`] : [])]
      const framings: [string, string, string, string[]][] = [
        [lengthOf(body), body, 'content-length', [String(body.length)]],
        ['Transfer-Encoding: chunked', `${chunk(body)}0\r\n\r\n`, 'transfer-encoding', ['chunked']],
      ]
      for (const [framing, bytes, name, values] of framings) {
        const request = await sent('POST', `${way}/x`, [...lines, framing], bytes)
        expect(request.body === body).toBe(true)
        expect(valuesOf(request, 'content-type')).toEqual([type])
        expect(valuesOf(request, 'content-encoding')).toEqual(coding ? [coding] : [])
        // Each connection has a framing of its own, and a server in between has two.
        if (!process.env['FRONT']) expect(valuesOf(request, name)).toEqual(values)
      }
    }
  })

  test('an empty body arrives as an empty body, announced or chunked', async () => {
    const announced = await sent('POST', `${way}/x`, ['Content-Length: 0'])
    expect([announced.body, valuesOf(announced, 'content-length')]).toEqual(['', ['0']])
    expect((await sent('PUT', `${way}/x`, ['Transfer-Encoding: chunked'], '0\r\n\r\n')).body).toBe(
      '',
    )
  })

  test('a GET or HEAD with a body is refused, and neither sent nor charged nor held against the upstream', async () => {
    await settled(server)
    const before = [upstream.seen.length, (await entries(server)).length]
    for (let i = 0; i < 12; i++) {
      const method = i % 2 ? 'GET' : 'HEAD'
      const long = 'x'.repeat(70_000)
      for (const [framing, body] of [
        ['Content-Length: 1', 'x'],
        [lengthOf(long), long],
        ['Transfer-Encoding: chunked', `${chunk('x')}0\r\n\r\n`],
      ] as const) {
        expect((await send(method, `${way}/x`, [framing], body)).status).toBe(422)
      }
    }
    expect([upstream.seen.length, (await entries(server)).length]).toEqual(before)
    await sent('GET', `${way}/x`, ['Content-Length: 0'])
  })
})

describe('an upload', () => {
  const framings: [string, string, (text: string) => string][] = [
    ['chunked', 'Transfer-Encoding: chunked', chunk],
    ['of an announced length', 'Content-Length: 100000', (text) => text],
  ]
  for (const [name, line, frame] of framings) {
    test(`${name} is streamed: each part arrives before the next one is sent`, async () => {
      arrived = ''
      // A server in between may cut the chunks anew.
      const content = () => arrived.replaceAll(/\r\n[\da-f]+\r\n/g, '')
      const client = await openClient(server.url)
      client.write(requestBytes('POST', '/u/slow/up', [line]))
      for (let i = 0; i < 4; i++) {
        const part = String(i).repeat(20_000)
        client.write(frame(part))
        await until(() => content().includes(part))
        await Bun.sleep(20)
      }
      // Not more than was sent, and the framing that it was sent with.
      expect(arrived).not.toContain('44444')
      expect(arrived.toLowerCase()).toContain(`${line.toLowerCase()}\r\n`)
      client.write(name === 'chunked' ? '0\r\n\r\n' : '4'.repeat(20_000))
      await until(() =>
        name === 'chunked' ? arrived.endsWith('0\r\n\r\n') : arrived.endsWith('4'.repeat(20_000)),
      )
      sides.at(-1)?.write(OK)
      expect((await client.answer()).body.toString()).toBe('ok')
      client.socket.destroy()
    })
  }

  test('whose client asks whether to go on is told to, and arrives', async () => {
    const client = await openClient(server.url)
    client.write(requestBytes('POST', '/u/api/x', ['Content-Length: 3', 'Expect: 100-continue']))
    await new Promise((resolve) => client.socket.once('data', resolve))
    client.write('abc')
    expect((await client.answer()).status).toBe(200)
    expect(upstream.seen.at(-1)?.body).toBe('abc')
    client.socket.destroy()
  })
})

describe('headers of a request', () => {
  test('arrive end to end: repeated ones as one list, in their order and spelled as they were', async () => {
    const request = await sent('GET', '/v1/x', [
      'X-Two: 1', 'X-Two: 2', 'x-two:3', 'X-Latin: \xe4\xff', 'X-Empty:', 'Accept: a/b', 'Accept-Encoding: br;q=1.0, zstd',
      'User-Agent: client/1 (x)', 'If-None-Match: "a", W/"b"', 'If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT',
      'If-Range: "a"', 'Range: bytes=0-1,-5', 'Accept-Language: de', 'Origin: https://a.test', 'Referer: https://a.test/',
      'Cache-Control: no-cache', 'DNT: 1', 'X_Under: 1', 'Traceparent: 00-1-2-03', 'Priority: u=1',
    ]) // biome-ignore format: a table
    const shown = Object.fromEntries(request.headers.filter(([name]) => name !== 'connection'))
    expect(shown).toEqual({
      'x-two': '1, 2, 3', 'x-latin': '\xe4\xff', 'x-empty': '', accept: 'a/b', 'accept-encoding': 'br;q=1.0, zstd',
      'user-agent': 'client/1 (x)', 'if-none-match': '"a", W/"b"', 'if-modified-since': 'Mon, 01 Jan 2024 00:00:00 GMT',
      'if-range': '"a"', range: 'bytes=0-1,-5', 'accept-language': 'de', origin: 'https://a.test',
      referer: 'https://a.test/', 'cache-control': 'no-cache', dnt: '1', x_under: '1', traceparent: '00-1-2-03',
      priority: 'u=1', host: upstream.host, via: '1.1 quota-proxy', authorization: `Bearer ${CREDENTIAL}`,
    }) // biome-ignore format: the same table
  })

  test('that belong to the connection, by name or by nomination, end with it', async () => {
    const request = await sent('POST', '/v1/x', [
      'Connection: close, X-Nominated , x-other', 'X-Nominated: 1', 'X-Other: 2', 'X-Stays: 3', 'Keep-Alive: timeout=5',
      'Proxy-Authorization: Basic x', 'Proxy-Connection: keep-alive', 'TE: trailers', 'Trailer: X-T', 'HTTP2-Settings: x',
      'Proxy-Anything: x', 'Expect: 100-continue', 'Content-Length: 0',
    ]) // biome-ignore format: a table
    const names = request.headers.map(([name]) => name).filter((name) => name !== 'connection')
    expect(names.sort()).toEqual([
      ...[
        'accept',
        'accept-encoding',
        'authorization',
        'content-length',
        'host',
        'user-agent',
        'via',
      ],
      'x-stays',
    ])
    expect(valuesOf(request, 'connection').join()).not.toMatch(/nominated|other/i)
  })

  test('that speak for the client’s address are ours to write, and Via is added to', async () => {
    const lines = [
      'Via: 1.0 fred', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Host: a', 'X-Forwarded-Proto: gopher',
      'X-Forwarded-Prefix: /p', 'Forwarded: for=1.2.3.4', 'X-Real-IP: 1.2.3.4',
    ] // biome-ignore format: a table
    const said = ({ headers }: RawRequest) =>
      Object.fromEntries(headers.filter(([name]) => /^via$|forwarded|real/.test(name)))
    expect(said(await sent('GET', '/u/api/x', lines))).toEqual({ via: '1.0 fred, 1.1 quota-proxy' })
    expect(said(await sent('GET', '/u/frank/x', lines))).toEqual({
      via: '1.0 fred, 1.1 quota-proxy',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'proxy.test',
      'x-forwarded-proto': 'http',
    })
  })

  test('with cookies pass only where the operator lets them', async () => {
    const lines = ['Cookie: a=1; b=2', 'Cookie: c=3']
    expect(valuesOf(await sent('GET', '/u/api/x', lines), 'cookie')).toEqual([])
    // RFC 9113 section 8.2.3: repeated Cookie fields are one list, with semicolons.
    expect(valuesOf(await sent('GET', '/u/frank/x', lines), 'cookie')).toEqual(['a=1; b=2; c=3'])
  })

  test('of the operator go over those of the client', async () => {
    const request = await sent('GET', '/u/extra/x', [
      'X-Team: theirs',
      'x-team: twice',
      'User-Agent: theirs',
    ])
    expect([valuesOf(request, 'x-team'), valuesOf(request, 'user-agent')]).toEqual([
      ['ours'],
      ['ours/1'],
    ])
    expect(valuesOf(request, 'authorization')).toEqual([`Bearer ${CREDENTIAL}`])
  })
})

test('a credential that goes into the query is added to it, encoded, and nothing else is changed', async () => {
  const parameter = 'api_key=a%26b%2Fc%2Bd'
  expect((await sent('GET', '/u/query/x')).target).toBe(`/base/x?${parameter}`)
  const request = await sent('GET', '/u/query/x?b=%2f+&&a')
  expect(request.target).toBe(`/base/x?b=%2f+&&a&${parameter}`)
  expect(valuesOf(request, 'authorization')).toEqual([])
})

describe('an answer', () => {
  test('in part, unchanged, empty or elsewhere arrives as such, and no redirect is followed', async () => {
    const part = await answered(
      [
        'HTTP/1.1 206 Partial Content',
        'Content-Range: bytes 2-5/9',
        'Content-Length: 4',
        'ETag: "e"',
        'Accept-Ranges: bytes',
      ],
      { body: 'cdef', asked: ['Range: bytes=2-5', 'If-Range: "e"'] },
    )
    expect([part.status, part.body.toString(), part.header('content-range'), part.header('accept-ranges')]).toEqual([
      206, 'cdef', 'bytes 2-5/9', 'bytes',
    ]) // biome-ignore format: two short lists
    const same = await answered(['HTTP/1.1 304 Not Modified', 'ETag: W/"e"', 'Last-Modified: x'], {
      asked: ['If-None-Match: W/"e"'],
    })
    expect([same.status, same.header('etag'), same.header('last-modified')]).toEqual([
      304,
      'W/"e"',
      'x',
    ])
    const none = await answered(['HTTP/1.1 204 No Content', 'ETag: "e"'], { method: 'DELETE' })
    expect([none.status, none.header('etag'), none.header('transfer-encoding')]).toEqual([
      204,
      '"e"',
      null,
    ])
    const failed = await answered(['HTTP/1.1 412 Precondition Failed', 'Content-Length: 0'])
    expect(failed.status).toBe(412)
    const before = upstream.seen.length
    for (const status of [301, 302, 303, 307, 308]) {
      const location = `${upstream.url}/base/elsewhere?${status}`
      const moved = await answered([
        `HTTP/1.1 ${status} X`,
        `Location: ${location}`,
        'Content-Length: 0',
      ])
      expect([moved.status, moved.header('location')]).toEqual([
        status,
        `/u/api/elsewhere?${status}`,
      ])
    }
    expect(upstream.seen.length).toBe(before + 5)
  })

  test('to a HEAD says how long the body would be, and has none', async () => {
    for (const length of ['0', '1234', '99999999']) {
      const head = await answered(['HTTP/1.1 200 OK', `Content-Length: ${length}`, 'ETag: "h"'], {
        method: 'HEAD',
      })
      expect([head.status, head.header('content-length'), head.header('etag')]).toEqual([
        200,
        length,
        '"h"',
      ])
    }
    const unknown = await answered(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], {
      method: 'HEAD',
    })
    expect([unknown.status, unknown.body.length]).toEqual([200, 0])
  })

  test('that is compressed arrives so, whatever it was compressed with and whatever was asked for', async () => {
    const text = 'compress me '.repeat(20_000)
    const bodies = {
      gzip: gzipSync(text),
      br: brotliCompressSync(text),
      zstd: zstdCompressSync(text),
    }
    for (const [coding, bytes] of Object.entries(bodies)) {
      for (const asked of [[`Accept-Encoding: ${coding}`], []]) {
        const body = bytes.toString('latin1')
        const lines = ['HTTP/1.1 200 OK', `Content-Encoding: ${coding}`, lengthOf(body)]
        const answer = await answered(lines, { body, asked })
        expect([answer.header('content-encoding'), answer.body.equals(bytes)]).toEqual([
          coding,
          true,
        ])
      }
    }
  })

  test('may set cookies where the operator lets it: each apart, and elsewhere none', async () => {
    const lines = [
      'HTTP/1.1 200 OK', 'Set-Cookie: a=1; Expires=Mon, 01 Jan 2024 00:00:00 GMT', 'Set-Cookie: b=2; Path=/', 'Set-Cookie: a=3',
    ] // biome-ignore format: a table
    const long = 'x'.repeat(70_000)
    for (const body of ['', 'ok', long]) {
      const framed = [...lines, lengthOf(body)]
      const frank = await answered(framed, { body, way: '/u/frank' })
      expect(frank.all('set-cookie')).toEqual([
        'a=1; Expires=Mon, 01 Jan 2024 00:00:00 GMT',
        'b=2; Path=/',
        'a=3',
      ])
      expect((await answered(framed, { body })).all('set-cookie')).toEqual([])
    }
  })

  test('keeps its end-to-end headers and loses those of its connection, of the operator’s account and of our origin', async () => {
    const kept = [
      'Content-Type: text/html; charset=x', 'Content-Disposition: attachment', 'X-Two: 1', 'X-Two: 2', 'X-Latin: \xe4',
      'X-Empty:', 'Link: <a>', 'Link: <b>', 'Vary: Accept', 'Date: Mon, 01 Jan 2024 00:00:00 GMT', 'Server: theirs',
      'Retry-After: 7', 'openai-processing-ms: 5', 'WWW-Authenticate: Basic', 'ETag: "e"', 'Age: 5', 'Expires: 0',
    ] // biome-ignore format: a table
    const dropped = [
      'Connection: keep-alive, X-Nominated', 'X-Nominated: 1', 'Keep-Alive: timeout=5', 'Proxy-Authenticate: Basic',
      'Trailer: X-T', 'Upgrade: h2c', 'Strict-Transport-Security: max-age=1', 'Alt-Svc: h3=":443"', 'Clear-Site-Data: "*"',
      'Access-Control-Allow-Origin: *', 'Access-Control-Allow-Credentials: true', 'Service-Worker-Allowed: /',
      'Refresh: 0;url=/', 'X-RateLimit-Remaining-Requests: 9', 'RateLimit: "theirs";r=9', 'RateLimit-Limit: 9',
      'anthropic-ratelimit-tokens-remaining: 9', 'anthropic-organization-id: o', 'openai-organization: o', 'openai-project: p',
      'X-Quota-Remaining: 9', 'Report-To: {}', 'NEL: {}', 'SourceMap: /m',
      'Set-Cookie: a=1',
    ] // biome-ignore format: a table
    const ours = [
      'Via: 1.0 fred', 'X-Request-Id: theirs', 'Cache-Control: public, max-age=9', 'X-Content-Type-Options: none',
      'Content-Security-Policy: default-src *', 'Content-Security-Policy-Report-Only: default-src *',
    ] // biome-ignore format: a table
    const answer = await answered(
      ['HTTP/1.1 200 OK', ...kept, ...dropped, ...ours, 'Content-Length: 2'],
      { body: 'hi' },
    )
    const {
      'x-request-id': requestId,
      'x-quota-charge-id': charge,
      ...shown
    } = Object.fromEntries(answer.headers)
    expect([requestId?.slice(0, 4), charge?.slice(0, 5)]).toEqual(['req_', 'call_'])
    expect(shown).toEqual({
      'content-type': 'text/html; charset=x', 'content-disposition': 'attachment', 'x-two': '1, 2', 'x-latin': '\xe4',
      'x-empty': '', link: '<a>, <b>', vary: 'Accept', date: 'Mon, 01 Jan 2024 00:00:00 GMT', server: 'theirs',
      'retry-after': '7', 'openai-processing-ms': '5', 'www-authenticate': 'Basic', etag: '"e"', age: '5', expires: '0',
      'content-length': '2', via: '1.0 fred, 1.1 quota-proxy', 'x-upstream-request-id': 'theirs',
      'cache-control': 'private, no-store', 'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'", 'x-quota-cost': '1',
    }) // biome-ignore format: a table
    // Each once: nothing of the upstream's stands beside what is ours.
    expect(new Set(answer.headers.map(([name]) => name)).size).toBe(answer.headers.length)
  })

  test('after interim ones is the one that arrives', async () => {
    const early =
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created'
    const answer = await answered([early, 'Content-Length: 2'], { body: 'ok' })
    expect([answer.status, answer.body.toString(), answer.header('link')]).toEqual([
      201,
      'ok',
      null,
    ])
  })
})

describe('over TLS', () => {
  test('a call is answered if the certificate is good for the name', async () => {
    const answer = await exchange(server.url, requestBytes('GET', '/u/tls/x'))
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
  })

  test('one for another name is refused: 502, free, and nothing is sent', async () => {
    const { key: own, id } = await issueKey(server, { quota: 5 })
    const response = await fetch(`${server.url}/u/wrong-name/x`, { headers: { 'x-api-key': own } })
    expect([response.status, response.headers.get('x-quota-cost')]).toEqual([502, '0'])
    expect(await usedOf(server, id)).toBe(0)
  })

  test('one of an authority that nobody has named is refused as well', async () => {
    const other = await startServer()
    const { key: own } = await issueKey(other)
    await addUpstream(other, { name: 'tls', base_url: tlsUrls.good })
    const response = await fetch(`${other.url}/u/tls/x`, { headers: { 'x-api-key': own } })
    expect(response.status).toBe(502)
  })
})

test('between two ordinary programs, a form with a file arrives as the same form with the same file', async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(300_000))
  const hash = (data: Uint8Array) => new Bun.CryptoHasher('sha256').update(data).digest('hex')
  const program = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const form = await request.formData()
      const file = form.get('file') as File
      const received = {
        purpose: form.get('purpose'),
        name: file.name,
        hash: hash(await file.bytes()),
      }
      return new Response(gzipSync(JSON.stringify(received)), {
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      })
    },
  })
  await addUpstream(server, { name: 'program', base_url: program.url.origin })
  const form = new FormData()
  form.set('purpose', 'fine-tune é')
  form.set('file', new Blob([bytes]), 'file.bin')
  const response = await fetch(`${server.url}/u/program/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: form,
  })
  expect(await response.json()).toEqual({
    purpose: 'fine-tune é',
    name: 'file.bin',
    hash: hash(bytes),
  })
  await program.stop(true)
})
