/** How an operator's secret is presented to an upstream: read from what the API takes, and shown without the secret. Pure. */
import { readSecret } from '../../config/upstream.ts'
import type { Upstream, UpstreamSettings } from '../../domain/upstream.ts'
import type { FieldError } from '../../errors.ts'
import type { UpdateUpstream } from './model.ts'

export type Placement = NonNullable<UpstreamSettings['credential']>
type Input = NonNullable<UpdateUpstream['credential']>
type Known = Pick<Upstream, 'secret'> & { readonly placement: Placement | null }

const TEMPLATE_RULE = 'must be visible ASCII characters with {secret} in it exactly once'

/** RFC 9110 section 5.6.2. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/

export const QUERY_NAME = /^[A-Za-z0-9._~-]{1,100}$/

/** Visible, and no second `{secret}` behind the first. */
export const TEMPLATE =
  /^(?=[\x20-\x7e]{1,200}$)(?! )(?!.*\{secret\}.*\{secret\}).*\{secret\}.*(?<! )$/

/** Of one connection (RFC 9110 section 7.6.1), or written by whoever frames the message: never an operator's to set. */
const RESERVED = new Set([
  'connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'proxy-authenticate',
  'proxy-authentication-info', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
]) // biome-ignore format: a table

export const HEADER_RULE =
  'must be the name of a header that does not belong to the connection or the framing'

export function isSettable(header: string): boolean {
  return HEADER_NAME.test(header) && !RESERVED.has(header.toLowerCase())
}

/** Where most APIs look for it; Anthropic's looks elsewhere. */
export function defaultPlacement(baseUrl: URL | null): Placement {
  return baseUrl?.hostname === 'api.anthropic.com'
    ? { in: 'header', name: 'x-api-key', template: '{secret}' }
    : { in: 'header', name: 'authorization', template: 'Bearer {secret}' }
}

/** What is not given stays as it is. Problems go to `errors`. */
export function readCredential(
  input: Input | null,
  known: Known,
  baseUrl: URL | null,
  errors: FieldError[],
): { readonly placement: Placement | null; readonly secret: string | null } {
  if (input === null) return { placement: null, secret: null }
  const { secret = known.secret } = input
  if (secret === null) {
    errors.push({ path: 'credential.secret', message: 'must be given: there is none yet' })
  } else if (input.secret !== undefined) {
    const read = readSecret(input.secret)
    if (!read.ok) errors.push({ path: 'credential.secret', message: read.problem })
  }
  return { placement: readPlacement(input, known.placement, baseUrl, errors), secret }
}

function readPlacement(
  { header, query, template }: Input,
  before: Placement | null,
  baseUrl: URL | null,
  errors: FieldError[],
): Placement {
  if (header !== undefined && query !== undefined) {
    errors.push({ path: 'credential.query', message: 'cannot be given together with header' })
  }
  if (header !== undefined && !isSettable(header)) {
    errors.push({ path: 'credential.header', message: HEADER_RULE })
  }
  if (query !== undefined && !QUERY_NAME.test(query)) {
    errors.push({
      path: 'credential.query',
      message: 'must be the name of a query parameter: letters, digits and . _ ~ -',
    })
  }
  if (template !== undefined && !TEMPLATE.test(template)) {
    errors.push({ path: 'credential.template', message: TEMPLATE_RULE })
  }
  const place = placeOf(header, query) ?? before ?? defaultPlacement(baseUrl)
  return template === undefined ? place : { ...place, template }
}

function placeOf(header: string | undefined, query: string | undefined): Placement | null {
  if (query !== undefined) return { in: 'query', name: query, template: '{secret}' }
  if (header === undefined) return null
  const name = header.toLowerCase()
  const template = name === 'authorization' ? 'Bearer {secret}' : '{secret}'
  return { in: 'header', name, template }
}

/** As the API shows it: whether there is a secret, and never which. */
export function showCredential({ secret, settings: { credential } }: Upstream) {
  if (!credential) return null
  const { name, template } = credential
  return {
    ...(credential.in === 'header' ? { header: name } : { query: name }),
    template,
    set: secret !== null,
  }
}
