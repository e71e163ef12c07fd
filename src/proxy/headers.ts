/**
 * Which headers cross the proxy. Pure tables and the functions that read them; the data path never decides about a header
 * anywhere else.
 */
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

/** A proxied answer is somebody else's content on our origin: it may not run there, and is never sniffed or cached. */
const RESPONSE_ADDED: readonly (readonly [string, string])[] = [
  ['content-security-policy', "sandbox; default-src 'none'"],
  ['x-content-type-options', 'nosniff'],
]

export function isRequestHeaderAllowed(name: string): boolean {
  const lower = name.toLowerCase()
  return (
    !REQUEST_DROPPED.has(lower) && !lower.startsWith('x-forwarded-') && !lower.startsWith('proxy-')
  )
}

/** What goes upstream: the envelope's own headers, and of the request's only which encodings its client can read. */
export function carriedHeaders(own: Headers, request: Headers, rawKey: string): Headers {
  const headers = new Headers()
  for (const [name, value] of own) if (!value.includes(rawKey)) headers.append(name, value)
  // Without these Bun would add its own and ask for encodings that the client has not offered.
  if (!headers.has('accept-encoding')) {
    headers.set('accept-encoding', request.get('accept-encoding') ?? 'identity')
  }
  if (!headers.has('accept')) headers.set('accept', '*/*')
  if (!headers.has('user-agent')) headers.set('user-agent', 'quota-proxy')
  return headers
}

/** The upstream's headers as the client may see them. */
export function responseHeaders(upstream: Headers): Headers {
  const headers = new Headers()
  const nominated = connectionNominated(upstream.get('connection'))
  for (const [name, value] of upstream) {
    if (RESPONSE_DROPPED.has(name) || nominated.includes(name)) continue
    if (RESPONSE_DROPPED_PREFIXES.some((prefix) => name.startsWith(prefix))) continue
    headers.append(name, value)
  }
  const upstreamId = upstream.get('x-request-id')
  if (upstreamId) headers.set('x-upstream-request-id', upstreamId)
  for (const [name, value] of RESPONSE_ADDED) headers.set(name, value)
  // RFC 9111 section 5.2.2.7: an answer paid for by one key must never be served to another by a cache in between.
  headers.set('cache-control', 'private, no-store')
  return headers
}

/** RFC 9110 section 7.6.1: fields named by Connection go no further than it does. */
function connectionNominated(connection: string | null): string[] {
  return connection
    ? connection
        .toLowerCase()
        .split(',')
        .map((name) => name.trim())
    : []
}
