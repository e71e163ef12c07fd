/**
 * Reads once where a request wants to go. Whoever decides about the request and whoever answers it
 * must see the same path, whatever its Host says: Bun makes `request.url` from both, and from a
 * Host that is no host it makes a URL without one (Bun 1.4.5).
 */
import { isIPv6 } from 'node:net'
import type { Refusal } from '../../errors.ts'

export type RequestTarget = {
  /**
   * Begins with a slash; normalised as URLs are (WHATWG URL standard), without dot segments and
   * backslashes.
   */
  readonly path: string
  /** Empty, or begins with `?`. */
  readonly search: string
}

/** Stands for an origin: only path and query of our URLs are used. */
const ORIGIN = 'http://localhost'

/** Twice what nginx and Apache take by default. */
const TARGET_CHARS_MAX = 16 * 1024

/** The target by the URL and the headers of a request, or why the request is refused before anything else is looked at. */
export function readTarget(
  url: string,
  headers: Readonly<Record<string, string>>,
): RequestTarget | Refusal {
  const { host } = headers
  // HTTP/1.0 has none; HTTP/1.1 without one is refused by Bun. An empty one is valid (RFC 9112 section 3.2).
  if (host && !isHost(host)) return BAD_HOST
  // Two equal fields arrive as a list, which no other program need read as we do (RFC 9112 section 6.3).
  const length = headers['content-length']
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return BAD_LENGTH
  const absolute = url.startsWith('/') ? URL.parse(ORIGIN + url)?.href : url
  if (absolute === undefined) return BAD_TARGET
  // RFC 9110 section 4.2.5: a fragment is for the client alone. Without it, the rest would name
  // another resource.
  if (absolute.includes('#')) return FRAGMENT
  const start = absolute.indexOf('/', absolute.indexOf('//') + 2)
  if (absolute.length - start > TARGET_CHARS_MAX) return TOO_LONG
  const end = absolute.indexOf('?', start)
  return end < 0
    ? { path: absolute.slice(start), search: '' }
    : { path: absolute.slice(start, end), search: absolute.slice(end) }
}

export function isTarget(read: RequestTarget | Refusal): read is RequestTarget {
  return 'path' in read
}

/** The same request at an address of our own, so that every reader finds this very path in it. */
export function requestAt({ path, search }: RequestTarget, request: Request): Request {
  return new Request(ORIGIN + path + search, request)
}

/**
 * A name or an address, perhaps with a port. Narrower than RFC 3986 section 3.2.2: no name in use
 * has an encoded character.
 */
function isHost(host: string): boolean {
  if (host === knownHost) return true
  const [, name = '', literal, port = ''] =
    /^([\w.~-]+|\[([\da-f:.]+)\])(?::(\d{0,5}))?$/i.exec(host) ?? []
  const isValid =
    name !== '' && (literal === undefined || isIPv6(literal)) && Number(port) <= PORT_MAX
  if (isValid) knownHost = host
  return isValid
}

/** The host that was read last: nearly all requests name the same. */
let knownHost = ''

const PORT_MAX = 65_535

const BAD_HOST: Refusal = {
  code: 'malformed_request',
  message: 'The Host header must be one host, such as api.example.org or 192.0.2.1:8787.',
}

const BAD_LENGTH: Refusal = {
  code: 'malformed_request',
  message: 'Content-Length must be one number.',
}

const BAD_TARGET: Refusal = {
  code: 'malformed_request',
  message: 'The URL of the request cannot be read.',
}

const FRAGMENT: Refusal = {
  code: 'malformed_request',
  message: 'The URL of a request has no fragment. Write `#` as %23.',
}

const TOO_LONG: Refusal = {
  code: 'uri_too_long',
  message: `The URL is longer than ${TARGET_CHARS_MAX} characters. Send what is long in the body.`,
}
