/**
 * The URLs by which an upstream names its own resources in the headers of an answer, as the client calls them: paths of
 * this server. They need neither its scheme nor its name, which a reverse proxy in front may have changed. A client that
 * followed any other would take its key there, and may learn an address of the operator's from it: it is dropped, or
 * passes where the upstream's setting says so and its host is public. Pure.
 */
import { isIP } from 'node:net'
import { hidesStep } from '../../lib/text/path-step.ts'
import {
  isSameHost,
  mapLinks,
  parseReference,
  pathBelow,
  type UriReference,
} from '../../lib/text/uri-reference.ts'
import type { Fields } from '../headers/fields.ts'
import type { Target } from '../resolve.ts'
import { isPublicAddress } from '../send/egress-address.ts'

/** What holds one reference. Azure's clients ask at the last two for the result of what goes on. */
const WITH_REFERENCE = [
  'location',
  'content-location',
  'operation-location',
  'azure-asyncoperation',
]

/** What clients follow by themselves (Fetch standard, redirect status). */
const FOLLOWED = [301, 302, 303, 307, 308]

type Answered = Pick<Target, 'upstream' | 'base' | 'outbound'>

export function rewriteAnswerUrls(fields: Fields, status: number, target: Answered): void {
  if (target.base === null) {
    if (FOLLOWED.includes(status)) keepFromFollowing(fields, target.outbound)
    return
  }
  for (const name of WITH_REFERENCE) {
    const value = fields[name]
    if (value !== undefined) set(fields, name, translated(value, target))
  }
  const { link } = fields
  if (link !== undefined)
    set(
      fields,
      'link',
      mapLinks(link, (reference) => translated(reference, target)),
    )
}

/**
 * Whoever sends an envelope names resources as the upstream does, and is told of them so. A client that follows by itself
 * would send the envelope there, and its key.
 */
function keepFromFollowing(fields: Fields, { destination }: Answered['outbound']): void {
  const { location } = fields
  if (location === undefined) return
  const authority = parseReference(location)?.authority ?? null
  const isKnown = authority === null || authority.toLowerCase() === destination.hostField
  if (isKnown || isPublicHost(location)) fields['x-upstream-location'] = location
  delete fields['location']
}

function set(fields: Fields, name: string, value: string | null): void {
  if (value === null) delete fields[name]
  else fields[name] = value
}

/** Null if the client is not to see it. */
function translated(reference: string, { upstream, base, outbound }: Answered): string | null {
  if (upstream === null || base === null) return null
  const { baseUrl, settings } = upstream
  const parts = parseReference(reference)
  if (!parts) return isBeside(reference, baseUrl, outbound.target) ? reference : null
  const { authority, path, suffix } = parts
  if (isOf(parts, baseUrl)) {
    const rest = pathBelow(baseUrl.pathname.replace(/\/$/, ''), path)
    return rest === null || hidesStep(rest) ? null : `${base}${rest}${suffix}`
  }
  // An upstream that was told by which name its client calls may say so.
  if (settings.forwardClient && authority === outbound.headers['x-forwarded-host']) return reference
  return settings.passLocations && isPublicHost(reference) ? reference : null
}

/** Whether it names the upstream, though perhaps by the scheme of before a front took TLS off. */
function isOf({ scheme, authority }: UriReference, baseUrl: URL): boolean {
  if (authority === null) return true
  const own = baseUrl.protocol.slice(0, -1)
  return (
    isSameHost(authority, baseUrl.host, own) ||
    (scheme !== null && scheme !== own && isSameHost(authority, baseUrl.host, scheme))
  )
}

/** Whether a path that is relative to the request's own leads to what is below the base URL: it then does so here, too. */
function isBeside(reference: string, baseUrl: URL, requested: string): boolean {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:|^[/\\]/.test(reference) || !PLAIN.test(reference)) return false
  const [path = ''] = reference.split(/[?#]/, 1)
  const url = URL.parse(path, baseUrl.origin + requested)
  if (url?.origin !== baseUrl.origin) return false
  const rest = pathBelow(baseUrl.pathname.replace(/\/$/, ''), url.pathname)
  return rest !== null && !hidesStep(rest)
}

/** RFC 3986 section 2, with what browsers take besides, but for white space and what they take for a slash. */
const PLAIN = /^[!-[\]-~]*$/

/** Whether anybody may know that the host is there, as far as its name tells. */
function isPublicHost(reference: string): boolean {
  const url = URL.parse(reference, 'https://localhost')
  if (url === null || url.username !== '' || url.password !== '') return false
  const host = url.hostname.replace(/^\[(.*)\]$|\.$/g, '$1')
  if (isIP(host) !== 0) return isPublicAddress(host)
  return host.includes('.') && !INTERNAL.test(host)
}

/** RFC 6761, RFC 6762, RFC 8375, and names that private networks give themselves. */
const INTERNAL =
  /\.(?:localhost|local|internal|intranet|private|corp|home|lan|home\.arpa|test|invalid|svc|cluster)$/
