/** Where a call goes, by what its client has written and by the upstreams as they are. Pure. */
import type { Upstream, Upstreams } from '../../domain/upstream.ts'
import { hidesStep } from '../../lib/text/path-step.ts'

export type Aim = {
  /** Null for an endpoint that is no upstream's. */
  readonly upstream: Upstream | null
  /** Its scheme, host and port are those of the target. Its path need not be. */
  readonly origin: URL
  /** As it goes into the request line; with the path of the upstream's base URL. */
  readonly pathname: string
  /** Empty, or with a `?` at its beginning. */
  readonly search: string
  /** After the upstream's base URL, decoded, for rules to look at; null if they cannot read it. */
  readonly path: string | null
  /** Whether anything on the way to the upstream could take a part of the path for a step upwards. */
  readonly hidesStep: boolean
}

/** Of a path below that of an upstream. */
export function aimBelow(upstream: Upstream, rest: string, search: string): Aim {
  const { baseUrl } = upstream
  const base = baseUrl.pathname === '/' ? '' : baseUrl.pathname
  return {
    ...{ upstream, origin: baseUrl, pathname: base + rest || '/', search },
    ...{ path: decodePath(rest), hidesStep: hidesStep(rest) },
  }
}

/** Of a whole URL, which may be an upstream's. */
export function aimAt(url: URL, upstreams: Upstreams): Aim {
  const { pathname, search } = url
  const found = upstreams.byUrl(url)
  const rest = found?.rest ?? pathname
  return {
    ...{ upstream: found?.upstream ?? null, origin: found?.upstream.baseUrl ?? url },
    ...{ pathname, search, path: decodePath(rest), hidesStep: hidesStep(rest) },
  }
}

/** The path as rules read it; null if they cannot: it is no UTF-8 once decoded, or holds control characters. */
export function decodePath(path: string): string | null {
  try {
    const decoded = path.includes('%') ? decodeURIComponent(path) : path || '/'
    return CONTROL.test(decoded) ? null : decoded
  } catch {
    return null
  }
}

/** What no path may hold. */
const CONTROL = /\p{Cc}/u
