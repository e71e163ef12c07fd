/** The closed list of reasons for which a byte may differ. Each explains something, and no difference has two. */
import type { Case } from './case.ts'
import type { Difference } from './differences.ts'
import { REFUSALS } from './refusals.ts'

export type Reason = {
  readonly name: string
  readonly explains: (difference: Difference, row: Case) => boolean
  readonly why: string
  /** A section of a standard, what Bun does, or what we have promised. */
  readonly source: string
  /** Told once for all rows, and not in each. */
  readonly isEverywhere?: true
}

/** All that one side says in a row. */
export function said({ client, answer }: Case, side: Difference['side']): string {
  return (side === 'upstream' ? client : answer.parts).join('')
}

const HOP_BY_HOP = ['connection', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection',
  'te', 'trailer', 'upgrade'] // biome-ignore format: a table
const OF_BROWSERS = ['access-control-allow-origin', 'alt-svc', 'clear-site-data', 'refresh', 'service-worker-allowed',
  'strict-transport-security'] // biome-ignore format: a table
const OURS = ['cache-control', 'content-security-policy', 'ratelimit', 'ratelimit-policy', 'x-content-type-options',
  'x-quota-charge-id', 'x-quota-cost', 'x-quota-limit', 'x-quota-remaining', 'x-request-id'] // biome-ignore format: a table
const FRAMING = ['content-length', 'transfer-encoding']

const toUpstream = (
  name: string,
  test: (d: Difference, row: Case) => boolean,
  why: string,
  source: string,
  more = {},
): Reason => ({
  ...{ name, why, source, ...more },
  explains: (d, row) => d.side === 'upstream' && test(d, row),
})
const toClient = (
  name: string,
  test: (d: Difference, row: Case) => boolean,
  why: string,
  source: string,
  more = {},
): Reason => ({
  ...{ name, why, source, ...more },
  explains: (d, row) => d.side === 'client' && test(d, row),
})
const either = (name: string, explains: Reason['explains'], why: string, source: string, more = {}): Reason => ({
  ...{ name, explains, why, source, ...more },
}) // biome-ignore format: one row

const EVERYWHERE = { isEverywhere: true }
const isField = (d: Difference, ...names: string[]) => d.what === 'field' && names.includes(d.name)
const isDropped = (d: Difference, names: readonly string[]) =>
  isField(d, ...names) && d.proxied === ''
