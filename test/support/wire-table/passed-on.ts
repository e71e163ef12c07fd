/** Reasons for which a request reaches the upstream as another. */
import type { Difference } from './differences.ts'
import { EVERYWHERE, isAdded, isDropped, isField, type Reason, toUpstream } from './reason.ts'

/** Path and query as the URL standard writes them. */
const normal = (target: string) => {
  const url = URL.parse(`http://host${Buffer.from(target, 'latin1').toString()}`)
  return url ? url.pathname + url.search : null
}
const hasDots = (target: string) => /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(target.split('?')[0] ?? '')
const isTarget = (d: Difference) => d.what === 'target'

export const PASSED_ON: readonly Reason[] = [
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
    'RFC 7239 section 8.1; `src/proxy/headers/request.ts`',
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
    '`src/proxy/request/body/upload.ts`; `src/proxy/admit.ts`',
  ),
]
