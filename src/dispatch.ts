/**
 * The first thing that a request meets: it is named, and goes to the data path or to the API. Calls go past the web
 * framework, which would add a tenth to their cost; everything else is answered, marked and logged here.
 */

import { logRequest } from './http/access-log.ts'
import { refusalOf } from './http/errors.ts'
import { problem } from './http/problem.ts'
import { newRequestId, rememberSender, type Sender } from './http/request-name.ts'
import { setSecurityHeaders } from './http/security-headers.ts'
import type { Log } from './lib/log.ts'
import type { Handle } from './proxy/handle.ts'
import { refused } from './proxy/respond.ts'

export type Dispatch = (request: Request, ip: string) => Promise<Response>

export type DispatchOptions = {
  readonly handle: Handle
  readonly api: (request: Request) => Response | Promise<Response>
  /** The routes of `api`, whose words may stand in the log. */
  readonly routes: readonly { readonly path: string }[]
  readonly isDraining: () => boolean
  readonly log: Log
}

/** Never rejects. */
export function createDispatch({
  handle,
  api,
  routes,
  isDraining,
  log,
}: DispatchOptions): Dispatch {
  const logAnswer = logRequest(log, routes)

  return async function dispatch(request, ip) {
    const sender = { requestId: newRequestId(), ip }
    const path = pathOf(request.url)
    const isCall = request.method === 'POST' && (path === '/proxy' || path === '/proxy/')
    try {
      if (!isCall) return await answer(request, path, sender)
      return isDraining() ? stopping(sender) : await handle(request, sender)
    } catch (error) {
      const { requestId } = sender
      const refusal = refusalOf(error)
      // A store that fails says so itself, once and not with each call.
      if (refusal.code !== 'storage_unavailable')
        log.error({ err: error, request_id: requestId }, 'request failed')
      return isCall ? refused(refusal, requestId) : problem(refusal, requestId)
    }
  }

  async function answer(request: Request, path: string, sender: Sender): Promise<Response> {
    const startedMs = performance.now()
    rememberSender(request, sender)
    const response = await api(request)
    response.headers.set('x-request-id', sender.requestId)
    setSecurityHeaders(response.headers)
    const { method } = request
    const latencyMs = Math.round(performance.now() - startedMs)
    logAnswer({ ...sender, method, path, status: response.status, latencyMs })
    return response
  }
}

function stopping({ requestId }: Sender): Response {
  const message = 'This server is stopping. Try again in a moment.'
  return refused({ code: 'shutting_down', message, retryAfterS: 1 }, requestId)
}

/** The path as it was sent; never throws, whatever the Host header says. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('//') + 2)
  const end = url.search(/[?#]/)
  return start < 0 ? '/' : url.slice(start, end < start ? undefined : end)
}
