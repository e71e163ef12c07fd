/**
 * Which headers cross the proxy. Pure tables and the functions that read them; the data path never decides about a header
 * anywhere else.
 */
import { schemeOf } from '../../lib/scheme.ts'
import type { Upstream } from '../../modules/upstreams/store.ts'
import { CREDENTIAL_HEADERS } from '../authenticate.ts'

/** RFC 9110 section 7.6.1 and the older names that do the same: they belong to one connection, not to the message. */
const HOP_BY_HOP = [
  'connection', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info',
  'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
] // biome-ignore format: a table

/** What the client must not say to the upstream, besides hop-by-hop fields: they are ours to write. */
const REQUEST_DROPPED = new Set([
  ...HOP_BY_HOP,
  'content-length',
  'expect',
  'forwarded',
  'host',
  'x-real-ip',
  'via',
])

/**
 * What the upstream must not say to the client, besides hop-by-hop fields: what describes the operator's account, what
 * would act on our origin in a browser, and what we say ourselves.
 */
const RESPONSE_DROPPED = new Set([
  ...HOP_BY_HOP,
  'alt-svc', 'clear-site-data', 'content-security-policy', 'content-security-policy-report-only', 'nel',
  'public-key-pins', 'refresh', 'report-to', 'reporting-endpoints', 'service-worker-allowed', 'set-cookie',
  'set-cookie2', 'sourcemap', 'strict-transport-security', 'x-content-type-options', 'x-request-id',
  'anthropic-organization-id', 'openai-organization', 'openai-project',
  'ratelimit', 'ratelimit-policy', 'retry-after-ms', 'x-should-retry',
]) // biome-ignore format: a table

const RESPONSE_DROPPED_PREFIXES = [
  'access-control-',
  'anthropic-ratelimit-',
  'ratelimit-',
  'x-quota-',
  'x-ratelimit-',
]

export function isRequestHeaderAllowed(name: string): boolean {
  return isCarried(name.toLowerCase())
}

/** `name` is in lower case, as the platform gives it. */
function isCarried(name: string): boolean {
  return (
    !REQUEST_DROPPED.has(name) && !name.startsWith('x-forwarded-') && !name.startsWith('proxy-')
  )
}

/**
 * Header fields by lower-case name. A plain object without a prototype: building the platform's Headers, only to have them
 * taken apart again, would cost a call more than its charge does.
 */
export type Fields = Record<string, string>

export function noFields(): Fields {
  return Object.create(null) as Fields
}

/** What goes upstream: the envelope's own headers, and of the request's only which encodings its client can read. */
export function carriedHeaders(own: Fields, request: Headers, rawKey: string): Fields {
  const fields = noFields()
  // Without these Bun would add its own and ask for encodings that the client has not offered.
  fields['accept'] = '*/*'
  fields['accept-encoding'] = request.get('accept-encoding') ?? 'identity'
  fields['user-agent'] = 'quota-proxy'
  for (const name in own) {
    const value = own[name]
    if (value !== undefined && !value.includes(rawKey)) fields[name] = value
  }
  return fields
}

/** What goes upstream of a request that is passed through as it is, besides what `setUpstreamFields` says. */
export function passedHeaders(request: Headers, rawKey: string): Fields {
  const fields = noFields()
  const all: Record<string, string | string[]> = request.toJSON()
  const nominated = connectionNominated(all['connection'])
  // Without these Bun would add its own.
  fields['accept'] = '*/*'
  fields['accept-encoding'] = 'identity'
  fields['user-agent'] = 'quota-proxy'
  for (const name in all) {
    const value = all[name]
    if (typeof value !== 'string' || nominated.includes(name)) continue
    if (!isCarried(name) || value.includes(rawKey)) continue
    if (CREDENTIAL_NAMES.has(name) && hidesKey(value, rawKey)) continue
    fields[name] = value
  }
  return fields
}