const isAdded = (d: Difference, names: readonly string[]) => isField(d, ...names) && d.direct === ''
const isNominated = ({ name, side }: Difference, row: Case) =>
  (/^Connection: (.*)$/m.exec(said(row, side))?.[1] ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .includes(name)
/** Path and query as the URL standard writes them. */
const normal = (target: string) => {
  const url = URL.parse(`http://host${Buffer.from(target, 'latin1').toString()}`)
  return url ? url.pathname + url.search : null
}
const hasDots = (target: string) => /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(target.split('?')[0] ?? '')
const isTarget = (d: Difference) => d.what === 'target'
const isList = ({ what, direct, proxied, name }: Difference) =>
  what === 'field' &&
  direct.includes('\n') &&
  proxied ===
    `${name}: ${direct
      .split('\n')
      .map((line) => line.slice(name.length + 2))
      .join(', ')}`
const announced = (row: Case) =>
  Number(/^Content-Length: (\d+)/m.exec(said(row, 'client'))?.[1] ?? Number.NaN)
const isChunked = (row: Case) => said(row, 'client').includes('Transfer-Encoding: chunked')
const hasLengthTwice = (row: Case) =>
  (said(row, 'client').match(/^Content-Length/gm) ?? []).length > 1 && !isChunked(row)
const isOfHead = ({ methods }: Case) => methods[0] === 'HEAD'
const isEmpty = (row: Case) => /\r\n\r\n(?:0\r\n\r\n)?$/.test(said(row, 'client'))

const PASSED_ON: readonly Reason[] = [
  toUpstream(
    'host',
    (d) => isField(d, 'host'),
    'Host names the upstream, as its base URL does.',
    'RFC 9110 section 7.2',
    EVERYWHERE,
  ),
  toUpstream(
    'key',
    (d) => isDropped(d, ['x-api-key']),
    'The key of the holder goes no further.',
    'promise P7',
    EVERYWHERE,
  ),
  toUpstream(
    'key elsewhere',
    (d) =>
      d.what === 'field' &&
      d.name !== 'x-api-key' &&
      d.direct.includes('{key}') &&
      d.proxied === '',
    'A field that holds the key goes no further, whatever its name.',
    'promise P7',
  ),
  toUpstream(
    'kept alive',
    (d) => isAdded(d, ['connection']),
    'Where the connection will be used again, Bun says so, which HTTP/1.1 need not. It is not where Bun could send a request twice (GET, HEAD, PUT, DELETE, OPTIONS).',
    'Bun 1.4.5; promise P3',
    EVERYWHERE,
  ),
  toUpstream(
    'length of nothing',
    (d) => isAdded(d, ['content-length']) && d.proxied.endsWith(': 0'),
    'A request that could have a body and has none says so; it means the same.',
    'Bun 1.4.5; RFC 9110 section 8.6',
  ),
  toUpstream(
    'nothing of a GET',
    (d) => isDropped(d, ['content-length']) && d.direct.endsWith(': 0'),
    'A GET without a body needs no length.',
    'RFC 9110 section 8.6',
  ),
  toUpstream(
    'length anew',
    (d) =>
      isField(d, 'content-length') &&
      d.direct !== '' &&
      d.proxied !== '' &&
      Number(d.direct.slice(16)) === Number(d.proxied.slice(16)),
    'The length is written anew, as a number has one spelling only.',
    'RFC 9112 section 6.3',
  ),
  toUpstream(
    'servers in front',
    (d) => isDropped(d, ['forwarded', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-proto']),
    'Anybody may write these. The upstream is told of the client by `forward_client` alone.',
    'RFC 7239 section 8.1; `src/proxy/answer/headers.ts`',
  ),
  toUpstream(
    'expectation',
    (d) => isDropped(d, ['expect']),
    'Bun answers the expectation itself before the call is looked at.',
    'RFC 9110 section 10.1.1',
  ),
  toUpstream(
    'not left to Bun',
    (d) => isAdded(d, ['accept', 'accept-encoding', 'user-agent']),
    'Bun would write its own, and ask for encodings that the client has not offered.',
    'Bun 1.4.5',
  ),
  toUpstream(
    'dot segments',
    (d) =>
      isTarget(d) &&
      hasDots(d.direct) &&
      !d.direct.includes('\\') &&
      normal(d.direct) === d.proxied,
    '`.` and `..` are resolved, also where they are encoded.',
    'RFC 3986 section 5.2.4; Bun 1.4.5',
  ),
  toUpstream(
    'backslash',
    (d) => isTarget(d) && d.direct.includes('\\') && normal(d.direct) === d.proxied,
    'A `\\` in the path is a slash.',
    'URL standard; Bun 1.4.5',
  ),
  toUpstream(
    'encoding',
    (d) =>
      isTarget(d) &&
      !hasDots(d.direct) &&
      !d.direct.includes('\\') &&
      !d.direct.startsWith('http') &&
      !d.direct.endsWith('?') &&
      normal(d.direct) === d.proxied,
    'What a URL may not hold is percent-encoded.',
    'URL standard; Bun 1.4.5',
  ),
  toUpstream(
    'empty query',
    (d) => isTarget(d) && d.direct === `${d.proxied}?`,
    'A `?` with nothing behind it is dropped.',
    'Bun 1.4.5',
  ),
  toUpstream(
    'absolute form',
    (d) =>
      isTarget(d) &&
      /^https?:\/\/[^/]+/.exec(d.direct)?.[0] === d.direct.slice(0, -d.proxied.length),
    'A server is asked in the origin form.',
    'RFC 9112 section 3.2.1',
  ),
  toUpstream(
    'stopped upload',
    (d, row) => d.what === 'end' && d.proxied === 'cut off' && row.answer.on === 'head',
    'When the answer is there, what is left of the request is not sent.',
    'RFC 9112 section 9.5',
  ),
  toUpstream(
    'unfinished',
    (d, row) => d.what === 'no request' && row.client.includes('END'),
    'A short body is read whole before anything is sent, and nothing is sent for a client that has left.',
    '`src/proxy/request/upload.ts`; `src/proxy/admit.ts`',
  ),
]

const ANSWERED: readonly Reason[] = [
  toClient(
    'ours',
    (d) => isAdded(d, OURS),
    'Quota, request id, and what keeps an answer from caches and from running on our origin.',
    '`src/proxy/answer/headers.ts`; RFC 9111 section 5.2.2.7',
    EVERYWHERE,
  ),
  toClient(
    'ours instead',
    (d) => isField(d, ...OURS) && d.direct !== '' && d.proxied !== '',
    'What we say ourselves, the upstream does not say for us.',
    '`src/proxy/answer/headers.ts`',
  ),
  toClient(
    'request id',
    (d) => isAdded(d, ['x-upstream-request-id']),
    'The request id of the upstream keeps its value and gets another name.',
    '`src/proxy/answer/headers.ts`',
  ),
  toClient(
    'of the account',
    (d) =>
      d.proxied === '' &&
      d.what === 'field' &&
      /^(?:ratelimit-|x-ratelimit-|x-should-retry)/.test(d.name),
    'It describes the account of the operator, or contradicts what we say.',
    '`src/proxy/answer/headers.ts`',
  ),
  toClient(
    'our origin',
    (d) => isDropped(d, OF_BROWSERS),
    'A browser would take it for a wish of our origin.',
    '`src/proxy/answer/headers.ts`',
  ),
  toClient(
    'reason',
    (d) => d.what === 'reason',
    'The reason phrase is that of the status code, and `HM` of one without a name; no program may go by it.',
    'Bun 1.4.5; RFC 9112 section 4',
  ),
  toClient(
    'interim',
    (d) => d.what === 'interim answers',
    '`fetch` passes on no interim answers.',
    'Bun 1.4.5; RFC 9110 section 15.2',
  ),
  toClient(
    'date',
    (d) => isAdded(d, ['date']),
    'Who has a clock says the time where it is missing.',
    'RFC 9110 section 6.6.1',
  ),
  toClient(
    'type',
    (d) => isAdded(d, ['content-type']) && d.proxied.endsWith('application/octet-stream'),
    'A body of bytes that is read whole gets the type of any bytes.',
    'Bun 1.4.5; RFC 9110 section 8.3',
  ),
  toClient(
    'long',
    (d, row) => isField(d, ...FRAMING) && announced(row) > 65_536 && !isOfHead(row),
    'An answer above 64 KiB is streamed, and goes out chunked.',
    'Bun 1.4.5, bun#10507',
  ),
  toClient(
    'end of the connection',
    (d, row) =>
      (isAdded(d, ['transfer-encoding']) || d.what === 'end') &&
      Number.isNaN(announced(row)) &&
      !isChunked(row) &&
      !isOfHead(row),
    'What ended with its connection has an end of its own.',
    'RFC 9112 section 6.3',
  ),
  toClient(
    'known to be empty',
    (d, row) =>
      isField(d, ...FRAMING) &&
      isEmpty(row) &&
      Number.isNaN(announced(row)) &&
      !isOfHead(row) &&
      d.proxied !== 'transfer-encoding: chunked',
    'An answer that has ended without a byte has a length.',
    'RFC 9112 section 6.3',
  ),
  toClient(
    'length twice',
    (d, row) => isField(d, ...FRAMING) && hasLengthTwice(row),
    'A length that is said twice is not passed on as one.',
    'RFC 9112 section 6.3',
  ),
  toClient(
    'length beside chunks',
    (d, row) => isDropped(d, ['content-length']) && isChunked(row) && !Number.isNaN(announced(row)),
    'Beside a Transfer-Encoding, a length says nothing.',
    'RFC 9112 section 6.3',
  ),
  toClient(
    'length of a 204',
    (d, row) => isDropped(d, ['content-length']) && said(row, 'client').startsWith('HTTP/1.1 204'),
    'A 204 has no length.',
    'RFC 9110 section 8.6',
  ),
  toClient(
    'HEAD',
    (d, row) => isAdded(d, ['transfer-encoding']) && isOfHead(row),
    'A HEAD of unknown length says what its GET would say; Bun would say that there is nothing.',
    'Bun 1.4.5; RFC 9110 section 9.3.2',
  ),
  toClient(
    'one answer',
    (d) => d.what === 'answers' && d.direct.startsWith(`${d.proxied}\n`),
    'What comes behind an answer belongs to no request, and is not passed on.',
    'RFC 9112 section 6.3',
  ),
  toClient(
    'line ends',
    (d, row) => d.what === 'answers' && d.direct === '' && !said(row, 'client').includes('\r'),
    'A line may be read that ends without CR. It goes on with one, while the client of this table does not read it.',
    'RFC 9112 section 2.2',
  ),
]

const ON_BOTH_SIDES: readonly Reason[] = [
  either(
    'via',
    (d) => isAdded(d, ['via']),
    'Who passes a message on says so.',
    'RFC 9110 section 7.6.3',
    EVERYWHERE,
  ),
  either(
    'via as well',
    (d) => isField(d, 'via') && d.direct !== '' && d.proxied === `${d.direct}, 1.1 quota-proxy`,
    'Who passes a message on adds a name to those that are there.',
    'RFC 9110 section 7.6.3',
  ),
  either(
    'names',
    (d) => d.what === 'names' && d.direct.toLowerCase() === d.proxied.toLowerCase(),
    'The case of names is lost; it has no meaning.',
    'Bun 1.4.5; RFC 9110 section 5.1',
    EVERYWHERE,
  ),
  either(
    'order',
    (d) => d.what === 'order',
    'The order of different fields is lost; it has no meaning.',
    'Bun 1.4.5; RFC 9110 section 5.3',
    EVERYWHERE,
  ),
  either(
    'white space',
    (d) => d.what === 'white space',
    'White space around a value is no part of it.',
    'RFC 9112 section 5.1',
    EVERYWHERE,
  ),
  either('one list', isList, 'Fields of the same name become one list.', 'RFC 9110 section 5.3'),
  either(
    'of the connection',
    (d) => isDropped(d, HOP_BY_HOP),
    'It belongs to one connection, not to the message.',
    'RFC 9110 section 7.6.1',
  ),
  either(
    'named by Connection',
    (d, row) =>
      d.what === 'field' && d.proxied === '' && !HOP_BY_HOP.includes(d.name) && isNominated(d, row),
    'What Connection names goes no further than it.',
    'RFC 9110 section 7.6.1',
  ),
  either(
    'cookies',
    (d) => isDropped(d, ['cookie', 'set-cookie']),
    'Holders share the origin and perhaps the account; `cookies` of the upstream opens it.',
    '`src/proxy/answer/headers.ts`',
  ),
  either(
    'coding anew',
    (d) =>
      isField(d, 'transfer-encoding') &&
      d.direct !== d.proxied &&
      d.direct.toLowerCase() === d.proxied,
    'The name of a coding is written anew; its case has no meaning.',
    'RFC 9112 section 7',
  ),
  either(
    'version',
    (d) => d.what === 'version' && d.proxied === 'HTTP/1.1',
    'Who passes a message on writes the version that it speaks.',
    'RFC 9112 section 2.3',
  ),
  either(
    'chunk extensions',
    (d) => d.what === 'chunk extensions',
    'Chunks are cut anew, and their extensions are for the next hop alone.',
    'RFC 9112 section 7.1.1',
  ),
  toClient(
    'trailers',
    (d) => d.what === 'trailers',
    '`fetch` drops them, as a recipient may.',
    'Bun 1.4.5; RFC 9110 section 6.5.1',
  ),
]

export const REASONS: readonly Reason[] = [...ON_BOTH_SIDES, ...PASSED_ON, ...ANSWERED, ...REFUSALS] // biome-ignore format: one row
