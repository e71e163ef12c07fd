/** Refusals of the data path, in the shape that OpenAI-compatible clients parse. Pure. */
import { ERRORS, type Refusal } from '../../errors.ts'
import type { QuotaNote } from '../headers/quota.ts'
import { refusalHeaders } from '../headers/response.ts'

export function refused(
  refusal: Refusal,
  requestId: string,
  quota: QuotaNote | null = null,
): Response {
  const { status, type } = ERRORS[refusal.code]
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
  return Response.json(
    { error },
    {
      status,
      headers: refusalHeaders(refusal, requestId, quota),
    },
  )
}
