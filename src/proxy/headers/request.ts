/**
 * The headers of every request to an upstream. Nothing else on the data path writes one.
 */

import type { Upstream } from '../../domain/upstream.ts'
import { HOP_BY_HOP, schemeOf } from '../../lib/http-syntax.ts'
import { CREDENTIAL_HEADERS } from '../authenticate.ts'
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
