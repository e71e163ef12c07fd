/** Mounts the data path and documents it. The body is left alone: the data path reads it within its own limits. */
import { Elysia } from 'elysia'
import { senderOf } from '../http/request-name.ts'
import type { Handle } from './handle.ts'
import { operation } from './operation.ts'
import { refused } from './respond.ts'

export function proxyController(handle: Handle) {
  return new Elysia({ name: 'proxy', detail: { tags: ['Proxy'] } })
    .post('/proxy', ({ request }) => handle(request, senderOf(request)), {
      parse: 'none',
      detail: operation,
    })
    .all('/proxy', ({ request }) => wrongMethod(senderOf(request).requestId), {
      parse: 'none',
      detail: { hide: true },
    })
}

/** Here rather than with the other 405s, because key holders are told in the shape that their clients parse. */
function wrongMethod(requestId: string): Response {
  const message = 'Use POST, and put the method of your call into the field "method".'
  const response = refused({ code: 'method_not_allowed', message }, requestId)
  // RFC 9110 section 15.5.6: a 405 says which methods there are.
  response.headers.set('allow', 'POST')
  return response
}
