/**
 * The data path as the framework knows it: documented, and answered where the method is wrong. Calls themselves never come
 * here; src/dispatch.ts hands them to `handle` directly.
 */
import { Elysia } from 'elysia'
import { senderOf } from '../../http/request/sender.ts'
import { refused } from '../answer/respond.ts'
import { envelopeOperation, passedGet, passedPost } from './openapi.ts'

export const proxyController = new Elysia({ name: 'proxy', detail: { tags: ['Proxy'] } })
  .post('/proxy', notHere, { parse: 'none', detail: envelopeOperation })
  .get('/u/:upstream/:path', notHere, passedGet)
  .post('/u/:upstream/:path', notHere, { parse: 'none', ...passedPost })
  .all('/proxy', ({ request }) => wrongMethod(senderOf(request).requestId), {
    parse: 'none',
    detail: { hide: true },
  })

function notHere(): never {
  throw new Error('A call has reached the framework; src/dispatch.ts must not let it.')
}

/** Here rather than with the other 405s, because key holders are told in the shape that their clients parse. */
function wrongMethod(requestId: string): Response {
  const message = 'Use POST, and put the method of your call into the field "method".'
  const response = refused({ code: 'method_not_allowed', message }, requestId)
  // RFC 9110 section 15.5.6: a 405 says which methods there are.
  response.headers.set('allow', 'POST')
  return response
}
