/** Reasons for which an answer of the upstream reaches the client as another. */
import type { Case } from './case.ts'
import { EVERYWHERE, isAdded, isDropped, isField, type Reason, said, toClient } from './reason.ts'

const OF_BROWSERS = ['access-control-allow-origin', 'alt-svc', 'clear-site-data', 'refresh', 'service-worker-allowed',
  'strict-transport-security'] // biome-ignore format: a table
const OURS = ['cache-control', 'content-security-policy', 'ratelimit', 'ratelimit-policy', 'x-content-type-options',
  'x-quota-charge-id', 'x-quota-cost', 'x-quota-limit', 'x-quota-remaining', 'x-request-id'] // biome-ignore format: a table
const FRAMING = ['content-length', 'transfer-encoding']
const announced = (row: Case) =>
  Number(/^Content-Length: (\d+)/m.exec(said(row, 'client'))?.[1] ?? Number.NaN)
const isChunked = (row: Case) => said(row, 'client').includes('Transfer-Encoding: chunked')
const hasLengthTwice = (row: Case) =>
  (said(row, 'client').match(/^Content-Length/gm) ?? []).length > 1 && !isChunked(row)
const isOfHead = ({ methods }: Case) => methods[0] === 'HEAD'
const isEmpty = (row: Case) => /\r\n\r\n(?:0\r\n\r\n)?$/.test(said(row, 'client'))

export const ANSWERED: readonly Reason[] = [
  toClient(
    'ours',
    (d) => isAdded(d, OURS),
    'Quota, request id, and what keeps an answer from caches and from running on our origin.',
    '`src/proxy/headers/request.ts`; RFC 9111 section 5.2.2.7',
    EVERYWHERE,
  ),
  toClient(
    'ours instead',
    (d) => isField(d, ...OURS) && d.direct !== '' && d.proxied !== '',
    'What we say ourselves, the upstream does not say for us.',
    '`src/proxy/headers/request.ts`',
  ),
  toClient(
    'request id',
    (d) => isAdded(d, ['x-upstream-request-id']),
    'The request id of the upstream keeps its value and gets another name.',
    '`src/proxy/headers/request.ts`',
  ),
  toClient(
    'of the account',
    (d) => d.proxied === '' && d.what === 'field' && /^(?:ratelimit-|x-ratelimit-)/.test(d.name),
    'It describes the account of the operator, or contradicts what we say.',
    '`src/proxy/headers/request.ts`',
  ),
  toClient(
    'stream',
    (d) => isAdded(d, ['x-accel-buffering']),
    'nginx in front is not to keep back the parts of a stream.',
    '`src/proxy/headers/response.ts`',
  ),
  toClient(
    'elsewhere',
    (d) => isDropped(d, ['location', 'content-location', 'link']),
    'It lies outside of the base URL: who followed it would take the key there.',
    '`src/proxy/answer/rewrite-urls.ts`',
  ),
  toClient(
    'our origin',
    (d) => isDropped(d, OF_BROWSERS),
    'A browser would take it for a wish of our origin.',
    '`src/proxy/headers/request.ts`',
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
