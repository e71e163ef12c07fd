/**
 * Lets pages of other origins call an upstream, where the operator allows it (Fetch standard, CORS protocol). Only keys
 * open anything, and browsers never send those by themselves, so that no origin is trusted with more than its own key.
 */
import type { Upstream } from '../../domain/upstream.ts'
import type { Fields } from './fields.ts'

/** How long a browser need not ask again; Chromium keeps nothing longer. */
const MAX_AGE_S = 7_200

/** What the answer may say to the page, besides what every page may read. */
const EXPOSED = [
  'Retry-After', 'Via', 'X-Request-Id', 'X-Upstream-Request-Id', 'X-Should-Retry', 'RateLimit', 'RateLimit-Policy',
  'X-RateLimit-Limit-Tokens', 'X-RateLimit-Remaining-Tokens', 'X-RateLimit-Reset-Tokens',
  'X-Quota-Limit', 'X-Quota-Remaining', 'X-Quota-Reset', 'X-Quota-Cost', 'X-Quota-Charge-Id',
  'X-Quota-Error', 'Retry-After-Ms', 'Request-Id',
].join(', ') // biome-ignore format: a table

/** The origin that may read the answer; null if none has asked or may. */
export function allowedOrigin({ origin }: Fields, { settings }: Upstream): string | null {
  const { corsOrigins } = settings
  if (origin === undefined) return null
  return corsOrigins.includes('*') || corsOrigins.includes(origin) ? origin : null
}

/** The answer to a browser that asks before it sends; null if it does not. Needs no key: a browser cannot send one. */
export function preflight(request: Request): Response | null {
  const { method, headers } = request
  const asked = headers.get('access-control-request-method')
  if (method !== 'OPTIONS' || asked === null) return null
  const answer = new Response(null, { status: 204 })
  answer.headers.set('access-control-allow-methods', asked)
  const names = headers.get('access-control-request-headers')
  if (names !== null) answer.headers.set('access-control-allow-headers', names)
  answer.headers.set('access-control-max-age', String(MAX_AGE_S))
  return answer
}

export function allowOrigin({ headers }: Response, origin: string): void {
  headers.set('access-control-allow-origin', origin)
  headers.set('access-control-expose-headers', EXPOSED)
  headers.append('vary', 'Origin')
}
