/**
 * Describes refusals in the API document. Each route names its codes with `refuses`; status, shape
 * and examples follow from them.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts'

/**
 * The reader of a refusal decides its shape: the operator gets a Problem, the key holder a Refusal.
 */
export type Reader = 'operator' | 'holder'

/** Marks the codes in the `detail` of a route; the document takes them out. */
export const REFUSES = 'x-refuses'

/**
 * The codes that a route may refuse with, for its `detail`. The document adds those that all routes
 * of its kind share.
 */
export function refuses(...codes: ErrorCode[]): object {
  return { [REFUSES]: codes }
}

/** Every route of the admin API may answer with these. */
export const ADMIN_CODES: readonly ErrorCode[] = [
  'missing_admin_token',
  'invalid_admin_token',
  'too_many_attempts',
  'validation_failed',
  'storage_unavailable',
  'internal',
]
/** Every request may be answered with these, if its Host or its URL is unusable. */
export const TARGET_CODES: readonly ErrorCode[] = ['malformed_request', 'uri_too_long']

/** Every route on which a holder asks about their own key may answer with these. */
export const HOLDER_CODES: readonly ErrorCode[] = [
  'missing_api_key',
  'ambiguous_api_key',
  'invalid_api_key',
  'api_key_disabled',
  'api_key_expired',
  'rate_limit_exceeded',
  'storage_unavailable',
  'internal',
]
/**
 * Every admin route whose method may have a body may answer with these, too: it reads a body even
 * if it needs none.
 */
export const BODY_CODES: readonly ErrorCode[] = [
  'invalid_json',
  'request_timeout',
  'request_too_large',
  'unsupported_media_type',
]

/** Responses by status. */
export function errorResponses(codes: readonly ErrorCode[], reader: Reader) {
  const byStatus = Object.groupBy(new Set(codes), (code) => String(ERRORS[code].status))
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, group = []]) => [status, errorResponse(group, reader)]),
  )
}

function errorResponse(codes: readonly ErrorCode[], reader: Reader) {
  const holder = reader === 'holder'
  const examples = codes.map((code) => [
    code,
    { summary: ERRORS[code].title, value: holder ? refusal(code) : problem(code) },
  ])
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' '),
    headers: {
      ...(codes.some(mayWait) && { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } }),
      ...(holder && { 'X-Should-Retry': { $ref: '#/components/headers/ShouldRetry' } }),
    },
    content: {
      [holder ? 'application/json' : 'application/problem+json']: {
        schema: { $ref: `#/components/schemas/${holder ? 'Refusal' : 'Problem'}` },
        examples: Object.fromEntries(examples),
      },
    },
  }
}

function mayWait(code: ErrorCode): boolean {
  const { status } = ERRORS[code]
  return status === 429 || status === 503
}

const REQUEST_ID = 'req_959b8460c5b30d6c30000005'

function refusal(code: ErrorCode) {
  const { status, title, type } = ERRORS[code]
  return {
    error: {
      message: `${title}.`,
      type,
      code,
      param: null,
      ...(status === 429 && { limit: 1000, remaining: 0 }),
      ...(code === 'invalid_request' && {
        errors: [{ path: 'endpoint', message: 'must be an http or https URL' }],
      }),
      request_id: REQUEST_ID,
    },
  }
}

function problem(code: ErrorCode) {
  const { status, title } = ERRORS[code]
  return {
    type: `urn:quota-proxy:error:${code}`,
    title,
    status,
    detail: `${title}.`,
    code,
    request_id: REQUEST_ID,
    ...(code === 'validation_failed' && {
      errors: [{ path: 'limit', message: 'must be a whole number from 1 to 100' }],
    }),
  }
}

const text = { type: 'string' }
const requestId = { ...text, description: 'The same as in `X-Request-Id` and in the log.' }
const errors = {
  type: 'array',
  description: 'What is wrong with the input, and where. The input itself is never shown.',
  items: {
    type: 'object',
    required: ['path', 'message'],
    properties: { path: text, message: text },
  },
}

export const ERROR_SCHEMAS = {
  Problem: {
    type: 'object',
    description: 'RFC 9457. Switch on `code`.',
    required: ['type', 'title', 'status', 'detail', 'code', 'request_id'],
    properties: {
      type: text,
      title: text,
      status: { type: 'integer' },
      detail: { ...text, description: 'What happened and what to do, for people.' },
      code: { ...text, description: 'Stable; see the examples of each operation.' },
      request_id: requestId,
      errors,
    },
  },
  Refusal: {
    type: 'object',
    description:
      'The body that OpenAI-compatible clients parse. Switch on `error.code`. At the paths of other APIs it has the form of theirs: see docs/errors.md.',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['message', 'type', 'code', 'param', 'request_id'],
        properties: {
          message: { ...text, description: 'What happened and what to do, for people.' },
          type: text,
          code: { ...text, description: 'Stable; see the examples of each operation.' },
          param: { type: 'null' },
          limit: { type: 'integer', description: 'The amount of the limit that refused.' },
          remaining: { type: 'integer' },
          resets_at: { ...text, format: 'date-time', description: 'When waiting helps.' },
          request_id: requestId,
          errors,
        },
      },
    },
  },
}

export const ERROR_HEADERS = {
  RequestId: {
    description: 'Names this request in answers and in the log.',
    schema: text,
    example: REQUEST_ID,
  },
  RetryAfter: {
    description: 'Seconds to wait, where waiting helps.',
    schema: { type: 'integer' },
    example: 5,
  },
  ShouldRetry: {
    description:
      'Whether to try again at once or after `Retry-After`; the SDKs of OpenAI and Anthropic obey it.',
    schema: { ...text, enum: ['true', 'false'] },
    example: 'false',
  },
}
