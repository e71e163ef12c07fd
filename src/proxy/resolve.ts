/**
 * Turns what a client asks for into what will be sent and what it may cost: which upstream, whether the key may, what is
 * reserved. Costs the key nothing, and opens no connection to the target.
 */

import type { ReserveMax } from '../domain/key.ts'
import type { Units } from '../domain/limit.ts'
import type { ChargeOn, Upstream } from '../domain/upstream.ts'
import type { Refusal } from '../errors.ts'
import { estimateUnits, type Metering } from '../metering/reckon.ts'
import type { DeferredReading } from './answer/deferred.ts'
import { type TapMaker, tapFor } from './answer/taps.ts'
import { type Fields, noFields } from './headers/fields.ts'
import { outboundHeaders } from './headers/request.ts'
import { planBody } from './request/body/plan.ts'
import { isStreamed } from './request/body/upload.ts'
import type { Caller, ClientCall, ClientCallOptions, Received } from './request/client-call.ts'
import { planDeferred } from './request/deferred.ts'
import { aliasedPath } from './request/path-models.ts'
import { readReferences } from './request/rewrite-urls.ts'
import { refusedInUrl, requestsOf, ruleRefusal } from './request/rules.ts'
import { unpricedRefusal } from './request/unpriced.ts'
import type { Wish } from './request/usage-wishes.ts'
import type { Timeouts } from './send/deadline.ts'
import type { Checked, Destination, EgressGuard } from './send/egress.ts'
import type { Outbound } from './send/outbound.ts'
import { isProbe, isUpgrade } from './sockets/upgrade.ts'

export type Target = {
  readonly outbound: Outbound
  /** Null for an endpoint that is no upstream's. */
  readonly upstream: Upstream | null
  /** The path that stands for the upstream's base URL here; null in an envelope, which calls it as it is. */
  readonly base: string | null
  readonly timeouts: Timeouts
  /** Whether a timeout counts against the upstream. False if the client chose the timeout or is still uploading. */
  readonly timeoutBlamesUpstream: boolean
  readonly chargeOn: ChargeOn
  /** What is reserved before the call goes out. */
  readonly units: Units
  readonly metering: Metering | null
  /** What we have asked the upstream for on our own; null if nothing. */
  readonly wish: Wish | null
  /** What looks at the answer as it passes, or changes it; null if nothing has to. */
  readonly tap: TapMaker | null
  /** What is charged of work that is reported later; null or absent for a call that has nothing to do with such work. */
  readonly deferred?: DeferredReading | null
  /** Longest life of the WebSocket that is asked for; null if none is. */
  readonly socketMs: number | null
  /** How much of the request's body has passed so far. */
  bytesIn(): number
}

export type Resolution =
  | { readonly ok: true; readonly target: Target; readonly model: string | null }
  | {
      readonly ok: false
      readonly refusal: Refusal
      /** That was asked for, as the client names it; absent or null if none was read. */
      readonly model?: string | null
    }

export type ResolveOptions = ClientCallOptions & {
  readonly guard: EgressGuard
  readonly chargeOn: ChargeOn
  readonly timeoutMs: number
}

export async function resolve(
  received: Received,
  clientCall: ClientCall,
  caller: Caller,
  options: ResolveOptions,
): Promise<Resolution> {
  const { request, fields, ingress } = received
  const openMs = clientCall.upstream?.settings.websocketMs ?? null
  const isSocket = isUpgrade(request.method, fields)
  // First: a client that only wants to know, by a handshake or by less, falls back to HTTP for nothing else.
  if (openMs === null && (isSocket || isProbe(request.method, fields))) return refuse(NO_WEBSOCKETS)
  const refusal = ruleRefusal(clientCall, caller, isSocket)
  if (refusal) return refuse(refusal, refusedInUrl(clientCall, caller.key.scope, refusal))
  const read = readReferences(received, clientCall, caller, options.upstreams)
  if (!read.ok) return read
  const plan = await planBody(clientCall, caller)
  if (!plan.ok) return plan
  const { body, bytesIn, wish, model } = plan
  const work = planDeferred(clientCall, plan, caller.key)
  if (work?.ok === false) return refuse(work.refusal, model)
  const { metering } = work ?? plan
  const unpriced = unpricedRefusal(metering, caller.key)
  if (unpriced) return refuse(unpriced, model)

  const { upstream, method } = clientCall
  const found = destinationOf(clientCall, options.guard)
  const destination = found instanceof Promise ? await found : found
  if ('code' in destination) return refuse(destination, model)
  // Bun's fetch drops leading slashes (1.4.5), and the upstream would be asked for something else.
  if (clientCall.pathname.startsWith('//')) return refuse(EMPTY_SEGMENT, model)
  const deferred = work?.deferred ?? null
  const tap = deferred?.tap ?? tapFor(clientCall, caller.key.scope, metering)
  const isUpload = isStreamed(body)
  const wanted = plan.isDecoded ? withoutCoding(clientCall.headers) : clientCall.headers
  const headers = outboundHeaders(wanted, {
    ...{ upstream, request, received: fields, ip: caller.ip, host: destination.hostField },
    contentLength: isUpload ? body.declared : null,
    isAnswerRead: tap !== null,
    references: read.references,
  })
  const { settings } = upstream ?? {}
  return {
    ok: true,
    model,
    target: {
      upstream,
      base: ingress.kind === 'upstream' ? ingress.base : null,
      outbound: {
        ...{ destination, method, target: targetOf(clientCall), headers, body },
        retryConnect: settings?.retryConnect ?? false,
        // Where nobody could switch it off, nothing is sent twice.
        resendSafe: settings !== undefined && (settings.resendSafe ?? true),
      },
      timeouts: timeoutsOf(clientCall, options),
      timeoutBlamesUpstream: clientCall.timeoutMs === null && !isUpload,
      chargeOn: settings?.chargeOn ?? options.chargeOn,
      units: capped(estimateUnits(requestsOf(clientCall), metering), caller.key.reserveMax),
      ...{ metering, wish, tap, deferred, bytesIn, socketMs: isSocket ? openMs : null },
    },
  }
}

