/**
 * A call as its client has written it, whichever way it came in. Nothing has been decided about it yet, and of a body that
 * is passed through nothing has been read.
 */
import type { FieldError, Refusal } from '../../errors.ts'
import { type BodyProblem, readBody } from '../../http/read-body.ts'
import { hidesStep } from '../../lib/path-step.ts'
import type { Upstream, Upstreams } from '../../modules/upstreams/store.ts'
import { carriedHeaders, type Fields, passedHeaders } from '../answer/headers.ts'
import { parseEndpoint } from '../send/egress.ts'
import { parseEnvelope } from './envelope.ts'
import { hasBody, takeUpload, type Upload } from './upload.ts'
import type { Way } from './way.ts'

export type Draft = {
  /** Null for an endpoint that is no upstream's. */
  readonly upstream: Upstream | null
  readonly method: string
  readonly url: URL
  /** After the upstream's base URL, decoded, for rules to look at; null if it cannot be read in one way only. */
  readonly path: string | null
  readonly headers: Fields
  /** What the client allows for the whole call; null leaves it to the operator. */
  readonly timeoutMs: number | null
  readonly takeBody: (whole: boolean) => Promise<BodyTaken>
}

export type Drafted =
  | { readonly ok: true; readonly draft: Draft }
  | { readonly ok: false; readonly refusal: Refusal }

/** The text of a body that was read whole to be understood. */
export type BodyTaken =
  | { readonly ok: true; readonly upload: Upload | TextUpload }
  | { readonly ok: false; readonly refusal: Refusal }

export type TextUpload = { readonly body: string | null; bytes(): number }

export type DraftOptions = {
  readonly upstreams: Upstreams
  readonly bodyBytesMax: number
  readonly idleTimeoutMs: number
}

/** `rawKey` is what must not be sent on, wherever the client has put it. */
export function draft(
  request: Request,
  way: Way,
  rawKey: string,
  options: DraftOptions,
): Drafted | Promise<Drafted> {
  if (way.kind === 'unknown') return refuse(NO_SUCH_UPSTREAM)
  return way.kind === 'envelope'
    ? draftEnvelope(request, rawKey, options)
    : draftPassed(request, way, rawKey, options)
}

async function draftEnvelope(
  request: Request,
  rawKey: string,
  { upstreams, bodyBytesMax, idleTimeoutMs }: DraftOptions,
): Promise<Drafted> {
  const read = await readBody(request, bodyBytesMax, idleTimeoutMs)
  if (!read.ok) return refuse(bodyRefusal(read.problem, bodyBytesMax))
  const parsed = parseEnvelope(read.text)
  if (!parsed.ok) return refuse(invalidEnvelope(parsed.errors))
  const { envelope } = parsed

  const endpoint = parseEndpoint(envelope.endpoint)
  if (!endpoint.ok) return refuse({ code: 'target_not_allowed', message: endpoint.message })
  const { url } = endpoint
  if (envelope.query.length > 0) {
    const more = new URLSearchParams()
    for (const [name, value] of envelope.query) more.append(name, value)
    // As text: searchParams would write anew what the endpoint has already, and signed URLs would no longer match.
    url.search += `${url.search === '' ? '?' : '&'}${more}`
  }
  // A fragment is for the client alone (RFC 9110 section 4.2.5).
  url.hash = ''

  const found = upstreams.byUrl(url)
  const path = decodePath(found?.rest ?? url.pathname)
  const { method, body, timeoutMs } = envelope
  const headers = carriedHeaders(envelope.headers, request.headers, rawKey)
  const upload: TextUpload = { body, bytes: () => read.bytes }
  return {
    ok: true,
    draft: {
      upstream: found?.upstream ?? null,
      ...{ method, url, path, headers, timeoutMs },
      takeBody: async () => ({ ok: true, upload }),
    },
  }
}

function draftPassed(
  request: Request,
  { upstream, rest }: Extract<Way, { kind: 'upstream' }>,
  rawKey: string,
  { bodyBytesMax, idleTimeoutMs }: DraftOptions,
): Drafted {
  const { method } = request
  // RFC 9110 sections 9.3.6 and 9.3.8: one asks for a tunnel, the other to be shown the request, credentials and all.
  if (method === 'CONNECT' || method === 'TRACE') {
    return refuse({ code: 'method_not_allowed', message: `${method} is not passed on.` })
  }
  // Bun's fetch has no body for these (1.4.5), and without it the upstream would answer another question.
  if ((method === 'GET' || method === 'HEAD') && hasBody(request.headers)) {
    return refuse({ code: 'invalid_request', message: `A body cannot be sent with ${method}.` })
  }
  const at = request.url.indexOf('?')
  const search = at < 0 ? '' : request.url.slice(at)
  if (search.includes(rawKey)) return refuse(KEY_IN_URL)
  const path = decodePath(rest)

  const { origin, pathname } = upstream.baseUrl
  const base = pathname === '/' ? '' : pathname
  const bytesMax = upstream.settings.bodyBytesMax ?? bodyBytesMax
  return {
    ok: true,
    draft: {
      upstream,
      method,
      url: new URL(`${origin}${base}${rest === '' && base === '' ? '/' : rest}${search}`),
      path,
      headers: passedHeaders(request.headers, rawKey),
      timeoutMs: null,
      async takeBody(whole) {
        const taken = await takeUpload(request, { whole, bytesMax, timeoutMs: idleTimeoutMs })
        return taken.ok ? taken : { ok: false, refusal: bodyRefusal(taken.problem, bytesMax) }
      },
    },
  }
}

/**
 * The path as rules read it; null if it cannot be read in one way only. Encoded slashes may stand within a segment, but
 * none may hide a step upwards that an upstream could take after decoding.
 */
export function decodePath(path: string): string | null {
  if (hidesStep(path)) return null
  try {
    const decoded = decodeURIComponent(path === '' ? '/' : path)
    return CONTROL.test(decoded) ? null : decoded
  } catch {
    return null
  }
}

/** What no path may hold. */
const CONTROL = /\p{Cc}/u

const NO_SUCH_UPSTREAM: Refusal = {
  code: 'upstream_not_found',
  message: 'There is no upstream of this name.',
}

const KEY_IN_URL: Refusal = {
  code: 'invalid_request',
  message: 'The key must not stand in the URL; send it in a header.',
}

function invalidEnvelope(errors: readonly FieldError[]): Refusal {
  const first = errors[0]
  const message = `The envelope is not valid: ${first?.path || 'it'} ${first?.message}.`
  return { code: 'invalid_request', message, errors }
}

function bodyRefusal(problem: BodyProblem, bytesMax: number): Refusal {
  switch (problem) {
    case 'too_large':
      return tooLarge(bytesMax)
    case 'too_slow':
      return { code: 'request_timeout', message: 'The request body did not arrive in time.' }
    case 'not_text':
      return { code: 'invalid_request', message: 'The envelope is not valid UTF-8.' }
    case 'aborted':
      return { code: 'invalid_request', message: 'The request body ended too early.' }
  }
}

function tooLarge(bytesMax: number): Refusal {
  return {
    code: 'request_too_large',
    message: `The request body is larger than ${bytesMax} bytes.`,
    limit: bytesMax,
  }
}

function refuse(refusal: Refusal): Drafted {
  return { ok: false, refusal }
}
