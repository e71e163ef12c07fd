/** Rows of the table whose matter is the body of a request, or what a client does with its connection. */
import {
  asked,
  type Case,
  type ClientStep,
  chunk,
  lengthOf,
  OK,
  request,
  toAnswer,
} from './case.ts'

const bodies = (name: string, fields: readonly string[], body: string) =>
  asked('Bodies of a request', name, request('POST', '/x', fields, body))
const chunked = (name: string, body: string, fields: readonly string[] = []) =>
  bodies(name, ['Transfer-Encoding: chunked', ...fields], body)
const connections = (
  name: string,
  client: readonly ClientStep[],
  extra: Parameters<typeof asked>[3] = {},
) => asked('The connection of a client', name, client, extra)

/** Not read whole before it is sent on. */
const LONG = 'a'.repeat(100_000)
const GET = request('GET', '/x')
const POST = request('POST', '/x', [lengthOf('abc')], 'abc')
/** Answered only when the client has done what the row is about. */
const LATER = toAnswer(['AWAIT_MORE', OK])

export const REQUEST_BODIES: readonly Case[] = [
  bodies('with its length', ['Content-Type: text/plain', lengthOf('abc')], 'abc'),
  bodies('of every byte', [lengthOf(String.fromCharCode(...Array(256).keys()))], String.fromCharCode(...Array(256).keys())),
  bodies('of no bytes', ['Content-Length: 0'], ''),
  bodies('a length with a zero in front', ['Content-Length: 03'], 'abc'),
  bodies('a length with a plus', ['Content-Length: +3'], 'abc'),
  bodies('a length that is empty', ['Content-Length:'], ''),
  bodies('a length that is no number', ['Content-Length: x'], ''),
  bodies('a length below zero', ['Content-Length: -1'], ''),
  bodies('the same length twice', ['Content-Length: 3', 'Content-Length: 3'], 'abc'),
  bodies('the same length twice, in one field', ['Content-Length: 3, 3'], 'abc'),
  bodies('two lengths', ['Content-Length: 3', 'Content-Length: 2'], 'abc'),
  bodies('a length and chunks', ['Content-Length: 3', 'Transfer-Encoding: chunked'], `${chunk('abc')}0\r\n\r\n`),
  bodies('100 KiB with their length', [lengthOf(LONG)], LONG),
  bodies('compressed', ['Content-Encoding: gzip', lengthOf('\x1f\x8b\x08')], '\x1f\x8b\x08'),
  chunked('chunked', `${chunk('abc')}${chunk('de')}0\r\n\r\n`),
  chunked('chunked, of no bytes', '0\r\n\r\n'),
  chunked('chunked, with extensions', `${chunk('abc', ';a=1;b="c"')}0;last\r\n\r\n`),
  chunked('chunked, with a trailer', `${chunk('abc')}0\r\nX-Trailer: 1\r\n\r\n`, ['Trailer: X-Trailer']),
  chunked('chunked, 100 KiB, with a trailer', `${chunk(LONG)}0\r\nX-Trailer: 1\r\n\r\n`),
  asked('Bodies of a request', 'chunked, with a trailer that comes later',
    [request('POST', '/x', ['Transfer-Encoding: chunked'], chunk(LONG)), 'AWAIT_UPSTREAM', '0\r\nX-Trailer: 1\r\n\r\n']),
  asked('Bodies of a request', 'chunked, and a size that is none comes later',
    [request('POST', '/x', ['Transfer-Encoding: chunked'], chunk(LONG)), 'AWAIT_UPSTREAM', 'xyz\r\n', 'END']),
  bodies('chunked, in upper case', ['Transfer-Encoding: CHUNKED'], `${chunk('abc')}0\r\n\r\n`),
  chunked('chunked, sizes in odd spellings', '003\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n'),
  asked('Bodies of a request', 'chunked, a size that is none',
    [request('POST', '/x', ['Transfer-Encoding: chunked'], 'xyz\r\nabc\r\n0\r\n\r\n'), 'END']),
  chunked('chunked, 100 KiB', `${chunk(LONG)}0\r\n\r\n`),
  bodies('chunked and another coding', ['Transfer-Encoding: gzip, chunked'], `${chunk('abc')}0\r\n\r\n`),
  bodies('a coding that nobody knows', ['Transfer-Encoding: xchunked'], `${chunk('abc')}0\r\n\r\n`),
  asked('Bodies of a request', 'announced by Expect', [request('POST', '/x', ['Expect: 100-continue', lengthOf('abc')]), 'AWAIT_ANSWER', 'abc'],
    { answer: toAnswer(['HTTP/1.1 100 Continue\r\n\r\n', 'AWAIT_WHOLE', OK], 'open', 'head') }),
  bodies('an Expect that nobody knows', ['Expect: miracles', lengthOf('abc')], 'abc'),

  connections('two requests, one after the other', [GET, 'AWAIT_ANSWER', GET], { methods: ['GET', 'GET'] }),
  connections('two requests in one packet', [GET + GET], { methods: ['GET', 'GET'] }),
  connections('two requests with bodies in one packet', [POST + POST], { methods: ['POST', 'POST'] }),
  connections('a second request behind a long body', [request('POST', '/x', [lengthOf(LONG)], LONG) + GET], { methods: ['POST', 'GET'] }),
  connections('a second request with the end of a long body', [request('POST', '/x', [lengthOf(LONG)], LONG.slice(1)), 'AWAIT_UPSTREAM', `a${GET}`], { methods: ['POST', 'GET'] }),
  connections('a second request while the first has no answer', [GET, 'AWAIT_UPSTREAM', GET],
    { methods: ['GET', 'GET'], answer: LATER, paidUnanswered: 'client-left' }),
  connections('a CRLF before a request', [`\r\n${GET}`]),
  connections('a CRLF after a body, in the same packet', [`${POST}\r\n`]),
  connections('a CRLF after an answer', [GET, 'AWAIT_ANSWER', `\r\n${GET}`], { methods: ['GET', 'GET'] }),
  connections('a CRLF after a body, later', [POST, 'AWAIT_UPSTREAM', '\r\n'], { answer: LATER, paidUnanswered: 'client-left' }),
  connections('more bytes than the body has', [`${POST}xyz`]),
  connections('half closed with the request', [GET, 'END']),
  connections('half closed while the upstream works', [GET, 'AWAIT_UPSTREAM', 'END'],
    { answer: LATER, paidUnanswered: 'client-left' }),
  connections('half closed with the request and a long body', [request('POST', '/x', [lengthOf(LONG)], LONG), 'END']),
  connections('half closed before the end of a long body', [request('POST', '/x', [lengthOf(LONG)], 'a'.repeat(99_000)), 'AWAIT_UPSTREAM', 'END']),
  connections('half closed before the end of a body', [request('POST', '/x', ['Content-Length: 9'], 'abc'), 'END']),
  connections('half closed before the end of a chunked body', [request('POST', '/x', ['Transfer-Encoding: chunked'], chunk('abc')), 'END']),
  connections('half closed before the end of the head', ['GET {base}/x HTTP/1.1\r\nHost: api', 'END']),
  connections('no HTTP at all', ['\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n', 'END']),
] // biome-ignore format: a table
