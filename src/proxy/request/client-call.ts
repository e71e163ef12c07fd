/**
 * A call as its client has written it, whichever way it came in. Nothing has been decided about it yet, and of a body that
 * is passed through nothing has been read.
 */

import { parseEndpoint } from '../../domain/egress.ts'
import type { Credential } from '../../domain/key.ts'
import { NO_UNITS, type Units } from '../../domain/limit.ts'
import type { Upstream, Upstreams } from '../../domain/upstream.ts'
import type { FieldError, Refusal } from '../../errors.ts'
import { hasBody, isShort, readBody } from '../../http/request/read-body.ts'
import { type Fields, noFields } from '../headers/fields.ts'
import { areTooLarge, carriedHeaders, FIELDS_TOO_LARGE, passedHeaders } from '../headers/request.ts'
import type { Slot } from '../in-flight.ts'
import type { Ingress } from '../ingress.ts'
import { type Aim, aimAt, aimBelow } from './aim.ts'
import { bodyRefusal } from './body/refusal.ts'
import { bodyTaker, type TakeBody, type Upload } from './body/upload.ts'
import { parseEnvelope } from './envelope.ts'
import type { UsageWishes } from './usage-wishes.ts'

export type ClientCall = Aim & {
  readonly method: string
  /** What the client wants to be sent. The resolving writes what the operator wants over it. */
  readonly headers: Fields
  /** Which of them name resources by URLs, as the client wrote them; null if none does. */
  readonly references: Fields | null
  /** What the client allows for the whole call; null leaves it to the operator. */
  readonly timeoutMs: number | null
  readonly takeBody: TakeBody
}

export type ClientCallRead =
  | { readonly ok: true; readonly clientCall: ClientCall }
  | { readonly ok: false; readonly refusal: Refusal }

export type ClientCallOptions = {
  readonly upstreams: Upstreams
  readonly bodyBytesMax: number
  readonly idleTimeoutMs: number
}

/** Why a call that costs this much at the least would be refused now; null if it might be let through. */
export type Foresee = (least: Units) => Promise<Refusal | null>

/** A request as it came in. */
export type Received = {
  readonly request: Request
  /** Its headers. */
  readonly fields: Fields
  readonly ingress: Ingress
}

/** Who calls. */
export type Caller = {
  readonly key: Credential
  /** The key as it was presented: what must not be sent on, wherever the client has put it. */
  readonly raw: string
  readonly ip: string
  readonly slot: Slot
  readonly foresee: Foresee
  /** Whether an upstream may be asked to report: see src/proxy/request/usage-wishes.ts. */
  readonly mayAsk: UsageWishes['mayAsk']
}

type Reader = Pick<Caller, 'raw' | 'slot' | 'foresee'>

export function readClientCall(
  received: Received,
  reader: Reader,
  options: ClientCallOptions,
): ClientCallRead | Promise<ClientCallRead> {
  const { ingress } = received
  if (ingress.kind === 'unknown') return refuse(NO_SUCH_UPSTREAM)
  return ingress.kind === 'envelope'
    ? readEnvelopeCall(received, reader, options)
    : readPassedCall(received, ingress, reader, options)
}

async function readEnvelopeCall(
  { request, fields }: Received,
  { raw, slot, foresee }: Reader,
  { upstreams, bodyBytesMax, idleTimeoutMs }: ClientCallOptions,
): Promise<ClientCallRead> {
  if (!isShort(fields)) {
    const refusal = await foresee(leastOf(upstreams))
    if (refusal) return refuse(refusal)
  }
  const bytesMax = Math.min(bodyBytesMax, slot.memoryMax)
  const { takeMemory } = slot
  const read = await readBody(request, fields, { bytesMax, timeoutMs: idleTimeoutMs, takeMemory })
  if (!read.ok) return refuse(bodyRefusal(read.problem, bytesMax))
  const parsed = parseEnvelope(read.text)
  if (!parsed.ok) return refuse(invalidEnvelope(parsed.errors))
  const { envelope } = parsed

  const endpoint = parseEndpoint(envelope.endpoint)
  if (!endpoint.ok) return refuse({ code: 'target_not_allowed', message: endpoint.message })
  const { url } = endpoint
  addQuery(url, envelope.query)
  // A fragment is for the client alone (RFC 9110 section 4.2.5).
  url.hash = ''

  const { method, body, timeoutMs } = envelope
  const headers = carriedHeaders(envelope.headers, fields, raw)
  const upload: Upload = { body, bytes: () => read.bytes }
  return {
    ok: true,
    clientCall: {
      ...aimAt(url, upstreams),
      ...{ method, headers, timeoutMs },
      references: referencesOf(headers),
      takeBody: () => ({ ok: true, upload }),
    },
  }
}

