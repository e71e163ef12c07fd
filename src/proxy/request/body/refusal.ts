/** What a client is told whose body could not be read. Pure. */
import type { Refusal } from '../../../errors.ts'
import type { BodyProblem } from '../../../http/request/read-body.ts'
import { NO_MEMORY } from '../../in-flight.ts'

export function bodyRefusal(problem: BodyProblem, bytesMax: number): Refusal {
  switch (problem) {
    case 'too_large':
      return {
        code: 'request_too_large',
        message: `The request body is larger than ${bytesMax} bytes.`,
        limit: bytesMax,
      }
    case 'too_slow':
      return { code: 'request_timeout', message: 'The request body did not arrive in time.' }
    case 'not_text':
      return { code: 'invalid_request', message: 'The envelope is not valid UTF-8.' }
    case 'aborted':
      return { code: 'invalid_request', message: 'The request body ended too early.' }
    case 'no_memory':
      return NO_MEMORY
  }
}

export const AMBIGUOUS: Refusal = {
  code: 'invalid_request',
  message:
    'The body must be a JSON object that names no member of the request twice, with at most 1,000 values in those that matter.',
}

export const UNKNOWN_CODING: Refusal = {
  code: 'unsupported_media_type',
  message:
    'The body has a Content-Encoding that is not read here. Send it with gzip, zstd, br or deflate, or without Content-Encoding.',
}

export const UNREAD: Refusal = {
  code: 'unsupported_media_type',
  message:
    'This key has a limit in tokens or money, so the body must say what it asks for. Send JSON as application/json, or a form with files as multipart/form-data.',
}

export const UNREAD_MODEL: Refusal = {
  code: 'model_not_allowed',
  message:
    'This key may only use certain models, so the body must say which. Name one in `model`, in JSON as application/json or once in a form as multipart/form-data.',
}