const CREDENTIAL_NAMES: ReadonlySet<string> = new Set(CREDENTIAL_HEADERS)

/** Whether it holds the key in base64, as `Basic` (RFC 7617) and some tokens do. */
function hidesKey(value: string, rawKey: string): boolean {
  const words = value.match(/[A-Za-z0-9+/_-]{16,}/g) ?? []
  return words.some((word) => Buffer.from(word, 'base64').toString('latin1').includes(rawKey))
}

/** How this proxy is called in Via: RFC 9110 section 7.6.3 allows a pseudonym for the host. */
const VIA = '1.1 quota-proxy'

/** Writes what a named upstream is told besides the client's own fields, its credential last: nothing goes over that. */
export function setUpstreamFields(
  fields: Fields,
  { settings, secret }: Upstream,
  request: Request,
  ip: string,
): void {
  const via = request.headers.get('via')
  fields['via'] = via === null ? VIA : `${via}, ${VIA}`
  if (!settings.cookies) delete fields['cookie']
  // The call is made on the operator's account: a second one beside it could be the one that the upstream goes by.
  if (secret !== null) for (const name of CREDENTIAL_HEADERS) delete fields[name]
  if (settings.forwardClient) {
    fields['x-forwarded-for'] = ip
    fields['x-forwarded-proto'] = schemeOf(request)
    fields['x-forwarded-host'] = request.headers.get('host') ?? ''
  }
  Object.assign(fields, settings.headers)
  const { credential } = settings
  if (credential?.in === 'header' && secret !== null)
    fields[credential.name.toLowerCase()] = credential.template.replace('{secret}', () => secret)
}

/** The upstream's headers as the client may see them; `named` is the upstream, if it is one that the operator has named. */
export function responseHeaders(
  upstream: Headers,
  named: Pick<Upstream, 'secret'> | null = null,
): Fields {
  const fields = noFields()
  const all: Record<string, string | string[]> = upstream.toJSON()
  const nominated = connectionNominated(all['connection'])
  for (const name in all) {
    const value = all[name]
    // Only Set-Cookie comes as a list, and it is dropped.
    if (typeof value !== 'string' || RESPONSE_DROPPED.has(name) || nominated.includes(name))
      continue
    if (RESPONSE_DROPPED_PREFIXES.some((prefix) => name.startsWith(prefix))) continue
    if (!reveals(value, named)) fields[name] = value
  }
  const via = fields['via']
  if (named) fields['via'] = via === undefined ? VIA : `${via}, ${VIA}`
  const upstreamId = all['x-request-id']
  if (typeof upstreamId === 'string' && !reveals(upstreamId, named))
    fields['x-upstream-request-id'] = upstreamId
  // A proxied answer is somebody else's content on our origin: it may not run there, and is never sniffed.
  fields['content-security-policy'] = "sandbox; default-src 'none'"
  fields['x-content-type-options'] = 'nosniff'
  // RFC 9111 section 5.2.2.7: an answer paid for by one key must never be served to another by a cache in between.
  fields['cache-control'] = 'private, no-store'
  return fields
}

/** No API gives out shorter credentials; words as short as these may stand in a header by chance. */
const SECRET_CHARS_MIN = 8

/**
 * Whether a value of a header tells the operator's credential, as those of upstreams that say back what they were sent:
 * plainly, or encoded as in the URL of a redirect.
 */
export function reveals(value: string, named: Pick<Upstream, 'secret'> | null): boolean {
  const secret = named?.secret ?? ''
  if (secret.length < SECRET_CHARS_MIN) return false
  if (!value.includes('%')) return value.includes(secret)
  const decoded = value.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return value.includes(secret) || decoded.includes(secret)
}

/** RFC 9110 section 7.6.1: fields named by Connection go no further than it does. */
function connectionNominated(connection: string | string[] | undefined): string[] {
  if (typeof connection !== 'string') return []
  return connection
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
}
