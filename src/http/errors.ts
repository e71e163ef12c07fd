/** Turns whatever a route of the admin API throws into a problem. Never shows the input, a stack or a cause. */
import { Elysia, ValidationError } from 'elysia'
import { AppError, type FieldError, type Refusal } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { problem, validationFailed } from './problem.ts'
import { requestIdOf } from './request-id.ts'

export function errorHandler(log: Log) {
  return new Elysia({ name: 'errors' }).onError({ as: 'global' }, ({ error, code, request }) => {
    const requestId = requestIdOf(request)
    const refusal = refusalOf(error, code)
    if (refusal.code === 'internal')
      log.error({ err: error, request_id: requestId }, 'request failed')
    return problem(refusal, requestId)
  })
}

/** The refusal that a thrown value stands for; anything unforeseen is `internal`. */
export function refusalOf(error: unknown, code?: string | number): Refusal {
  if (error instanceof AppError) return error.refusal
  if (error instanceof ValidationError) return validationFailed(fieldErrors(error)).refusal
  if (code === 'NOT_FOUND') {
    return {
      code: 'not_found',
      message: 'There is nothing at this path. See /swagger for what there is.',
    }
  }
  if (code === 'PARSE') return { code: 'invalid_json', message: 'The body is not valid JSON.' }
  if (isStoreFailure(error)) {
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

export function isStoreFailure(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_')
}

/** Says where and what, from our own schemas alone: TypeBox's values, and Elysia's `found`, are the caller's input. */
function fieldErrors(error: ValidationError): FieldError[] {
  const seen = new Map<string, FieldError>()
  for (const problem of error.all) {
    if (!('path' in problem)) continue
    const unknown = problem.message === 'Unexpected property'
    const path = unknown ? parentOf(problem.path) : problem.path
    const own = schemaText(problem.schema)
    const message = unknown ? 'has an unknown field' : (own ?? lower(problem.message))
    const place = path.split('/').filter(Boolean).join('.')
    if (!seen.has(place)) seen.set(place, { path: place, message })
  }
  return [...seen.values()].slice(0, 20)
}

/** Our schemas carry their sentence as `error`. */
function schemaText(schema: unknown): string | null {
  if (typeof schema !== 'object' || schema === null || !('error' in schema)) return null
  return typeof schema.error === 'string' ? schema.error : null
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
