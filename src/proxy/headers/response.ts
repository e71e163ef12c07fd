/**
 * The headers of every answer to a call. Nothing else on the data path writes one.
 */
import type { Upstream } from '../../domain/upstream.ts'
import { ERRORS, type Refusal } from '../../errors.ts'
import { HOP_BY_HOP } from '../../lib/http-syntax.ts'
import { rewriteAnswerUrls } from '../answer/rewrite-urls.ts'
import type { Target } from '../resolve.ts'
import { connectionNominated, type Fields, noFields, VIA } from './fields.ts'
import { type QuotaNote, setQuotaHeaders } from './quota.ts'

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
  const all: Fields = upstream.toJSON()
  const nominated = connectionNominated(all['connection'])
  for (const name in all) {
    const value: unknown = all[name]
    // Only Set-Cookie comes as a list, and it is dropped.
    if (typeof value !== 'string' || isDropped(name) || nominated?.includes(name)) continue
    if (!reveals(value, named)) fields[name] = value
  }
  const via = fields['via']
  if (named) fields['via'] = via === undefined ? VIA : `${via}, ${VIA}`
  const upstreamId = all['x-request-id']
  if (upstreamId !== undefined && !reveals(upstreamId, named))
    fields['x-upstream-request-id'] = upstreamId
  // A proxied answer is somebody else's content on our origin: it may not run there, and is never sniffed.
  fields['content-security-policy'] = "sandbox; default-src 'none'"
  fields['x-content-type-options'] = 'nosniff'
  // RFC 9111 section 5.2.2.7: an answer paid for by one key must never be served to another by a cache in between.
  fields['cache-control'] = 'private, no-store'
  return fields
}

function isDropped(name: string): boolean {
  if (RESPONSE_DROPPED.has(name)) return true
  for (const prefix of RESPONSE_DROPPED_PREFIXES) if (name.startsWith(prefix)) return true
  return false
}

/** What is no longer true of an answer that was changed on its way. */
const OF_THE_BYTES = [
  'content-length',
  'etag',
  'content-md5',
  'digest',
  'repr-digest',
  'accept-ranges',
]

export type AnswerHeaders = {
  readonly target: Pick<Target, 'upstream' | 'base' | 'outbound'>
  readonly requestId: string
  /** Whether the bytes of the body may be others than the upstream's. */
  readonly isAltered: boolean
  readonly quota: QuotaNote
}

/** All headers of an answer that the upstream gave. */
export function answerHeaders(
  { status, headers }: Pick<Response, 'status' | 'headers'>,
  { target, requestId, isAltered, quota }: AnswerHeaders,
): Fields {
  const fields = responseHeaders(headers, target.upstream)
  if (isAltered) for (const name of OF_THE_BYTES) delete fields[name]
  rewriteAnswerUrls(fields, target)
  fields['x-request-id'] = requestId
  // Bun would otherwise say that GET has an answer of no bytes; this is what it says of a GET itself.
  if (isHeadOfUnknownLength(target, status, fields)) fields['transfer-encoding'] = 'chunked'
  setQuotaHeaders(fields, quota)
  return fields
}

/** RFC 9112 section 6.1: a 204 has no coding, nor does a 304 need one. */
function isHeadOfUnknownLength(
  { outbound }: AnswerHeaders['target'],
  status: number,
  fields: Fields,
): boolean {
  const isHead = outbound.method === 'HEAD' && status !== 204 && status !== 304
  return isHead && fields['content-length'] === undefined
}

/** Copies Set-Cookie one by one: RFC 6265 section 3 forbids to fold them into one field. */
export function copyCookies(from: Headers, to: Headers, upstream: Upstream): void {
  for (const cookie of from.getSetCookie())
    if (!reveals(cookie, upstream)) to.append('set-cookie', cookie)
}

/** The headers of the answer that turns a request into a WebSocket. */
export function socketHeaders(requestId: string, protocol: string, quota: QuotaNote): Fields {
  const fields = noFields()
  fields['x-request-id'] = requestId
  setQuotaHeaders(fields, quota)
  // Set even if empty: Bun would choose the first one that the client has offered.
  fields['sec-websocket-protocol'] = protocol
  return fields
}

/** The headers of a refusal. */
export function refusalHeaders(
  { code, retryAfterS }: Refusal,
  requestId: string,
  quota: QuotaNote | null,
): Fields {
  const { status, retry } = ERRORS[code]
  const fields: Fields = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // The OpenAI SDKs obey this before anything else (openai-node, src/client.ts, shouldRetry).
    'x-should-retry': String(retry),
    'x-request-id': requestId,
  }
  // RFC 9110 section 11.6.1: a 401 names a way to authenticate.
  if (status === 401) fields['www-authenticate'] = 'Bearer realm="quota-proxy"'
  if (retryAfterS !== undefined) fields['retry-after'] = String(retryAfterS)
  if (quota) setQuotaHeaders(fields, quota)
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
