/** Rows of the table whose matter is the head of a request. */
import { asked, type Case, head, lengthOf, request } from './case.ts'

const methods = (name: string, client: string) => asked('Methods', name, client)
const versions = (name: string, client: string) => asked('Versions and hosts', name, client)
const targets = (name: string, target: string) => asked('Targets', name, request('GET', target))
const fields = (name: string, lines: readonly string[]) =>
  asked('Fields of a request', name, request('GET', '/x', lines))

const bare = (first: string, lines: readonly string[]) =>
  `${[first, 'X-API-Key: {key}', 'Accept: */*', 'Accept-Encoding: identity', 'User-Agent: table', ...lines].join('\r\n')}\r\n\r\n`

const many = (count: number) => [...Array(count).keys()].map((i) => `X-Many-${i}: ${i}`)

export const REQUEST_HEADS: readonly Case[] = [
  methods('GET', request('GET', '/x')),
  methods('HEAD', request('HEAD', '/x')),
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'].map((method) =>
    methods(`${method} with a body`, request(method, '/x', [lengthOf('<a/>')], '<a/>')),
  ),
  ...['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'REPORT', 'UNLOCK'].map((method) =>
    methods(`${method} without a body`, request(method, '/x')),
  ),
  methods('GET with a body', request('GET', '/x', [lengthOf('a')], 'a')),
  methods('HEAD with a body', request('HEAD', '/x', [lengthOf('a')], 'a')),
  methods('GET with a body of no bytes', request('GET', '/x', ['Content-Length: 0'])),
  methods('TRACE', request('TRACE', '/x')),
  methods('CONNECT', head('CONNECT api.test:443 HTTP/1.1')),
  methods('a method that nobody knows', request('FROB', '/x')),
  methods('a method in lower case', request('get', '/x')),

  versions('HTTP/1.0', head('GET {base}/x HTTP/1.0')),
  versions('HTTP/1.0, kept alive', head('GET {base}/x HTTP/1.0', ['Connection: keep-alive'])),
  versions('HTTP/1.0 without a Host', bare('GET {base}/x HTTP/1.0', [])),
  versions('HTTP/1.1 without a Host', bare('GET {base}/x HTTP/1.1', [])),
  versions('HTTP/1.2', head('GET {base}/x HTTP/1.2')),
  versions('HTTP/2.0', head('GET {base}/x HTTP/2.0')),
  versions('an empty Host', bare('GET {base}/x HTTP/1.1', ['Host:'])),
  versions('a Host with a port', bare('GET {base}/x HTTP/1.1', ['Host: api.test:8080'])),
  ...['@', 'a b', 'a/b', '\xe9', 'user@api.test', 'api.test:99999'].map((host) =>
    versions('a Host that is none', bare('GET {base}/x HTTP/1.1', [`Host: ${host}`])),
  ),
  versions('two Hosts', bare('GET {base}/x HTTP/1.1', ['Host: a.test', 'Host: b.test'])),
  versions('the absolute form', head('GET http://api.test{base}/x HTTP/1.1')),
  versions('the absolute form of another host', head('GET https://other.test{base}/x HTTP/1.1')),
  versions('OPTIONS *', head('OPTIONS * HTTP/1.1')),
  versions('GET *', head('GET * HTTP/1.1')),

  targets('nothing behind the base URL', ''),
  targets('empty segments', '//a///b//'),
  targets('dot segments', '/a/./b/../c'),
  targets('dot segments, encoded', '/a/%2e/b/%2E%2e/c'),
  targets('a step above the base URL', '/../x'),
  targets('a step that an encoded slash hides', '/a/..%2fb'),
  targets('a step that is encoded twice', '/a/%252e%252e/b'),
  targets('backslashes', '/a\\b\\..\\c'),
  targets('a fragment', '/a#b'),
  targets('a `?` with nothing behind it', '/a?'),
  targets('two of them', '/a??b?'),
  targets('the same parameter twice, one without a value, an empty one', '/a?b=1&b=2&c&&=d&'),
  targets('UTF-8, raw', '/\xc3\xa9?\xc3\xa9'),
  targets('bytes that are no UTF-8, raw', '/\xff'),
  targets('bytes that are no UTF-8, encoded', '/%FF%fe?%ff'),
  targets('an encoded slash', '/a%2Fb%2fc?%2F'),
  targets('an encoded NUL', '/a%00b'),
  targets('a percent sign that encodes nothing', '/a?%zz%'),
  targets('the same in a path', '/a%zz'),
  targets('what a URL may not hold, in the path', '/|^{}"<>`\''),
  targets('what a URL may not hold, in the query', '/?|^{}"<>`\''),
  targets('a space', '/a b'),
  targets('parameters of segments', '/a;b=c,d/e:f@g/~!$&()*+='),
  targets('15 KiB', `/${'a'.repeat(15 * 1024)}`),
  targets('17 KiB', `/${'a'.repeat(17 * 1024)}`),
  targets('the key', '/?api_key={key}'),

  fields('none that the client may leave out', []),
  fields('the same one twice', ['X-Two: a', 'X-Other: b', 'X-Two: c, d']),
  fields('names in odd cases', ['x-lower: 1', 'X-UPPER: 2', 'CoNtEnT-tYpE: text/plain']),
  fields('out of the alphabet', ['X-Z: 1', 'X-A: 2', 'X-M: 3']),
  fields('an empty value', ['X-Empty:', 'X-Blank:   ']),
  fields('white space around a value', ['X-None:a', 'X-Tab:\ta\t', 'X-Spaces:   a   ', 'X-In: a \t b']),
  fields('bytes above ASCII', ['X-Latin: caf\xe9', 'X-Utf: \xc3\xa9']),
  fields('a control character', ['X-Bell: a\x07b']),
  fields('a line that is folded', ['X-Fold: a\r\n b']),
  fields('white space before the colon', ['X-Space : a']),
  fields('a name that is none', ['X(Paren): a']),
  fields('a line without a colon', ['nonsense']),
  fields('NUL in a value', ['X-Nul: a\0b']),
  fields('those of the connection', ['Connection: keep-alive', 'Keep-Alive: timeout=5', 'TE: trailers, deflate',
    'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic eA==', 'Trailer: X-T']),
  fields('those that Connection names', ['Connection: close, X-Gone', 'X-Gone: 1', 'X-Stays: 1']),
  fields('an upgrade to HTTP/2', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQ']),
  fields('an upgrade to a WebSocket that the upstream is not open for', ['Connection: Upgrade', 'Upgrade: websocket',
    'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']),
  fields('those of servers in front', ['Via: 1.0 fred', 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https',
    'Forwarded: for=192.0.2.1', 'X-Real-IP: 192.0.2.1']),
  fields('a credential of the client beside the key', ['Authorization: Bearer theirs']),
  fields('the key in Authorization as well', ['Authorization: Bearer {key}']),
  fields('the key in a field of another name', ['X-Note: my key is {key}']),
  fields('cookies', ['Cookie: a=1; b=2']),
  fields('conditions and ranges', ['If-None-Match: "a"', 'Range: bytes=0-1', 'If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT']),
  fields('encodings and languages', ['Accept-Language: de, en;q=0.5', 'Accept-Charset: utf-8']),
  fields('those of a browser', ['Origin: https://page.test', 'Referer: https://page.test/x', 'Sec-Fetch-Mode: cors', 'DNT: 1']),
  fields('100 of them', many(95)),
  fields('151 of them', many(146)),
  fields('200 of them', many(195)),
  fields('47 KiB of them', [`X-Long: ${'a'.repeat(47 * 1024)}`]),
  fields('49 KiB of them', [`X-Long: ${'a'.repeat(49 * 1024)}`]),
  fields('65 KiB of them', [`X-Long: ${'a'.repeat(65 * 1024)}`]),
  asked('Fields of a request', 'no Accept, Accept-Encoding or User-Agent',
    'GET {base}/x HTTP/1.1\r\nHost: api.test\r\nX-API-Key: {key}\r\n\r\n'),
  asked('Fields of a request', 'the key in Authorization',
    'GET {base}/x HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: table\r\n\r\n'),
] // biome-ignore format: a table
