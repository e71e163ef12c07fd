/**
 * Turns whatever a route of the API throws into an answer: for the operator a problem, for a key
 * holder the shape that clients of the data path parse. The answer never shows the input, a stack
 * or a cause.
 */
import { Elysia, ParseError, ValidationError } from 'elysia'
import { StoreFailure } from '../domain/store.ts'
import { AppError, type FieldError, type Refusal, validationFailed } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { plainName } from '../lib/text/plain-name.ts'
import { isForHolders } from './holder.ts'
import { problem } from './problem.ts'
import { senderOf } from './request/sender.ts'

export type Route = { readonly method: string; readonly path: string }

type Answer = (refusal: Refusal, requestId: string) => Response

/**
 * `routes` is called when a request matches no route, since not all of them are known when the
 * handler is made. `refuse` is how the data path refuses.
 */
export function errorHandler(log: Log, routes: () => readonly Route[], refuse: Answer) {
  return new Elysia({ name: 'errors' }).onError(
    { as: 'global' },
    ({ error, code, request, path }) => {
      const { requestId } = senderOf(request)
      const answer = isForHolders(path) ? inWordsForHolders(refuse) : problem
      const allowed = code === 'NOT_FOUND' ? methodsAt(path, routes()) : []
      if (allowed.length > 0) return wrongMethod(allowed, requestId, answer)
      const refusal = refusalOf(error, code)
      if (refusal.code === 'internal')
        log.error({ err: error, request_id: requestId }, 'request failed')
      return answer(refusal, requestId)
    },
  )
}

/** The refusal that a thrown value stands for; anything unforeseen is `internal`. */
export function refusalOf(thrown: unknown, code?: string | number): Refusal {
  // Elysia wraps whatever is thrown while it reads a body, even the refusal of a wrong token.
  const error = thrown instanceof ParseError ? thrown.cause : thrown
  if (error instanceof AppError) return error.refusal
  if (error instanceof ValidationError) return validationFailed(fieldErrors(error)).refusal
  if (code === 'NOT_FOUND') {
    return {
      code: 'not_found',
      message: 'There is nothing at this path. See /swagger for what there is.',
    }
  }
  if (error instanceof StoreFailure) {
    return {
      code: 'storage_unavailable',
      message: 'The database cannot be used right now. Try again.',
      retryAfterS: 5,
    }
  }
  return {
    code: 'internal',
    message: 'Something went wrong. The log has the details under this request id.',
  }
}

/** The data path has its own code for an invalid request. */
function inWordsForHolders(refuse: Answer): Answer {
  return (refusal, requestId) =>
    refuse(
      refusal.code === 'validation_failed' ? { ...refusal, code: 'invalid_request' } : refusal,
      requestId,
    )
}

/** RFC 9110 section 15.5.6: a 405 says which methods there are. */
function wrongMethod(allowed: readonly string[], requestId: string, answer: Answer): Response {
  const allow = allowed.join(', ')
  const response = answer(
    { code: 'method_not_allowed', message: `Use ${allow} at this path.` },
    requestId,
  )
  response.headers.set('allow', allow)
  return response
}

function methodsAt(path: string, routes: readonly Route[]): string[] {
  const parts = path.split('/')
  const methods = routes
    .filter((route) => {
      const wanted = route.path.split('/')
      return (
        wanted.length === parts.length &&
        wanted.every((part, i) => (part.startsWith(':') ? parts[i] !== '' : part === parts[i]))
      )
    })
    // A route for GET answers HEAD too.
    .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  return [...new Set(methods)].sort()
}

/** Nobody reads more; every byte of a body of a megabyte could be wrong. */
const FIELD_ERRORS_MAX = 20

/**
 * Takes every sentence from our own schemas: TypeBox's values and Elysia's `found` are the caller's
 * input.
 */
function fieldErrors(error: ValidationError): FieldError[] {
  const seen = new Map<string, FieldError>()
  const thing = error.type === 'query' ? 'query parameter' : 'field'
  for (const problem of problemsOf(error)) {
    if (seen.size === FIELD_ERRORS_MAX) break
    const unknown = problem.message === 'Unexpected property'
    const path = unknown ? parentOf(problem.path) : problem.path
    const own = schemaText(problem.schema)
    const message = unknown ? unknownAt(problem.path, thing) : (own ?? lower(problem.message))
    const place = path.split('/').filter(Boolean).join('.')
    if (!seen.has(place)) seen.set(place, { path: place, message })
  }
  return [...seen.values()]
}

/**
 * The problems that TypeBox found. Elysia's own list of them (`error.all`) writes each wrong value
 * into a sentence, which throws if the value cannot be written, such as `{"toString":null}` (elysia
 * 1.4.30).
 */
function problemsOf({
  validator,
  value,
}: ValidationError): Iterable<NonNullable<ValidationError['valueError']>> {
  return 'Errors' in validator ? validator.Errors(value) : []
}

/** Our schemas have their sentence in `error`. */
function schemaText(schema: unknown): string | null {
  if (typeof schema !== 'object' || schema === null || !('error' in schema)) return null
  return typeof schema.error === 'string' ? schema.error : null
}

/** Names it if that is safe, so that nobody has to search for a typo. */
function unknownAt(path: string, thing: string): string {
  const name = plainName(path.slice(path.lastIndexOf('/') + 1))
  return `has an unknown ${thing}${name === null ? '' : ` ${name}`}`
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
