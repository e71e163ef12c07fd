/** Refusals of the data path, in the shape that clients of the API parse which is spoken. Pure. */
import { ERRORS, type Refusal } from '../../errors.ts'
import type { QuotaNote } from '../headers/quota.ts'
import { refusalHeaders } from '../headers/response.ts'
import { REFUSAL_BODIES } from './refusal/body.ts'
import type { Shape } from './refusal/shape.ts'

export function refused(
  refusal: Refusal,
  requestId: string,
  quota: QuotaNote | null = null,
  shape: Shape = 'openai',
): Response {
  const { status } = ERRORS[refusal.code]
  const headers = refusalHeaders(refusal, requestId, quota)
  // The name by which Anthropic's SDKs look for it.
  if (shape === 'anthropic') headers['request-id'] = requestId
  return Response.json(REFUSAL_BODIES[shape](refusal, requestId), { status, headers })
}
