/**
 * The body of a refusal in the words of each API, as its own server would write it. Every one of them holds our code, beside
 * the members that the API's clients look for. Pure.
 */
import { ERRORS, type Refusal } from '../../../errors.ts'
import type { Shape } from './shape.ts'

type Write = (refusal: Refusal, requestId: string) => object

/** platform.openai.com/docs/guides/error-codes */
const openai: Write = (refusal, requestId) => {
  const { code, message } = refusal
  const { type } = ERRORS[code]
  return {
    error: { message, type, code, param: null, ...detailsOf(refusal), request_id: requestId },
  }
}

export const REFUSAL_BODIES: Readonly<Record<Shape, Write>> = {
  openai,
  // docs.claude.com/en/api/errors
  anthropic: (refusal, requestId) => {
    const { code, message } = refusal
    const type = anthropicType(ERRORS[code].status)
    return {
      type: 'error',
      error: { type, message, code, ...detailsOf(refusal) },
      request_id: requestId,
    }
  },
  // cloud.google.com/apis/design/errors
  gemini: (refusal, requestId) => {
    const { code, message, retryAfterS } = refusal
    const { status } = ERRORS[code]
    const told = { code, ...detailsOf(refusal), request_id: requestId }
    const details: object[] = [
      {
        '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
        reason: code.toUpperCase(),
        domain: 'quota-proxy',
        // A map of text to text.
        metadata: Object.fromEntries(
          Object.entries(told).map(([name, value]) => [name, textOf(value)]),
        ),
      },
    ]
    if (retryAfterS !== undefined) {
      const retryDelay = `${retryAfterS}s`
      details.push({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay })
    }
    return { error: { code: status, message, status: googleStatus(status), details } }
  },
  // docs.ollama.com/api/errors
  ollama: (refusal, requestId) => {
    const { code, message } = refusal
    return { error: message, code, ...detailsOf(refusal), request_id: requestId }
  },
  // docs.cohere.com/reference/errors; others have the same paths, whose clients look as OpenAI's do.
  cohere: (refusal, requestId) => ({ message: refusal.message, ...openai(refusal, requestId) }),
}

function detailsOf({ limit, remaining, resetsAt, errors }: Refusal): object {
  return {
    ...(limit !== undefined && { limit }),
    ...(remaining !== undefined && { remaining }),
    ...(resetsAt !== undefined && { resets_at: resetsAt }),
    ...(errors && { errors }),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function anthropicType(status: number): string {
  return ANTHROPIC_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
}

const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

function googleStatus(status: number): string {
  return GOOGLE_STATUSES[status] ?? (status < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL')
}

/** The names of google.rpc.Code, by the status that each goes with. */
const GOOGLE_STATUSES: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  426: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}
