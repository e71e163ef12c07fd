/**
 * The first thing that a request meets: it is named, and goes to the data path or to the API. Calls
 * go past the web framework, which would add a tenth to their cost; everything else is answered,
 * marked and logged here.
 */

import type { Upstreams } from './domain/upstream.ts'
import type { ErrorCode, Refusal } from './errors.ts'
import { logRequest } from './http/access-log.ts'
import { refusalOf } from './http/errors.ts'
import { isForHolders } from './http/holder.ts'
import { problem } from './http/problem.ts'
import {
  type ListenerKind,
  newRequestId,
  rememberSender,
  type Sender,
} from './http/request/sender.ts'
import { isTarget, type RequestTarget, readTarget, requestAt } from './http/request/target.ts'
import { setSecurityHeaders } from './http/security-headers.ts'
import type { Log } from './lib/log.ts'
import { isServed, takesCalls } from './listener-routes.ts'
import { lostCall } from './proxy/answer/refusal/lost-call.ts'
import { type Shape, shapeAt, shapeOf } from './proxy/answer/refusal/shape.ts'
import { refused } from './proxy/answer/respond.ts'
import { allowedOrigin, allowOrigin, preflight } from './proxy/headers/cors.ts'
import type { Fields } from './proxy/headers/fields.ts'
import { findIngress, ownRoute } from './proxy/ingress.ts'
import type { Received } from './proxy/request/client-call.ts'
import type { Handle } from './proxy/rounds.ts'
import type { Upgrade } from './proxy/send/websocket.ts'

/** Undefined for a request that has become a WebSocket, by `upgrade`. */
export type Dispatch = (
  request: Request,
  from: { readonly ip: string; readonly listener: ListenerKind },
  upgrade: Upgrade,
) => Promise<Response | undefined>

type ListenerSender = Sender & { readonly listener: ListenerKind }

export type DispatchOptions = {
  readonly handle: Handle
  readonly upstreams: Upstreams
  readonly api: (request: Request) => Response | Promise<Response>
  /** The routes of `api`, whose words may stand in the log. */
  readonly routes: readonly { readonly path: string }[]
  readonly isDraining: () => boolean
  /**
   * Whether the operator has a listener of their own, so that the main one is for holders alone.
   */
  readonly hasAdminListener: boolean
  /** Told of a call that was refused before the data path, or that it has failed by a defect. */
  readonly countRefusal: (code: ErrorCode, status: number) => void
  readonly log: Log
}

/** Never rejects. */
export function createDispatch(options: DispatchOptions): Dispatch {
  const { handle, upstreams, isDraining, countRefusal, log } = options
  const answer = createAnswer(options)
  const respond = createRespond(options, answer, refuse)

  return async function dispatch(request, { ip, listener }, upgrade) {
    const sender = { requestId: newRequestId(), ip, listener }
    const fields: Fields = request.headers.toJSON()
    const target = readTarget(request.url, fields)
    if (!isTarget(target)) {
      if (!isForOperators(request.url, listener))
        return refuse(target, sender, shapeAt(request.url, fields))
      return named(problem(target, sender.requestId), sender)
    }
    const ingress = takesCalls(listener) ? findIngress(request.method, target, upstreams) : null
    if (!ingress) return respond(request, fields, target, sender)
    const received = { request, fields, ingress }
    const origin = ingress.kind === 'upstream' ? allowedOrigin(fields, ingress.upstream) : null
    if (origin === null) return call(received, target, sender, upgrade)
    const response = preflight(request) ?? (await call(received, target, sender, upgrade))
    // Whatever the answer is: a page must be able to read why it was refused.
    if (response) allowOrigin(response, origin)
    return response
  }

  /** The data path; or a route of ours that answers in the place of the upstream. */
  async function call(
    received: Received,
    target: RequestTarget,
    sender: ListenerSender,
    upgrade: Upgrade,
  ): Promise<Response | undefined> {
    const { request, ingress } = received
    const own = ownRoute(request.method, ingress)
    try {
      if (own !== null) return await answer(request, { ...target, path: own }, sender)
      if (isDraining()) return refuse(STOPPING, sender, shapeOf(received))
      return await handle(received, sender, upgrade)
    } catch (error) {
      return refuse(refusalFor(error, sender, log), sender, shapeOf(received))
    }
  }

  function refuse(refusal: Refusal, { requestId }: Sender, shape: Shape): Response {
    const response = refused(refusal, requestId, null, shape)
    countRefusal(refusal.code, response.status)
    return response
  }
}

type Refuse = (refusal: Refusal, sender: Sender, shape: Shape) => Response

/** What no call is: a route of ours, or a path where nothing is. */
function createRespond(
  { upstreams, hasAdminListener, log }: DispatchOptions,
  answer: ReturnType<typeof createAnswer>,
  refuse: Refuse,
) {
  return async (
    request: Request,
    fields: Fields,
    target: RequestTarget,
    sender: ListenerSender,
  ): Promise<Response> => {
    const { path } = target
    const lost = isOurs(path, sender.listener) ? null : lostCall(path, fields, upstreams)
    if (lost)
      return answer(request, target, sender, () => refuse(lost, sender, shapeAt(path, fields)))
    const served = isServed(path, sender.listener, hasAdminListener)
    try {
      return await answer(request, served ? target : { ...target, path: NOWHERE }, sender)
    } catch (error) {
      return problem(refusalFor(error, sender, log), sender.requestId)
    }
  }
}

function isOurs(path: string, listener: ListenerKind): boolean {
  return isForOperators(path, listener) || isForHolders(path) || /^\/proxy\/?$/.test(path)
}

/** Answers by the API, marks the answer and logs it. */
function createAnswer({ api, routes, log }: Pick<DispatchOptions, 'api' | 'routes' | 'log'>) {
  const logAnswer = logRequest(log, routes)
  return async (
    request: Request,
    target: RequestTarget,
    sender: Sender,
    by = api,
  ): Promise<Response> => {
    const startedMs = performance.now()
    const own = requestAt(target, request)
    rememberSender(own, sender)
    const response = await by(own)
    named(response, sender)
    const { method } = request
    const latencyMs = Math.round(performance.now() - startedMs)
    logAnswer({ ...sender, method, path: target.path, status: response.status, latencyMs })
    return response
  }
}

function refusalFor(error: unknown, { requestId }: Sender, log: Log): Refusal {
  const refusal = refusalOf(error)
  // A store that fails says so itself, once and not with each call.
  if (refusal.code !== 'storage_unavailable')
    log.error({ err: error, request_id: requestId }, 'request failed')
  return refusal
}

function named(response: Response, { requestId }: Sender): Response {
  response.headers.set('x-request-id', requestId)
  setSecurityHeaders(response.headers)
  return response
}

/** By what it looks like, since it cannot be read: only the form of the refusal hangs on it. */
function isForOperators(url: string, listener: ListenerKind): boolean {
  return (
    listener !== 'main' ||
    /^(?:https?:\/\/[^/]*)?\/(?:admin|metrics|swagger|healthz|readyz)\b/.test(url)
  )
}

/** A path that no route has, for what is not served at a listener. */
const NOWHERE = '/-'

const STOPPING: Refusal = {
  code: 'shutting_down',
  message: 'This server is stopping. Try again in a moment.',
  retryAfterS: 1,
}
