/** Rows of the table whose matter is what the upstream answers. */
import { gzipSync } from 'node:zlib'
import { answer, answered, asked, type Case, chunk, lengthOf, OK, request, toAnswer, usual } from './case.ts'

const DATE = 'Date: Mon, 01 Jan 2024 00:00:00 GMT'
const TEXT = 'Content-Type: text/plain'
const CHUNKED = 'Transfer-Encoding: chunked'
const BIG = 'b'.repeat(70_000)
const GZIPPED = gzipSync('hello').toString('latin1')

const statuses = (status: string, fields: readonly string[] = [], body?: string) =>
  answered('Statuses', status, usual(status, fields, body))
const framings = (name: string, bytes: string, then: 'open' | 'end' = 'open', method = 'GET') =>
  answered('Where an answer ends', name, bytes, then, method)
const fields = (name: string, lines: readonly string[]) =>
  answered('Fields of an answer', name, usual('200 OK', lines))
const broken = (
  name: string,
  parts: Parameters<typeof toAnswer>[0],
  then: 'open' | 'end' | 'reset' = 'end',
) => answered('Answers that break a rule, or off', name, parts, then)

export const ANSWERS: readonly Case[] = [
  statuses('200 OK'), statuses('201 Created', ['Location: /x/1']), statuses('202 Accepted'),
  answered('Statuses', '204 No Content', answer('204 No Content', [DATE])),
  answered('Statuses', '204 with a length and a type', answer('204 No Content', [DATE, TEXT, 'Content-Length: 0'])),
  statuses('205 Reset Content', [], ''), statuses('206 Partial Content', ['Content-Range: bytes 0-1/9']),
  statuses('207 Multi-Status', [], '<multistatus/>'), statuses('300 Multiple Choices'), statuses('301 Moved Permanently', ['Location: http://other.test/x']),
  statuses('303 See Other', ['Location: {base}/y']), statuses('307 Temporary Redirect', ['Location: y?a#b']),
  answered('Statuses', '304 Not Modified', answer('304 Not Modified', [DATE, 'ETag: "a"'])),
  answered('Statuses', '304 with the length of what was not sent', answer('304 Not Modified', [DATE, TEXT, 'Content-Length: 2', 'ETag: "a"'])),
  statuses('400 Bad Request'), statuses('401 Unauthorized', ['WWW-Authenticate: Basic realm="theirs"']), statuses('403 Forbidden'), statuses('404 Not Found'),
  statuses('407 Proxy Authentication Required', ['Proxy-Authenticate: Basic']), statuses('408 Request Timeout'), statuses('416 Range Not Satisfiable', ['Content-Range: bytes */9']),
  statuses("418 I'm a teapot"), statuses('429 Too Many Requests', ['Retry-After: 7']), statuses('500 Internal Server Error'),
  statuses('503 Service Unavailable', ['Retry-After: 7']), statuses('599 Whatever'),
  answered('Statuses', 'no space behind the status', OK.replace('200 OK', '200')),
  answered('Statuses', 'another reason', usual('200 Quite All Right')),
  answered('Statuses', 'no reason', usual('200 ')),
  answered('Statuses', 'a reason above ASCII', usual('200 caf\xe9')),
  answered('Statuses', 'a status that has no name', usual('299 Odd')),
  answered('Statuses', '600', usual('600 Beyond')),
  answered('Statuses', '99', usual('99 Below')),
  answered('Statuses', 'HTTP/1.0', OK.replace('HTTP/1.1', 'HTTP/1.0'), 'end'),
  answered('Statuses', '103 before the answer', [answer('103 Early Hints', ['Link: </a>; rel=preload']) + OK]),
  answered('Statuses', '100 before the answer, though nobody expects it', ['HTTP/1.1 100 Continue\r\n\r\n', OK]),
  answered('Statuses', '101 that nobody has asked for', answer('101 Switching Protocols', ['Connection: Upgrade', 'Upgrade: other']), 'end'),

  framings('at the end of the connection', answer('200 OK', [DATE, TEXT], 'hello'), 'end'),
  framings('at the end of the connection, of no bytes', answer('200 OK', [DATE, TEXT]), 'end'),
  framings('of no bytes', usual('200 OK', [], '')),
  framings('chunked', answer('200 OK', [DATE, TEXT, CHUNKED], `${chunk('hel')}${chunk('lo')}0\r\n\r\n`)),
  framings('chunked, of no bytes', answer('200 OK', [DATE, TEXT, CHUNKED], '0\r\n\r\n')),
  framings('chunked, with extensions', answer('200 OK', [DATE, TEXT, CHUNKED], `${chunk('hello', ';a=1')}0\r\n\r\n`)),
  framings('chunked, with trailers', answer('200 OK', [DATE, TEXT, CHUNKED, 'Trailer: X-T'], `${chunk('hello')}0\r\nX-T: 1\r\n\r\n`)),
  framings('chunked, in upper case', answer('200 OK', [DATE, TEXT, 'Transfer-Encoding: CHUNKED'], `${chunk('hello')}0\r\n\r\n`)),
  framings('chunked and another coding', answer('200 OK', [DATE, TEXT, 'Transfer-Encoding: gzip, chunked'], `${chunk(GZIPPED)}0\r\n\r\n`)),
  framings('64 KiB with their length', usual('200 OK', [], 'a'.repeat(65_536))),
  framings('a byte more', usual('200 OK', [], 'a'.repeat(65_537))),
  framings('more than 64 KiB, chunked', answer('200 OK', [DATE, TEXT, CHUNKED], `${chunk(BIG)}0\r\n\r\n`)),
  framings('HEAD with a length', usual('200 OK', [], 'ok').slice(0, -2), 'open', 'HEAD'),
  framings('HEAD with a length above 64 KiB', usual('200 OK', [], BIG).slice(0, -BIG.length), 'open', 'HEAD'),
  framings('HEAD without a length', answer('200 OK', [DATE, TEXT]), 'open', 'HEAD'),
  framings('HEAD that says it would be chunked', answer('200 OK', [DATE, TEXT, CHUNKED]), 'open', 'HEAD'),
  framings('HEAD without a Date', answer('200 OK', [TEXT, 'Content-Length: 5']), 'open', 'HEAD'),
  framings('HEAD of a 404', answer('404 Not Found', [DATE, TEXT, 'Content-Length: 5']), 'open', 'HEAD'),
  framings('an event stream', answer('200 OK', [DATE, 'Content-Type: text/event-stream', CHUNKED], `${chunk('data: 1\n\n')}${chunk('data: 2\n\n')}0\r\n\r\n`)),
  asked('Where an answer ends', 'before the end of the request', [request('POST', '/x', [lengthOf('abcdef')], 'abc'), 'def'],
    { answer: toAnswer(usual('413 Content Too Large'), 'open', 'head') }),
  asked('Where an answer ends', 'before the end of a request of 200 KB', [request('POST', '/x', [lengthOf('a'.repeat(200_000))], 'a'.repeat(100_000)), 'AWAIT_ANSWER', 'a'.repeat(100_000)],
    { answer: toAnswer(usual('413 Content Too Large'), 'open', 'head') }),

  answered('Fields of an answer', 'no Date', answer('200 OK', [TEXT, lengthOf('ok')], 'ok')),
  answered('Fields of an answer', 'no Content-Type', answer('200 OK', [DATE, lengthOf('ok')], 'ok')),
  answered('Fields of an answer', 'no Content-Type, chunked', answer('200 OK', [DATE, CHUNKED], `${chunk('ok')}0\r\n\r\n`)),
  answered('Fields of an answer', 'no fields at all', answer('200 OK', [], 'ok'), 'end'),
  fields('Server', ['Server: theirs/1.0']),
  fields('names in odd cases, out of the alphabet', ['x-z: 1', 'X-A: 2', 'ETAG: "a"']),
  fields('the same one twice', ['Link: </a>', 'X-Other: 1', 'Link: </b>', 'Vary: Accept', 'Vary: Origin']),
  fields('two ways to authenticate', ['WWW-Authenticate: Basic', 'WWW-Authenticate: Bearer']),
  fields('an empty value, and white space', ['X-Empty:', 'X-None:a', 'X-Spaces:   a  ', 'X-Tab:\ta']),
  fields('bytes above ASCII', ['X-Latin: caf\xe9', 'X-Utf: \xc3\xa9']),
  fields('a line that is folded', ['X-Fold: a\r\n b']),
  fields('a control character', ['X-Bell: a\x07b']),
  fields('cookies', ['Set-Cookie: a=1', 'Set-Cookie: b=2; Path=/']),
  fields('where something is', ['Location: {base}/y', 'Content-Location: {base}/z', 'Link: <{base}/n>; rel=next']),
  fields('rate limits of the upstream', ['RateLimit: "theirs";r=9', 'X-RateLimit-Remaining-Requests: 9', 'Retry-After: 5', 'RateLimit-Limit: 9']),
  fields('names of our own', ['X-Quota-Remaining: 9', 'X-Request-Id: theirs', 'X-Should-Retry: true', 'Via: 1.0 fred']),
  fields('those of the connection', ['Connection: keep-alive, X-Gone', 'X-Gone: 1', 'Keep-Alive: timeout=5', 'Proxy-Authenticate: Basic', 'Upgrade: h2c']),
  fields('what a browser would do on our origin', ['Strict-Transport-Security: max-age=1', 'Access-Control-Allow-Origin: *', 'Clear-Site-Data: "*"',
    'Refresh: 0;url=/', 'Content-Security-Policy: default-src *', 'Service-Worker-Allowed: /', 'Alt-Svc: h3=":443"']),
  fields('what caches may do', ['Cache-Control: public, max-age=60', 'Expires: Mon, 01 Jan 2035 00:00:00 GMT', 'Age: 5', 'ETag: W/"a"']),
  fields('a body to be saved', ['Content-Disposition: attachment; filename="a"', 'Content-Language: de', 'Accept-Ranges: bytes']),
  answered('Fields of an answer', 'compressed', usual('200 OK', ['Content-Encoding: gzip'], GZIPPED)),
  answered('Fields of an answer', 'compressed and chunked', answer('200 OK', [DATE, TEXT, 'Content-Encoding: gzip', CHUNKED], `${chunk(GZIPPED)}0\r\n\r\n`)),
  fields('200 of them', [...Array(197).keys()].map((i) => `X-Many-${i}: ${i}`)),
  fields('300 of them', [...Array(297).keys()].map((i) => `X-Many-${i}: ${i}`)),
  fields('20 KiB in one', [`X-Long: ${'a'.repeat(20 * 1024)}`]),

  broken('off, before anything was sent', []),
  broken('off, within the head', 'HTTP/1.1 200 OK\r\nContent-Le'),
  broken('off, within a short body', answer('200 OK', [DATE, TEXT, 'Content-Length: 9'], 'abc')),
  broken('off, within a long body', [answer('200 OK', [DATE, TEXT, 'Content-Length: 70000'], 'abc'), 'AWAIT_CLIENT']),
  broken('off, within a chunked body', [answer('200 OK', [DATE, TEXT, CHUNKED], chunk('abc')), 'AWAIT_CLIENT']),
  broken('reset within a chunked body', [answer('200 OK', [DATE, TEXT, CHUNKED], chunk('abc')), 'AWAIT_CLIENT'], 'reset'),
  broken('a chunk size that is none', [answer('200 OK', [DATE, TEXT, CHUNKED], chunk('abc')), 'AWAIT_CLIENT', 'xyz\r\n']),
  broken('white space before the colon', usual('200 OK', ['X-Space : a'])),
  broken('a name that is none', usual('200 OK', ['X(Paren): a'])),
  broken('a line without a colon', usual('200 OK', ['nonsense'])),
  broken('NUL in a value', usual('200 OK', ['X-Nul: a\0b'])),
  broken('204 with a body', usual('204 No Content')),
  broken('304 with a body', usual('304 Not Modified')),
  broken('a coding that nobody knows', answer('200 OK', [DATE, TEXT, 'Transfer-Encoding: xchunked'], 'ok')),
  broken('a length below zero', answer('200 OK', [DATE, TEXT, 'Content-Length: -2'], 'ok')),
  broken('a version of the future', OK.replace('HTTP/1.1', 'HTTP/3.0')),
  broken('no HTTP at all', 'SSH-2.0-OpenSSH_9.0\r\n\r\n'),
  broken('two lengths', answer('200 OK', [DATE, TEXT, 'Content-Length: 2', 'Content-Length: 3'], 'abc')),
  broken('the same length twice', answer('200 OK', [DATE, TEXT, 'Content-Length: 2', 'Content-Length: 2'], 'ok')),
  broken('a length and chunks', answer('200 OK', [DATE, TEXT, 'Content-Length: 2', CHUNKED], `${chunk('hello')}0\r\n\r\n`)),
  broken('a length that is no number', answer('200 OK', [DATE, TEXT, 'Content-Length: x'], 'ok')),
  broken('more bytes than the body has', `${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
  broken('line ends without CR', OK.replaceAll('\r\n', '\n')),
] // biome-ignore format: a table
