/**
 * The headers of every answer to a call. Nothing else on the data path writes one.
 */
import type { Upstream } from '../../domain/upstream.ts'
import { HOP_BY_HOP } from '../../lib/http-syntax.ts'
import { connectionNominated, type Fields, noFields, VIA } from './fields.ts'

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