/** As text: searchParams would write anew what the endpoint has already, and signed URLs would no longer match. */
function addQuery(url: URL, query: readonly (readonly [string, string])[]): void {
  if (query.length === 0) return
  const more = new URLSearchParams()
  for (const [name, value] of query) more.append(name, value)
  url.search += `${url.search === '' ? '?' : '&'}${more}`
}

function readPassedCall(
  { request, fields }: Received,
  { upstream, rest, search }: Extract<Ingress, { kind: 'upstream' }>,
  { raw, slot }: Reader,
  { bodyBytesMax, idleTimeoutMs }: ClientCallOptions,
): ClientCallRead {
  const { method } = request
  // RFC 9110 sections 9.3.6 and 9.3.8: one asks for a tunnel, the other to be shown the request, credentials and all.
  if (method === 'CONNECT' || method === 'TRACE') {
    return refuse({ code: 'method_not_allowed', message: `${method} is not passed on.` })
  }
  // Bun's fetch has no body for these (1.4.5), and without it the upstream would answer another question.
  if ((method === 'GET' || method === 'HEAD') && hasBody(fields)) {
    return refuse({ code: 'invalid_request', message: `A body cannot be sent with ${method}.` })
  }
  const headers = passedHeaders(fields, raw)
  if (areTooLarge(fields, headers)) return refuse(FIELDS_TOO_LARGE)
  const target = rest + search
  if (target.includes(raw)) return refuse(KEY_IN_URL)
  if (hasLostBytes(target)) return refuse(NOT_ENCODED)

  const bytesMax = upstream.settings.bodyBytesMax ?? bodyBytesMax
  return {
    ok: true,
    clientCall: {
      ...aimBelow(upstream, rest, search),
      method,
      headers,
      references: referencesOf(headers),
      timeoutMs: null,
      takeBody: bodyTaker(request, fields, { bytesMax, timeoutMs: idleTimeoutMs, slot }),
    },
  }
}

/** RFC 4918 sections 10.3 and 10.4. */
function referencesOf({ destination, if: conditions }: Fields): Fields | null {
  if (destination === undefined && conditions === undefined) return null
  const references = noFields()
  if (destination !== undefined) references['destination'] = destination
  if (conditions !== undefined) references['if'] = conditions
  return references
}

/** What a call costs at the least, before anybody knows where it goes. */
function leastOf(upstreams: Upstreams): Units {
  const isFree = ({ settings }: Upstream) => settings.costs.some(({ requests }) => requests === 0)
  return { ...NO_UNITS, requests: upstreams.list().some(isFree) ? 0 : 1 }
}

/**
 * Of bytes that are no UTF-8 and not percent-encoded, Bun leaves only this sign (1.4.5): the upstream would be asked for
 * something else.
 */
function hasLostBytes(target: string): boolean {
  return target.includes('%') && /%EF%BF%BD/i.test(target)
}

export const NO_SUCH_UPSTREAM: Refusal = {
  code: 'upstream_not_found',
  message: 'There is no upstream of this name.',
}

const NOT_ENCODED: Refusal = {
  code: 'malformed_request',
  message: 'The URL has bytes that are not UTF-8. Percent-encode them.',
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

function refuse(refusal: Refusal): ClientCallRead {
  return { ok: false, refusal }
}
