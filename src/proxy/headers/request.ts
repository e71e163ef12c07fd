/**
 * The headers of every request to an upstream. Nothing else on the data path writes one. What the client has sent is read
 * into `ClientCall.headers` first; what the operator wants is written over it when the target is known.
 */

import type { Upstream } from '../../domain/upstream.ts'
import type { Refusal } from '../../errors.ts'
import { HOP_BY_HOP, schemeOf } from '../../lib/http-syntax.ts'
import { CREDENTIAL_HEADERS } from '../authenticate.ts'
import type { TraceHeaders } from '../call.ts'
import { connectionNominated, type Fields, noFields, VIA } from './fields.ts'

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

export function isRequestHeaderAllowed(name: string): boolean {
  return isCarried(name.toLowerCase())
}

/** `name` is in lower case, as the platform gives it. */
function isCarried(name: string): boolean {
  return (
    !REQUEST_DROPPED.has(name) && !name.startsWith('x-forwarded-') && !name.startsWith('proxy-')
  )
}

/** Of an envelope: its own headers, and of the request's only which encodings its client can read. */
export function carriedHeaders(own: Fields, received: Fields, rawKey: string): Fields {
  const fields = defaultHeaders(received['accept-encoding'] ?? 'identity')
  for (const name in own) {
    const value = own[name]
    if (value !== undefined && !value.includes(rawKey)) fields[name] = value
  }
  return fields
}

/** Of a request that is passed through as it is. */
export function passedHeaders(received: Fields, rawKey: string): Fields {
  const fields = defaultHeaders('identity')
  const nominated = connectionNominated(received['connection'])
  for (const name in received) {
    const value: unknown = received[name]
    // Only Set-Cookie comes as a list, and it is no field of a request.
    if (typeof value !== 'string' || nominated?.includes(name)) continue
    if (!isCarried(name) || value.includes(rawKey)) continue
    if (CREDENTIAL_NAMES.has(name) && hidesKey(value, rawKey)) continue
    fields[name] = value
  }
  return fields
}

/** What Bun would otherwise add by itself. */
function defaultHeaders(acceptEncoding: string): Fields {
  const fields = noFields()
  fields['accept'] = '*/*'
  fields['accept-encoding'] = acceptEncoding
  fields['user-agent'] = 'quota-proxy'
  return fields
}

/** Bun itself refuses the 198th, and more than 64 KiB, without a word (1.4.5); some room is needed for what is added here. */
const FIELDS_MAX = 150
const FIELDS_CHARS_MAX = 48 * 1024

export function areTooLarge(received: Fields, passed: Fields): boolean {
  let count = 0
  for (const _ in received) count++
  let chars = 0
  for (const name in passed) chars += name.length + (passed[name]?.length ?? 0)
  return count > FIELDS_MAX || chars > FIELDS_CHARS_MAX
}

export const FIELDS_TOO_LARGE: Refusal = {
  code: 'header_fields_too_large',
  message: `The request may have ${FIELDS_MAX} header fields of ${FIELDS_CHARS_MAX} characters in all.`,
}

/** They choose among the accounts of the credential, which is the operator's. */
const ACCOUNT_HEADERS = [
  'openai-organization',
  'openai-project',
  'chatgpt-account-id',
  'anthropic-organization-id',
  'anthropic-workspace-id',
  'x-goog-user-project',
  'x-amz-security-token',
]

const CREDENTIAL_NAMES: ReadonlySet<string> = new Set(CREDENTIAL_HEADERS)

/** Whether it holds the key in base64, as `Basic` (RFC 7617) and some tokens do. */
function hidesKey(value: string, rawKey: string): boolean {
  const words = value.match(/[A-Za-z0-9+/_-]{16,}/g) ?? []
  return words.some((word) => Buffer.from(word, 'base64').toString('latin1').includes(rawKey))
}

export type OutboundHeaders = {
  readonly upstream: Upstream | null
  readonly request: Request
  /** The headers of that request. */
  readonly received: Fields
  readonly ip: string
  /** What the Host field says. */
  readonly host: string
  /** Of a body that is streamed and whose length is known. */
  readonly contentLength: string | null
  /** Whether the answer is read as it passes: an encoded one could not be. */
  readonly isAnswerRead: boolean
  /** What is sent in the place of URLs of ours; see src/proxy/request/rewrite-urls.ts. */
  readonly references: Fields | null
}

/**
 * What the client wants to send, with what the upstream is told besides; its credential last: nothing goes over that. A call
 * may be resolved again, so what the client wants stays as it is.
 */
export function outboundHeaders(
  wanted: Fields,
  { upstream, request, received, ip, host, ...options }: OutboundHeaders,
): Fields {
  const fields = Object.assign(noFields(), wanted)
  if (options.references) Object.assign(fields, options.references)
  if (upstream) setUpstreamFields(fields, upstream, request, received, ip)
  if (options.isAnswerRead) fields['accept-encoding'] = 'identity'
  if (options.contentLength !== null) fields['content-length'] = options.contentLength
  fields['host'] = host
  return fields
}

function setUpstreamFields(
  fields: Fields,
  { settings, secret }: Upstream,
  request: Request,
  received: Fields,
  ip: string,
): void {
  const { via } = received
  fields['via'] = via === undefined ? VIA : `${via}, ${VIA}`
  if (!settings.cookies && 'cookie' in fields) delete fields['cookie']
  // The call is made on the operator's account: a second credential beside it could be the one that the upstream goes by.
  if (secret !== null) {
    for (const name of CREDENTIAL_HEADERS) if (name in fields) delete fields[name]
    for (const name of ACCOUNT_HEADERS) if (name in fields) delete fields[name]
  }
  if (settings.forwardClient) {
    fields['x-forwarded-for'] = ip
    fields['x-forwarded-proto'] = schemeOf(request)
    fields['x-forwarded-host'] = received['host'] ?? ''
  }
  Object.assign(fields, settings.headers)
  const { credential } = settings
  if (credential?.in === 'header' && secret !== null)
    fields[credential.name.toLowerCase()] = credential.template.replace('{secret}', () => secret)
}

/** Says of which trace the request is a part (W3C Trace Context), in the place of what the client says of another. */
export function setTraceHeaders(fields: Fields, { headers, isClients }: TraceHeaders): void {
  if (!isClients) delete fields['tracestate']
  Object.assign(fields, headers)
}