/** Where the call goes, by an address that was checked; or why it may not go there. At once if that is known. */
function destinationOf(
  { upstream, origin }: ClientCall,
  guard: EgressGuard,
): Destination | Refusal | Promise<Destination | Refusal> {
  const judge = (checked: Checked): Destination | Refusal => {
    if (checked.ok) return checked.destination
    // What the operator has named is allowed: all that can be wrong is that its name has no address.
    const { reason, message } = checked
    return { code: reason === 'no_address' ? 'upstream_error' : 'target_not_allowed', message }
  }
  const checked = guard.check(origin, upstream !== null)
  return checked instanceof Promise ? checked.then(judge) : judge(checked)
}

/** Never more than the key may have reserved for one call; the rest is settled. */
function capped(units: Units, most: ReserveMax | null): Units {
  if (!most) return units
  const { tokens = units.tokens, cost = units.cost } = most
  return { ...units, tokens: Math.min(units.tokens, tokens), cost: Math.min(units.cost, cost) }
}

/** Of a body that is sent decoded. */
function withoutCoding(headers: Fields): Fields {
  const fields = Object.assign(noFields(), headers)
  delete fields['content-encoding']
  return fields
}

function timeoutsOf({ upstream, timeoutMs }: ClientCall, options: ResolveOptions): Timeouts {
  const { totalMs, firstByteMs, idleMs } = upstream?.settings ?? {}
  const longestMs = totalMs ?? options.timeoutMs
  return {
    totalMs: Math.min(timeoutMs ?? longestMs, longestMs),
    firstByteMs: firstByteMs ?? options.idleTimeoutMs,
    idleMs: idleMs ?? options.idleTimeoutMs,
  }
}

const NO_WEBSOCKETS: Refusal = {
  code: 'websockets_not_allowed',
  message:
    'The operator has not opened this upstream for WebSockets. Send the call over plain HTTP.',
}

const EMPTY_SEGMENT: Refusal = {
  code: 'malformed_request',
  message: 'The path of this upstream must not begin with two slashes.',
}

/** As it stands in the request line. */
function targetOf(clientCall: ClientCall): string {
  const { pathname, upstream } = clientCall
  return aliasedPath(pathname, upstream?.settings.modelAliases) + queryOf(clientCall)
}

/** As text: searchParams would write anew what the client's query has already. */
function queryOf({ upstream, search }: ClientCall): string {
  const credential = upstream?.settings.credential
  const secret = upstream?.secret ?? null
  if (!credential || secret === null) return search
  // Google's APIs take a key from either place, and must not find another one in the other.
  const rivals = credential.name.toLowerCase() === 'x-goog-api-key' ? GOOGLE_QUERY : []
  if (credential.in === 'header') return rivals.length > 0 ? without(search, rivals) : search
  const kept = without(search, [credential.name])
  const value = credential.template.replace('{secret}', () => secret)
  const parameter = `${encodeURIComponent(credential.name)}=${encodeURIComponent(value)}`
  return `${kept}${kept === '' ? '?' : '&'}${parameter}`
}

const GOOGLE_QUERY = ['key', 'access_token']

/** The query without the parameters of these names, everything else as it was written. */
function without(search: string, names: readonly string[]): string {
  const parameters = search.slice(1).split('&')
  const kept = parameters.filter((one) => !names.includes(nameOf(one)))
  return kept.length === parameters.length ? search : kept.length > 0 ? `?${kept.join('&')}` : ''
}

function nameOf(parameter: string): string {
  const [name = ''] = parameter.split('=', 1)
  return [...new URLSearchParams(name).keys()][0] ?? ''
}

function refuse(refusal: Refusal, model: string | null = null): Resolution {
  return { ok: false, refusal, model }
}
