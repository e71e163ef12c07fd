/**
 * The resources that a request names in its headers, beside its target: where COPY and MOVE go (RFC 4918, section 10.3),
 * and what its conditions speak of (section 10.4). Rules for paths hold for these as well: a key that may not reach a path
 * cannot move anything there. Where the upstream's setting asks for it, the client writes addresses of this server, and
 * the upstream reads its own. Pure.
 */

import type { Upstream, Upstreams } from '../../domain/upstream.ts'
import type { Refusal } from '../../errors.ts'
import { hidesStep } from '../../lib/text/path-step.ts'
import {
  isSameHost,
  mapTags,
  parseReference,
  pathBelow,
  type UriReference,
} from '../../lib/text/uri-reference.ts'
import { type Fields, noFields } from '../headers/fields.ts'
import { findIngress } from '../ingress.ts'
import { decodePath } from './aim.ts'
import type { Caller, ClientCall, Received } from './client-call.ts'
import { ruleRefusal } from './rules.ts'

/** What is sent in the place of a reference; `rest` is its path after the upstream's base URL. */
type Reading =
  | { readonly ok: true; readonly rest: string; readonly text: string }
  | { readonly ok: false; readonly refusal: Refusal }

export type References =
  | {
      readonly ok: true
      /** What the upstream is to read instead; null if the client's own words. */
      readonly references: Fields | null
    }
  | { readonly ok: false; readonly refusal: Refusal }

const AS_WRITTEN: References = { ok: true, references: null }

/** What the upstream is to read in the place of the URLs in headers, or why they are refused. */
export function readReferences(
  { fields, ingress }: Received,
  wanted: ClientCall,
  caller: Caller,
  upstreams: Upstreams,
): References {
  const { upstream } = wanted
  if (wanted.references === null) return AS_WRITTEN
  const { destination, if: conditions } = wanted.references
  // In an envelope clients name the upstream's resources as the upstream does.
  const rewrites = ingress.kind === 'upstream' && ingress.upstream.settings.rewriteUrls === true
  const isRestricted = caller.key.scope?.paths !== undefined || !!upstream?.settings.paths
  if (!rewrites && !isRestricted) return AS_WRITTEN

  const host = fields['host'] ?? ''
  let refusal: Refusal | null = null
  const take = (text: string): string => {
    const parts = WRITTEN.test(text) ? parseReference(text) : null
    if (!parts) {
      refusal ??= NO_URL
      return text
    }
    const read =
      rewrites && upstream
        ? readOurs(parts, host, upstream, upstreams)
        : readTheirs(text, parts, upstream)
    refusal ??= read.ok
      ? ruleRefusal(
          { ...wanted, path: decodePath(read.rest), hidesStep: hidesStep(read.rest) },
          caller,
        )
      : read.refusal
    return read.ok ? read.text : text
  }
  const references = noFields()
  if (destination !== undefined) references['destination'] = take(destination)
  if (conditions !== undefined) references['if'] = mapTags(conditions, take)
  return refusal === null ? { ok: true, references } : { ok: false, refusal }
}

/** RFC 3986 section 2: visible ASCII. A fragment cannot be sent to, and readers differ in what they do with one. */
const WRITTEN = /^[!-"$-~]+$/

/** By the address of this server: of the host that the client has called, and at a path that leads to the same upstream. */
function readOurs(
  { scheme, authority, path, suffix }: UriReference,
  host: string,
  upstream: Upstream,
  upstreams: Upstreams,
): Reading {
  // Either scheme may be the client's: a reverse proxy in front may have taken TLS off.
  const isHere = authority === null || isSameHost(authority, host, scheme ?? 'http')
  const ingress = isHere ? findIngress('MOVE', { path, search: '' }, upstreams) : null
  if (ingress?.kind !== 'upstream' || ingress.upstream.name !== upstream.name)
    return { ok: false, refusal: ELSEWHERE }
  const { rest } = ingress
  const { origin, pathname } = upstream.baseUrl
  const base = pathname.replace(/\/$/, '')
  return { ok: true, rest, text: `${origin}${`${base}${rest}` || '/'}${suffix}` }
}

/** By the path alone: some servers do not look at the host. */
function readTheirs(text: string, { path }: UriReference, upstream: Upstream | null): Reading {
  const rest = pathBelow(upstream?.baseUrl.pathname.replace(/\/$/, '') ?? '', path)
  return rest === null ? { ok: false, refusal: NOT_BELOW } : { ok: true, rest, text }
}

const NO_URL: Refusal = {
  code: 'invalid_request',
  message: 'Destination and If must name resources by an http or https URL or an absolute path.',
}

const ELSEWHERE: Refusal = {
  code: 'target_not_allowed',
  message: 'Destination and If must name resources of the same upstream, at this address.',
}

const NOT_BELOW: Refusal = {
  code: 'path_not_allowed',
  message: 'Destination and If must name resources that this key may call.',
}
