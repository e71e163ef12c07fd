/** Reasons for which a call gets no answer of its upstream: an answer of ours, a bare one of Bun, or none. */
import type { Case } from './case.ts'
import type { Difference } from './differences.ts'
import type { Reason } from './reason.ts'

/** `outcome` is how the client is told; `cause` is what in the row brings it about. */
function refusal(name: string, outcome: RegExp | null, cause: (client: string, row: Case) => boolean, why: string, source: string): Reason {
  return {
    ...{ name, why, source },
    explains: ({ what, proxied, side }: Difference, row) => {
      // What was to come behind has reached the upstream no more than it has been answered.
      const isRest = side === 'upstream' && ['requests', 'end', 'trailers'].includes(what) && row.answer.on === 'whole'
      const isSo = isRest || (outcome === null ? what === 'no answer' : what === 'refused' && outcome.test(proxied))
      return isSo && cause(row.client.join(''), row)
    },
  }
} // biome-ignore format: one row

const startLine = (client: string) => client.split('\r\n')[0] ?? ''
const hasBody = (client: string) => /^Content-Length: [1-9]/m.test(client)
const fieldsOf = (client: string) => client.split('\r\n\r\n')[0]?.split('\r\n').slice(1) ?? []
const hosts = (client: string) =>
  fieldsOf(client)
    .filter((line) => line.startsWith('Host:'))
    .map((line) => line.slice(5).trim())
const lengths = (client: string) =>
  fieldsOf(client)
    .filter((line) => line.startsWith('Content-Length:'))
    .map((line) => line.slice(15).trim())
