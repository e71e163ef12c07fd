/**
 * Writes refusals of the admin API as RFC 9457 problems. Nothing else there turns an error into an
 * answer.
 */
import { ERRORS, type Refusal } from '../errors.ts'

const PROBLEM_TYPE = 'application/problem+json'

export function problem(refusal: Refusal, requestId: string): Response {
  const { status, title } = ERRORS[refusal.code]
  const headers = new Headers({ 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' })
  // RFC 9110 section 11.6.1: a 401 names a way to authenticate.
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="quota-proxy admin"')
  if (refusal.retryAfterS !== undefined) headers.set('retry-after', String(refusal.retryAfterS))
  const body = {
    type: `urn:quota-proxy:error:${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    code: refusal.code,
    request_id: requestId,
    ...(refusal.errors && { errors: refusal.errors }),
  }
  return Response.json(body, { status, headers })
}
