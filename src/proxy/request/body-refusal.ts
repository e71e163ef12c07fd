/** What a client is told whose body could not be read. Pure. */
import type { Refusal } from '../../errors.ts'
import type { BodyProblem } from '../../http/request/read-body.ts'
import { NO_MEMORY } from '../in-flight.ts'

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
