/**
 * The URLs by which an upstream names its own resources in the headers of an answer, as the client calls them: paths of
 * this server. They need neither its scheme nor its name, which a reverse proxy in front may have changed. What lies
 * elsewhere stays as it was written. Pure.
 */
import { hidesStep } from '../../lib/text/path-step.ts'
import {
  isSameHost,
  mapReferences,
  parseReference,
  pathBelow,
} from '../../lib/text/uri-reference.ts'
import type { Fields } from '../headers/fields.ts'
import type { Target } from '../resolve.ts'

/** Changes nothing unless the upstream's setting asks for it. */
export function rewriteAnswerUrls(
  fields: Fields,
  { upstream, base }: Pick<Target, 'upstream' | 'base'>,
): void {
  if (upstream === null || base === null) return
  const rewrite = (reference: string) => rewritten(reference, upstream.baseUrl, base)
  // RFC 9110 sections 10.2.2 and 8.7: both take a relative reference.
  for (const name of ['location', 'content-location']) {
    const value = fields[name]
    if (value !== undefined) fields[name] = rewrite(value)
  }
  const { link } = fields
  if (link !== undefined) fields['link'] = mapReferences(link, 'strings', rewrite)
}

function rewritten(reference: string, baseUrl: URL, base: string): string {
  const parts = parseReference(reference)
  if (!parts) return reference
  const { scheme, authority, path, suffix } = parts
  const own = baseUrl.protocol.slice(0, -1)
  if (scheme !== null && scheme !== own) return reference
  if (authority !== null && !isSameHost(authority, baseUrl.host, own)) return reference
  const rest = pathBelow(baseUrl.pathname.replace(/\/$/, ''), path)
  return rest === null || hidesStep(rest) ? reference : `${base}${rest}${suffix}`
}
