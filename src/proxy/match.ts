/**
 * What a call asks for: reads the envelope, finds the address it may go to, and prepares what will be sent. Costs the key
 * nothing, and opens no connection to the target.
 */
import type { Refusal } from '../errors.ts'
import { type BodyProblem, readBody } from '../http/read-body.ts'
import { type EgressGuard, parseEndpoint } from './egress.ts'
import { parseEnvelope } from './envelope.ts'
import type { Outbound } from './forward.ts'
import { carriedHeaders } from './headers.ts'

export type Target = {
  readonly outbound: Outbound
  /** The longest the whole call may take. */
  readonly timeoutMs: number
  readonly bytesIn: number
}

export type Match =
  | { readonly ok: true; readonly target: Target }
  | { readonly ok: false; readonly refusal: Refusal }

export type MatchOptions = {
  readonly guard: EgressGuard
  readonly bodyBytesMax: number
  readonly timeoutMs: number
  readonly idleTimeoutMs: number
}

/** `rawKey` is what must not be sent on, wherever the client has put it. */
export async function match(
  request: Request,
  rawKey: string,
  options: MatchOptions,
): Promise<Match> {
  const body = await readBody(request, options.bodyBytesMax, options.idleTimeoutMs)
  if (!body.ok) return refuse(BODY_REFUSALS[body.problem](options))

  const parsed = parseEnvelope(body.text)
  if (!parsed.ok) {
    const first = parsed.errors[0]
    const message = `The envelope is not valid: ${first?.path || 'it'} ${first?.message}.`
    return refuse({ code: 'invalid_request', message, errors: parsed.errors })
  }
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
  const checked = await options.guard.check(url)
  if (!checked.ok) return refuse({ code: 'target_not_allowed', message: checked.message })

  const headers = carriedHeaders(envelope.headers, request.headers, rawKey)
  const { method, body: content } = envelope
  const timeoutMs = Math.min(envelope.timeoutMs ?? options.timeoutMs, options.timeoutMs)
  const outbound = { destination: checked.destination, method, headers, body: content }
  return { ok: true, target: { outbound, timeoutMs, bytesIn: body.bytes } }
}

const BODY_REFUSALS: Record<BodyProblem, (options: MatchOptions) => Refusal> = {
  too_large: ({ bodyBytesMax }) => ({
    code: 'request_too_large',
    message: `The request body is larger than ${bodyBytesMax} bytes.`,
    limit: bodyBytesMax,
  }),
  too_slow: () => ({
    code: 'request_timeout',
    message: 'The request body did not arrive in time.',
  }),
  not_text: () => ({ code: 'invalid_request', message: 'The envelope is not valid UTF-8.' }),
  aborted: () => ({ code: 'invalid_request', message: 'The request body ended too early.' }),
}

function refuse(refusal: Refusal): Match {
  return { ok: false, refusal }
}
