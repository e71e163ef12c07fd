/**
 * The headers of every answer to a call. Nothing else on the data path writes one.
 */
import type { Upstream } from '../../domain/upstream.ts'
import { ERRORS, type Refusal } from '../../errors.ts'
import { HOP_BY_HOP } from '../../lib/http-syntax.ts'
import { hintsAtSecret, holdsSecret } from '../../lib/text/secret-traces.ts'
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
  'ratelimit', 'ratelimit-policy',
  // What a web server in front of this one would act on.
  'x-accel-charset', 'x-accel-expires', 'x-accel-limit-rate', 'x-accel-redirect', 'x-sendfile',
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
  isError = false,
): Fields {
  const fields = noFields()
  const secret = named?.secret ?? null
  const all: Fields = upstream.toJSON()
  const nominated = connectionNominated(all['connection'])
  for (const name in all) {
    const value: unknown = all[name]
    // Only Set-Cookie comes as a list, and it is dropped.
    if (typeof value !== 'string' || isDropped(name) || nominated?.includes(name)) continue
    if (holdsSecret(value, secret) || (isError && hintsAtSecret(value, secret))) continue
    fields[name] = value
  }
  const via = fields['via']
  if (named) fields['via'] = via === undefined ? VIA : `${via}, ${VIA}`
  const upstreamId = all['x-request-id']
  if (upstreamId !== undefined && !holdsSecret(upstreamId, secret))
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

/** What is no longer true of an answer that was changed on its way, besides its length. */
export const OF_THE_BYTES = [
  'etag',
  'content-md5',
  'digest',
  'repr-digest',
  'content-digest',
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
  const isError = status >= 400
  const fields = responseHeaders(headers, target.upstream, isError)
  if (isError) passRefusalOf(headers, fields)
  if (isAltered) for (const name of ['content-length', ...OF_THE_BYTES]) delete fields[name]
  rewriteAnswerUrls(fields, status, target)
  fields['x-request-id'] = requestId
  // Bun would otherwise say that GET has an answer of no bytes; this is what it says of a GET itself.
  if (isHeadOfUnknownLength(target, status, fields)) fields['transfer-encoding'] = 'chunked'
  // nginx in front would otherwise keep back the events of a stream.
  if (target.outbound.method !== 'HEAD' && isStream(fields)) fields['x-accel-buffering'] ??= 'no'
  setQuotaHeaders(fields, quota)
  return fields
}

/** Of what Anthropic says of its limits, what became of this very request, and until when: Claude Code goes by nothing else. */
function passRefusalOf(headers: Headers, fields: Fields): void {
  for (const name of UNIFIED) {
    const value = headers.get(name)
    if (value !== null) fields[name] = value
  }
}

const UNIFIED = ['anthropic-ratelimit-unified-status', 'anthropic-ratelimit-unified-reset']

/** Whether its parts are worth something by themselves. */
function isStream({ 'content-type': type, 'content-length': length }: Fields): boolean {
  return (
    type !== undefined &&
    (length === undefined || type.startsWith('text/event-stream')) &&
    STREAM.test(type)
  )
}

/** Events and lines; and a JSON document in pieces, as Gemini's streams are by default. */
const STREAM =
  /^(?:text\/event-stream|text\/plain|application\/(?:json|x-ndjson|ndjson|jsonl|x-jsonlines|json-seq|stream\+json|vnd\.amazon\.eventstream))\b/i

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
    if (!holdsSecret(cookie, upstream.secret)) to.append('set-cookie', cookie)
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

/**
 * A window of a minute, which slides by the second. Anthropic's SDK sleeps for as long as Retry-After says, be it an hour,
 * and others do not look at more than a minute and try again at once.
 */
const RETRY_S_MAX = 62

/** Whether an SDK may try again by itself. A window that ends soon helps, whichever limit it is of. */
function mayRetry({ code, retryAfterS }: Refusal): boolean {
  const { status, retry } = ERRORS[code]
  return status === 429 && retryAfterS !== undefined ? retryAfterS <= RETRY_S_MAX : retry
}

/** The headers of a refusal. */
export function refusalHeaders(
  refusal: Refusal,
  requestId: string,
  quota: QuotaNote | null,
): Fields {
  const { code, retryAfterS } = refusal
  const { status } = ERRORS[code]
  const fields: Fields = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // The SDKs of OpenAI and Anthropic obey this before anything else (src/client.ts, shouldRetry).
    'x-should-retry': String(mayRetry(refusal)),
    'x-request-id': requestId,
    'x-quota-error': code,
  }
  // RFC 9110 sections 15.5.22 and 7.8: what to speak instead.
  if (status === 426) fields['upgrade'] = 'HTTP/1.1'
  // RFC 9110 section 11.6.1: a 401 names a way to authenticate.
  if (status === 401) fields['www-authenticate'] = 'Bearer realm="quota-proxy"'
  if (retryAfterS !== undefined) fields['retry-after'] = String(retryAfterS)
  if (quota) setQuotaHeaders(fields, quota)
  return fields
}
