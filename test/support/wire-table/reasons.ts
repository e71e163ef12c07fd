/** The closed list of reasons for which a byte may differ. Each explains something, and no difference has two. */
import { ANSWERED } from './answered.ts'
import type { Case } from './case.ts'
import type { Difference } from './differences.ts'
import { PASSED_ON } from './passed-on.ts'
import {
  EVERYWHERE,
  either,
  isAdded,
  isDropped,
  isField,
  type Reason,
  said,
  toClient,
} from './reason.ts'
import { REFUSALS } from './refusals.ts'

const HOP_BY_HOP = ['connection', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection',
  'te', 'trailer', 'upgrade'] // biome-ignore format: a table
const isNominated = ({ name, side }: Difference, row: Case) =>
  (/^Connection: (.*)$/m.exec(said(row, side))?.[1] ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .includes(name)
const isList = ({ what, direct, proxied, name }: Difference) =>
  what === 'field' &&
  direct.includes('\n') &&
  proxied ===
    `${name}: ${direct
      .split('\n')
      .map((line) => line.slice(name.length + 2))
      .join(', ')}`

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
    (d) =>
      isDropped(d, HOP_BY_HOP) ||
      // The proxy keeps a connection of its own.
      (d.what === 'field' &&
        d.name === 'connection' &&
        d.direct !== '' &&
        d.proxied === 'connection: keep-alive'),
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
    '`src/proxy/headers/request.ts`',
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

export const REASONS: readonly Reason[] = [...ON_BOTH_SIDES, ...PASSED_ON, ...ANSWERED, ...REFUSALS]
