/** Which headers cross the proxy, in which direction. */
import { describe, expect, test } from 'bun:test'
import { carriedHeaders, isRequestHeaderAllowed } from '../../src/proxy/headers/request.ts'
import { responseHeaders } from '../../src/proxy/headers/response.ts'

const KEY = 'trial_0123456789'

/** Fields that RFC 9110 section 7.6.1, or custom, ties to one connection. */
const CONNECTION_FIELDS = [
  'Connection', 'HTTP2-Settings', 'Keep-Alive', 'Proxy-Authenticate', 'Proxy-Authentication-Info',
  'Proxy-Authorization', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade',
] // biome-ignore format: a table

test('an envelope may not set what belongs to the connection or is ours to say, in any letter case', () => {
  const ours = [
    ...CONNECTION_FIELDS, 'Content-Length', 'Expect', 'Forwarded', 'Host', 'Via', 'X-Real-IP', 'X-Forwarded-For',
    'X-Forwarded-Anything', 'Proxy-Anything',
  ] // biome-ignore format: a table
  for (const name of ours) {
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(`${spelling} ${isRequestHeaderAllowed(spelling)}`).toBe(`${spelling} false`)
    }
  }
})

test('an envelope may set everything else, credentials of the upstream among them', () => {
  for (const name of [
    'Authorization',
    'X-API-Key',
    'api-key',
    'Cookie',
    'Content-Type',
    'X-Forwarder',
    'Range',
  ]) {
    expect(`${name} ${isRequestHeaderAllowed(name)}`).toBe(`${name} true`)
  }
})

describe('what goes upstream', () => {
  const carried = (own: Record<string, string>, request: Record<string, string> = {}) => ({
    ...carriedHeaders({ ...own }, request, KEY),
  })

  test('has the envelope’s headers, and of the request’s only the encodings that its client reads', () => {
    const request = {
      'accept-encoding': 'gzip',
      accept: 'text/html',
      cookie: 'a=b',
      'x-api-key': KEY,
    }
    expect(carried({ 'x-a': '1' }, request)).toEqual({
      'x-a': '1',
      'accept-encoding': 'gzip',
      accept: '*/*',
      'user-agent': 'quota-proxy',
    })
  })

  test('asks for no encoding that nobody has asked for', () => {
    expect(carried({})['accept-encoding']).toBe('identity')
    expect(
      carried({ 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip' })['accept-encoding'],
    ).toBe('br')
  })

  test('has no header that holds the key, wherever in it', () => {
    const own = {
      a: KEY,
      b: `Bearer ${KEY}`,
      c: `x=${KEY}; y`,
      'accept-encoding': KEY,
      'user-agent': KEY,
      d: 'kept',
    }
    expect(JSON.stringify(carried(own))).not.toContain(KEY)
    expect(carried(own)).toMatchObject({ d: 'kept', 'user-agent': 'quota-proxy' })
  })
})

describe('what comes back', () => {
  const names = (headers: [string, string][]) =>
    Object.keys(responseHeaders(new Headers(headers))).filter((name) => !ADDED.includes(name))
  const ADDED = ['cache-control', 'content-security-policy', 'x-content-type-options']

  test('has no field of the connection, nor one that Connection names', () => {
    const headers = CONNECTION_FIELDS.map((name): [string, string] => [name, 'x'])
    expect(names([...headers, ['ETag', '"e"']])).toEqual(['etag'])
    const nominating: [string, string][] = [
      ['Connection', 'close, X-One'],
      ['Connection', ' x-TWO ,,'],
      ['X-One', '1'],
      ['X-Two', '2'],
      ['X-Three', '3'],
    ]
    expect(names(nominating)).toEqual(['x-three'])
  })

  test('has nothing of the operator’s account, nothing that acts on our origin, and nothing that we say ourselves', () => {
    const dropped = [
      'Set-Cookie', 'Set-Cookie2', 'Strict-Transport-Security', 'Public-Key-Pins', 'Alt-Svc', 'Clear-Site-Data', 'NEL',
      'Report-To', 'Reporting-Endpoints', 'Refresh', 'Service-Worker-Allowed', 'SourceMap', 'Access-Control-Allow-Origin',
      'Content-Security-Policy-Report-Only', 'X-RateLimit-Limit', 'x-ratelimit-remaining-tokens', 'RateLimit',
      'RateLimit-Policy', 'RateLimit-Reset', 'X-Accel-Redirect', 'X-Sendfile', 'anthropic-ratelimit-requests-limit', 'OpenAI-Organization',
      'OpenAI-Project', 'anthropic-organization-id', 'anthropic-ratelimit-unified-status', 'X-Quota-Limit', 'X-Quota-Cost', 'X-Request-Id',
    ] // biome-ignore format: a table
    expect(names(dropped.map((name) => [name, 'x']))).toEqual(['x-upstream-request-id'])
  })

  test('keeps what describes the content', () => {
    const kept = [
      'accept-ranges', 'age', 'allow', 'content-disposition', 'content-encoding', 'content-language', 'content-length',
      'content-location', 'content-range', 'content-type', 'date', 'etag', 'last-modified', 'link', 'location',
      'openai-processing-ms', 'retry-after', 'retry-after-ms', 'server', 'vary', 'via', 'www-authenticate', 'x-custom',
      'x-should-retry',
    ] // biome-ignore format: a table
    expect(names(kept.map((name) => [name, 'x'])).sort()).toEqual(kept)
  })

  test('may not be kept by a cache, sniffed, or run on our origin, whatever the upstream says', () => {
    const headers = responseHeaders(
      new Headers({
        'cache-control': 'public, max-age=9',
        'content-security-policy': 'default-src *',
        'x-content-type-options': 'sniff',
      }),
    )
    expect({ ...headers }).toEqual({
      'cache-control': 'private, no-store',
      'content-security-policy': "sandbox; default-src 'none'",
      'x-content-type-options': 'nosniff',
    })
  })
})