const FIELD = /^[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*$/
const badField = (client: string) => fieldsOf(client.trimStart()).some((line) => !FIELD.test(line))
const NUMBER = /^\d+$/
const isAnswerRow = ({ client }: Case) =>
  client.length === 1 && /^(?:GET|HEAD|POST) \{base\}\/x HTTP\/1.1\r\n/.test(client[0] ?? '')
const answerOf = ({ answer }: Case) => answer.parts.join('')
const hasBadField = (row: Case) => answerOf(row).includes('\r\n\r\n') && badField(answerOf(row))
const hasOtherCoding = (row: Case) => /^Transfer-Encoding: (?!chunked\r)/im.test(answerOf(row))
const requests = (client: string) => client.match(/HTTP\/1\.1\r\n/g)?.length ?? 0

export const REFUSALS: readonly Reason[] = [
  refusal('body of a GET', /^422/, (client) => /^(?:GET|HEAD) /.test(client) && hasBody(client), '`fetch` sends no body with GET or HEAD, and without it the call would be another.', 'Fetch standard; RFC 9110 section 9.3.1'),
  refusal('methods that are not passed on', /^40[45]/, (client) => /^(?:TRACE|CONNECT) /.test(client), 'One asks to be shown the request, credentials and all, the other for a tunnel.', 'RFC 9110 sections 9.3.6 and 9.3.8'),
  refusal('unknown method', null, (client) => /^(?:FROB|get) /.test(client), 'Bun closes the connection on a method that it does not know; names of methods have a case.', 'Bun 1.4.5; RFC 9110 section 9.1'),
  refusal('no Host', /^400, bare/, (client) => startLine(client).endsWith('HTTP/1.1') && startLine(client).startsWith('GET {base}') && hosts(client).length === 0, 'HTTP/1.1 has a Host.', 'RFC 9112 section 3.2'),
  refusal('bad Host', /^400 malformed_request/, (client) => hosts(client).length > 1 || /[^\w.:[\]-]|:\d{5,}/.test(hosts(client)[0] ?? ''), 'A Host that is none, or two of them, would let programs read one request in two ways.', 'RFC 9112 section 3.2'),
  refusal('other versions', /^505, bare/, (client) => / HTTP\/(?!1\.[01]$)/.test(startLine(client)), 'Bun speaks HTTP/1.1 and 1.0.', 'Bun 1.4.5; RFC 9110 section 15.6.6'),
  refusal('space in the target', /^505, bare/, (client) => startLine(client).split(' ').length > 3, 'A request line has three words.', 'Bun 1.4.5; RFC 9112 section 3.2'),
  refusal('asterisk', /^400, bare/, (client) => startLine(client).split(' ')[1] === '*', 'Bun takes no such target; no call could have it, since it names no upstream.', 'Bun 1.4.5'),
  refusal('outside the base URL', /^404 not_found/, (client) => client.includes('{base}/../'), 'Steps are resolved before it is decided where a call goes.', '`src/http/request/target.ts`'),
  refusal('hidden step', /^403 path_not_allowed/, (client) => /\.\.%2f|%252e/i.test(startLine(client)), 'An upstream that decodes it would go one step up.', '`src/lib/text/path-step.ts`'),
  refusal('fragment', /^400 malformed_request/, (client) => startLine(client).includes('#'), 'Cut off, the rest would name another resource.', 'RFC 9110 section 4.2.5'),
  refusal('bytes that are lost', /^400 malformed_request/, (client) => startLine(client).includes('\xff'), 'Bun changes bytes that are no UTF-8, and the upstream would be asked for something else.', 'Bun 1.4.5'),
  refusal('long target', /^414 uri_too_long/, (client) => startLine(client).length > 16 * 1024, 'A URL has at most 16 KiB.', 'RFC 9110 section 15.5.15; promise P11'),
  refusal('key in the URL', /^422 invalid_request/, (client) => startLine(client).includes('{key}'), 'URLs are written into logs.', 'promise P7'),
  refusal('bad field', /^400, bare/, (client) => badField(client) && requests(client) === 1, 'A line that is no field, or folded, or with control characters, is refused by Bun.', 'RFC 9112 sections 5.1 and 5.2; RFC 9110 section 5.5'),
  refusal('WebSocket', /^426 websockets_not_allowed/, (client) => client.includes('Upgrade: websocket'), 'An upstream is open for WebSockets if its operator says so.', '`websocket_seconds_max`'),
  refusal('many fields', /^431 header_fields_too_large/, (client) => fieldsOf(client).length > 150 || fieldsOf(client).join('').length > 48 * 1024, 'A request has at most 150 fields and 48 KiB of them.', 'RFC 6585 section 5; promise P11'),
  refusal('too many for Bun', /^431, bare/, (client) => fieldsOf(client).length > 197 || fieldsOf(client).join('').length > 64 * 1024, 'Bun takes at most 197 fields and 64 KiB of them.', 'Bun 1.4.5'),
  refusal('bad length', /^400/, (client) => lengths(client).length > 1 || lengths(client).some((one) => !NUMBER.test(one)), 'A length that is none, or two of them, would let programs see two requests in one.', 'RFC 9112 section 6.3'),
  refusal('bad coding', /^400, bare/, (client) => lengths(client).length === 1 && client.includes('Transfer-Encoding') || /Transfer-Encoding: (?!chunked\r\n)/.test(client), 'Chunks and a length together, and codings that Bun cannot undo, are refused.', 'RFC 9112 sections 6.1 and 6.3'),
  refusal('bad chunk', /^400, bare/, (client) => /(?:\r\n|AWAIT_UPSTREAM)xyz\r\n/.test(client), 'A chunk has a size.', 'RFC 9112 section 7.1'),
  refusal('trailers of a request', /^400, bare/, (client) => client.includes('0\r\nX-Trailer'), 'Bun closes the connection on trailers.', 'Bun 1.4.5'),
  refusal('pipelining', null, (client, { client: steps }) => requests(client) > 1 && !steps.includes('AWAIT_ANSWER'), 'Bun closes a connection that has a second request before the first one’s answer; a client may pipeline only if it can take that.', 'Bun 1.4.5; RFC 9112 section 9.3.2'),
  refusal('stray line end', /^400, bare/, (client) => client.startsWith('\r\n') || client.endsWith('abc\r\n') || /abcAWAIT_UPSTREAM\r\n$/.test(client) || client.includes('AWAIT_ANSWER\r\n'), 'Bun does not pass over a CRLF between requests, as it should.', 'Bun 1.4.5; RFC 9112 section 2.2'),
  refusal('half close', null, (client, { client: steps }) => steps.at(-1) === 'END' && requests(client) === 1, 'Bun closes the connection of a client that has closed its side.', 'Bun 1.4.5'),
  refusal('no HTTP', /^400, bare/, (client) => requests(client) === 0 && client.startsWith('\x16'), 'What is no HTTP is refused.', 'RFC 9112 section 3'),
  refusal('no answer of HTTP', /^502 upstream_error/, (_, row) => isAnswerRow(row) && (!/^HTTP\/1\.[01] [2-5]\d\d /.test(answerOf(row)) || answerOf(row).startsWith('HTTP/1.1 101')), 'What the upstream has said is no final answer.', 'RFC 9110 sections 15 and 15.6.3'),
  refusal('coding of an answer', /^502 upstream_error/, (_, row) => hasOtherCoding(row), 'Bun undoes no other coding than chunks, and nobody has asked for one.', 'Bun 1.4.5; RFC 9112 section 7.4'),
  refusal('broken answer', /^502 upstream_error/, (_, row) => !hasOtherCoding(row) && !hasBadField(row) && /^HTTP\/1.1 200 /.test(answerOf(row)) && row.group.startsWith('Answers that break'), 'Its length cannot be told, or it has ended before: a short answer is read whole before it is passed on.', 'RFC 9112 sections 6.3 and 8; promise P9'),
  refusal('bad field of an answer', /^502 upstream_error/, (_, row) => hasBadField(row), 'A line that is no field, or folded, or with control characters, is refused by Bun.', 'RFC 9112 sections 5.1 and 5.2; RFC 9110 section 5.5'),
  refusal('many fields of an answer', /^502 upstream_error/, (_, row) => answerOf(row).split('\r\n').length > 256, 'Bun reads at most 256 fields of an answer.', 'Bun 1.4.5'),
] // biome-ignore format: a table
