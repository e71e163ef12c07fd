/**
 * How a target is written: the endpoint that a key holder names, and the list of targets that the
 * operator allows. Pure: it decides only what needs no network. A refusal never echoes the input,
 * and never tells the name of a private target from one that does not exist, so that a key holder
 * cannot map the operator's network with it.
 */
import { isIP } from 'node:net'

export type EgressMode = 'public' | 'listed' | 'off'

/** A target that the operator names. The host is lower-case and unbracketed; no port means any. */
export type EgressAllowEntry = { host: string; port?: number }

export type EgressRefusal = { ok: false; reason: EgressReason; message: string }
export type EgressReason =
  | 'scheme'
  | 'userinfo'
  | 'port'
  | 'address'
  | 'unresolvable'
  | 'no_address'
  | 'off'
  | 'not_listed'
  | 'malformed'

/** Longer than any URL that servers accept by default (nginx and Apache stop at 8 KiB as well). */
const ENDPOINT_BYTES_MAX = 8 * 1024

const HOST_NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/
/** RFC 1035 §2.3.4, less the two bytes that only the wire format needs. */
const HOST_NAME_CHARS_MAX = 253

const PORT_MAX = 65_535

/** Names of private targets and unknown names share one text: a difference would be an oracle. */
const NO_PUBLIC_ADDRESS =
  'The name of the target has no address, or none that is public. Check it for a typo; the operator can allow a private one in PROXY_EGRESS_ALLOW.'

const PRIVATE_ADDRESS =
  'The address of the target is private, or one of this server. The operator can allow it in PROXY_EGRESS_ALLOW.'

const MESSAGES: Record<EgressReason, string> = {
  malformed:
    'The target must be an absolute http or https URL of at most 8 KiB, without spaces, control characters or backslashes.',
  scheme: 'Only http and https targets can be called.',
  userinfo: 'The target must not contain a user name or password; send them in a header.',
  port: 'This port belongs to another protocol. The operator can allow host:port in PROXY_EGRESS_ALLOW.',
  address: NO_PUBLIC_ADDRESS,
  unresolvable: NO_PUBLIC_ADDRESS,
  no_address: 'The upstream could not be reached: its name has no address.',
  off: 'The operator has turned calls to endpoints off (PROXY_EGRESS=off).',
  not_listed: 'The target is not listed. The operator can allow it by name in PROXY_EGRESS_ALLOW.',
}

export function egressRefusal(reason: EgressReason): EgressRefusal {
  return { ok: false, reason, message: MESSAGES[reason] }
}

/** Of a target whose address is not public. Whoever writes the address itself knows it, and is told so. */
export function privateRefusal(host: string): EgressRefusal {
  const refusal = egressRefusal('address')
  return isIP(host) === 0 ? refusal : { ...refusal, message: PRIVATE_ADDRESS }
}

/** Reads an endpoint as written by a key holder. */
export function parseEndpoint(raw: string): { ok: true; url: URL } | EgressRefusal {
  // `new URL` drops tabs and newlines and turns `\` into `/`, so that what it
  // returns may name another host than the one a reader of the text would see.
  if (Buffer.byteLength(raw) > ENDPOINT_BYTES_MAX || /[\s\p{Cc}\p{Z}\\]/u.test(raw)) {
    return egressRefusal('malformed')
  }
  const url = URL.parse(raw)
  if (url === null) return egressRefusal('malformed')
  if (!isHttp(url)) return egressRefusal('scheme')
  // `http:host` and `http:///host` parse too, but other readers see no host in them.
  const authority = /^https?:\/\/([^/?#]+)/i.exec(raw)?.[1]
  if (authority === undefined) return egressRefusal('malformed')
  // An empty user (`http://@host`) leaves no trace in the parsed URL.
  if (authority.includes('@')) return egressRefusal('userinfo')
  return checkTarget(url)
}

/** Makes the checks that hold for every target, listed or not. Returns a copy. */
export function checkTarget(given: URL): { ok: true; url: URL } | EgressRefusal {
  if (!isHttp(given)) return egressRefusal('scheme')
  if (given.username !== '' || given.password !== '') return egressRefusal('userinfo')
  const url = new URL(given)
  // `host.` and `host` are one name to DNS, and must be one name to lists and certificates.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1)
  const host = hostOf(url)
  const named = host.length <= HOST_NAME_CHARS_MAX && HOST_NAME.test(host)
  return named || isIP(host) !== 0 ? { ok: true, url } : egressRefusal('malformed')
}

/** Reads PROXY_EGRESS_ALLOW: `host[:port],…`, IPv6 in brackets, in the spelling of URLs. */
export function parseEgressAllow(
  list: string,
): { ok: true; entries: EgressAllowEntry[] } | { ok: false; problem: string } {
  if (list.trim() === '') return { ok: true, entries: [] }
  const entries: EgressAllowEntry[] = []
  for (const [index, item] of list.split(',').entries()) {
    const written = /^(\[[^\]]+\]|[^:/?#]+)(?::(\d{1,5}))?$/.exec(item.trim())
    const target = parseEndpoint(`http://${written?.[1] ?? ''}/`)
    const port = written?.[2] === undefined ? undefined : Number(written[2])
    if (!target.ok || port === 0 || (port ?? 0) > PORT_MAX) {
      const problem = `entry ${index + 1} is not host or host:port (IPv6 in brackets; no scheme, path or wildcard)`
      return { ok: false, problem }
    }
    const host = hostOf(target.url)
    entries.push(port === undefined ? { host } : { host, port })
  }
  return { ok: true, entries }
}

/** `URL.hostname` keeps the brackets of an IPv6 address; lists, resolvers and sockets do not. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

function isHttp(url: URL): boolean {
  return url.protocol === 'http:' || url.protocol === 'https:'
}
