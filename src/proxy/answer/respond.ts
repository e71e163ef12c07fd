/** Refusals of the data path, in the shape that OpenAI-compatible clients parse. Pure. */
import { ERRORS, type Refusal } from '../../errors.ts'
import type { Fields } from '../headers/fields.ts'
import { type QuotaNote, setQuotaHeaders } from '../headers/quota.ts'

export function refused(refusal: Refusal, requestId: string, quota?: QuotaNote): Response {
  const { status, type, retry } = ERRORS[refusal.code]
  const fields: Fields = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // The OpenAI SDKs obey this before anything else (openai-node, src/client.ts, shouldRetry).
    'x-should-retry': String(retry),
    'x-request-id': requestId,
  }
  // RFC 9110 section 11.6.1: a 401 names a way to authenticate.
  if (status === 401) fields['www-authenticate'] = 'Bearer realm="quota-proxy"'
  if (refusal.retryAfterS !== undefined) fields['retry-after'] = String(refusal.retryAfterS)
  if (quota) setQuotaHeaders(fields, quota)
  const error = {
    message: refusal.message,
    type,
    code: refusal.code,
    param: null,
    ...(refusal.limit !== undefined && { limit: refusal.limit }),
    ...(refusal.remaining !== undefined && { remaining: refusal.remaining }),
    ...(refusal.resetsAt !== undefined && { resets_at: refusal.resetsAt }),
    ...(refusal.errors && { errors: refusal.errors }),
    request_id: requestId,
  }
  return Response.json({ error }, { status, headers: fields })
}
