/**
 * Describes spans. A span never says a key, a path, a query or a body: names and attributes come
 * from closed lists, from the names of upstreams, from numbers, and from the host of the request.
 * Pure.
 */
import { type Attributes, type SpanStatus, SpanStatusCode } from '@opentelemetry/api'
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_SCHEME,
} from '@opentelemetry/semantic-conventions'
import { schemeOf } from '../lib/http-syntax.ts'
import type { CallReport } from '../proxy/call.ts'
import type { Ingress } from '../proxy/ingress.ts'
import type { Outbound } from '../proxy/send/outbound.ts'

/** What is known at the end of a span. */
export type Ending = { readonly attributes: Attributes; readonly status: SpanStatus | null }

/** RFC 9110 section 9 and RFC 5789: the conventions know these methods. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']

/**
 * The conventions call an answer an error of the server from 500 on, and of the client from 400 on.
 */
const SERVER_ERROR = 500
const CLIENT_ERROR = 400

export function methodAsName(method: string): string {
  return METHODS.includes(method) ? method : 'HTTP'
}

/** The route as an operator would write it; what follows in the path is the client's. */
export function routeOf({ url }: Request, ingress: Ingress): string {
  if (ingress.kind === 'envelope') return '/proxy'
  const path = url.slice(url.indexOf('/', url.indexOf('//') + 2))
  const mount =
    ingress.kind === 'upstream' && !path.startsWith('/u/') ? ingress.upstream.mount : null
  return mount ?? '/u/{upstream}'
}

export function ofCall(request: Request, ingress: Ingress): Attributes {
  return {
    [ATTR_HTTP_REQUEST_METHOD]: methodOf(request.method),
    [ATTR_HTTP_ROUTE]: routeOf(request, ingress),
    [ATTR_URL_SCHEME]: schemeOf(request),
  }
}

export function ofRequest({ method, destination }: Outbound): Attributes {
  return {
    [ATTR_HTTP_REQUEST_METHOD]: methodOf(method),
    [ATTR_SERVER_ADDRESS]: destination.host,
    [ATTR_SERVER_PORT]: destination.port,
  }
}

export function endingOfCall(report: CallReport): Ending {
  const { requestId, upstream, outcome, code, status, charged } = report
  const isBroken = !['answered', 'refused', 'client_aborted'].includes(outcome)
  const error = status >= SERVER_ERROR || isBroken ? (code ?? brokenBy(report)) : null
  return ending(error, {
    [ATTR_HTTP_RESPONSE_STATUS_CODE]: status,
    'quota_proxy.request_id': requestId,
    'quota_proxy.upstream': upstream,
    'quota_proxy.outcome': outcome,
    ...(code !== null && { 'quota_proxy.code': code }),
    'quota_proxy.charged.requests': charged.requests,
    'quota_proxy.charged.tokens': charged.tokens,
    'quota_proxy.charged.cost': charged.cost,
  })
}

export function endingAtUpstream(report: CallReport): Ending {
  const { outcome, code, upstreamStatus: status } = report
  if (status === null) return ending(code ?? outcome, {})
  const error = status >= CLIENT_ERROR || outcome !== 'answered' ? brokenBy(report) : null
  return ending(error, { [ATTR_HTTP_RESPONSE_STATUS_CODE]: status })
}

/** A fault of ours. */
export const FAULT: Ending = ending('internal', {})

function brokenBy({ outcome, status }: CallReport): string {
  return outcome === 'answered' ? String(status) : outcome
}

function ending(error: string | null, attributes: Attributes): Ending {
  if (error === null) return { attributes, status: null }
  const status = { code: SpanStatusCode.ERROR }
  return { attributes: { ...attributes, [ATTR_ERROR_TYPE]: error }, status }
}

function methodOf(method: string): string {
  return METHODS.includes(method) ? method : '_OTHER'
}
