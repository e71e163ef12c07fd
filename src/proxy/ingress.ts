/**
 * How a call comes in: the envelope, an upstream by its name, an upstream by its mount. Pure. Whatever is found
 * here goes through src/proxy/handle.ts; nothing else leads to an upstream.
 */

import type { Upstream, Upstreams } from '../domain/upstream.ts'
import type { RequestTarget } from '../http/request/target.ts'

export type Ingress =
  | { readonly kind: 'envelope' }
  /**
   * `base` is the path that stands for the upstream's base URL here. `rest` is the path after it, as it was sent: empty, or
   * with a slash at its beginning.
   */
  | {
      readonly kind: 'upstream'
      readonly upstream: Upstream
      readonly base: string
      readonly rest: string
      readonly search: string
    }
  /** `/u/{name}` of a name that no enabled upstream has. */
  | { readonly kind: 'unknown' }

const BY_NAME = '/u/'

/** What OpenAI-compatible clients ask of their base URL to show what is left, and the route of ours that answers it. */
const BILLING: Readonly<Record<string, string>> = {
  '/dashboard/billing/subscription': '/me/billing/subscription',
  '/dashboard/billing/usage': '/me/billing/usage',
}

/** The path of our own route that answers in the place of the upstream; null if the call is the upstream's. */
export function ownRoute(method: string, way: Ingress): string | null {
  if (way.kind !== 'upstream' || method !== 'GET') return null
  return way.upstream.settings.meter.kind === 'tokens' ? (BILLING[way.rest] ?? null) : null
}

/** The path of the request, as far as it means anything here. */
export function pathOf(way: Ingress): string {
  if (way.kind === 'upstream') return way.base + way.rest
  return way.kind === 'envelope' ? '/proxy' : BY_NAME
}

/** Null for everything that is not a call. */
export function findIngress(
  method: string,
  { path, search }: RequestTarget,
  upstreams: Upstreams,
): Ingress | null {
  if (path === '/proxy' || path === '/proxy/')
    return method === 'POST' ? { kind: 'envelope' } : null
  if (path.startsWith(BY_NAME)) {
    const end = path.indexOf('/', BY_NAME.length)
    const name = path.slice(BY_NAME.length, end < 0 ? undefined : end)
    const upstream = upstreams.byName(name)
    if (!upstream) return { kind: 'unknown' }
    const base = `${BY_NAME}${name}`
    return { kind: 'upstream', upstream, base, rest: path.slice(base.length), search }
  }
  const upstream = upstreams.byMount(path)
  if (!upstream?.mount) return null
  const base = upstream.mount
  const rest = path.slice(base.length)
  if (repeatsVersion(upstream, base, rest) || hasEmptyPart(base, rest)) return null
  return { kind: 'upstream', upstream, base, rest, search }
}

/** Whether a client has a base URL that ends with a slash, and would reach `/v1//…`: no API of versions has such a path. */
function hasEmptyPart(base: string, rest: string): boolean {
  return /^\/{2,}[^/]/.test(rest) && /\/v\d\w*$/.test(base)
}

/** Whether a client adds what its base URL has already, and would reach `/v1/v1/…`: no API has such a path. */
function repeatsVersion({ baseUrl }: Upstream, base: string, rest: string): boolean {
  const [version] = /^\/v\d\w*(?=\/|$)/.exec(rest) ?? []
  return version !== undefined && base.endsWith(version) && baseUrl.pathname.endsWith(version)
}
