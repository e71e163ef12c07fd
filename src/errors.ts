/**
 * Every way quota-proxy says no. The list is closed: no answer has a code that is not here.
 *
 * Three kinds of trouble, three treatments:
 * - an *outcome* (refused, not found inside the data path) is a typed value, never thrown;
 * - a *refusal* is an `AppError` with a code of this list;
 * - anything else is a *fault*: logged whole, shown to the caller as `internal` with its request
 *   id.
 */

/** OpenAI-shaped clients switch on `error.type`. */
export type ErrorType =
  | 'authentication_error'
  | 'permission_error'
  | 'invalid_request_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'upstream_error'
  | 'api_error'

type Entry = {
  readonly status: number
  readonly type: ErrorType
  /** Whether sending the same request again, unchanged, can succeed. Becomes `x-should-retry`. */
  readonly retry: boolean
  /** One line, the same for every occurrence; the RFC 9457 `title`. */
  readonly title: string
}

export const ERRORS = {
  // Key holders: who are you?
  missing_api_key: entry(401, 'authentication_error', false, 'An API key is required'),
  ambiguous_api_key: entry(400, 'authentication_error', false, 'Two different API keys were sent'),
  invalid_api_key: entry(401, 'authentication_error', false, 'The API key is not valid'),
  api_key_disabled: entry(401, 'authentication_error', false, 'The API key is disabled'),
  api_key_expired: entry(401, 'authentication_error', false, 'The API key has expired'),

  // Key holders: may you do this?
  target_not_allowed: entry(403, 'permission_error', false, 'This target is not allowed'),
  method_not_allowed_for_key: entry(
    403,
    'permission_error',
    false,
    'The key may not use this method',
  ),
  path_not_allowed: entry(403, 'permission_error', false, 'This path is not allowed'),
  model_not_allowed: entry(403, 'permission_error', false, 'The key may not use this model'),
  deferred_work_not_allowed: entry(
    403,
    'permission_error',
    false,
    'The key may not ask for deferred work',
  ),
  model_not_priced: entry(403, 'permission_error', false, 'The model has no price'),
  ip_not_allowed: entry(
    403,
    'permission_error',
    false,
    'The key may not be used from this address',
  ),
  request_timeout: entry(408, 'invalid_request_error', true, 'The request body came too slowly'),
  invalid_request: entry(422, 'invalid_request_error', false, 'The request is not valid'),
  request_too_large: entry(413, 'invalid_request_error', false, 'The request body is too large'),
  malformed_request: entry(400, 'invalid_request_error', false, 'The request is not valid HTTP'),
  uri_too_long: entry(414, 'invalid_request_error', false, 'The URL is too long'),
  header_fields_too_large: entry(
    431,
    'invalid_request_error',
    false,
    'The request has too many header fields, or too long ones',
  ),

  websockets_not_allowed: entry(
    426,
    'invalid_request_error',
    false,
    'WebSockets are not open here',
  ),

  // Key holders: is anything left?
  rate_limit_exceeded: entry(429, 'rate_limit_error', true, 'A rate limit is used up'),
  insufficient_quota: entry(429, 'insufficient_quota', false, 'The quota is used up'),
  cost_exceeds_quota: entry(429, 'insufficient_quota', false, 'This call alone exceeds the quota'),
  quota_reserved: entry(429, 'rate_limit_error', true, 'The rest is held by calls in flight'),
  concurrency_limit_exceeded: entry(429, 'rate_limit_error', true, 'Too many calls in flight'),
  overloaded: entry(503, 'api_error', true, 'The server is at its limits'),
  // As nginx does. No client reads it; it is for the log and for metrics.
  client_closed_request: entry(499, 'invalid_request_error', true, 'The client left'),

  // Key holders: the far side.
  upstream_error: entry(502, 'upstream_error', true, 'The upstream could not be reached'),
  upstream_timeout: entry(504, 'upstream_error', true, 'The upstream took too long'),
  upstream_unavailable: entry(503, 'upstream_error', true, 'The upstream is failing'),
  upstream_credential_rejected: entry(
    502,
    'upstream_error',
    false,
    "The upstream refused the operator's credential",
  ),

  // Operators.
  missing_admin_token: entry(401, 'authentication_error', false, 'The admin token is required'),
  invalid_admin_token: entry(401, 'authentication_error', false, 'The admin token is not valid'),
  too_many_attempts: entry(429, 'rate_limit_error', true, 'Too many wrong admin tokens'),
  invalid_json: entry(400, 'invalid_request_error', false, 'The body is not valid JSON'),
  validation_failed: entry(422, 'invalid_request_error', false, 'The request is not valid'),
  unsupported_media_type: entry(
    415,
    'invalid_request_error',
    false,
    'The body cannot be read as it was sent',
  ),
  key_not_found: entry(404, 'invalid_request_error', false, 'There is no such key'),
  key_already_exists: entry(409, 'invalid_request_error', false, 'This key already exists'),
  upstream_not_found: entry(404, 'invalid_request_error', false, 'There is no such upstream'),
  upstream_already_exists: entry(409, 'invalid_request_error', false, 'This upstream exists'),
  mount_taken: entry(409, 'invalid_request_error', false, 'Another upstream has this mount'),
  upstream_read_only: entry(409, 'invalid_request_error', false, 'The environment sets it'),
  call_not_found: entry(404, 'invalid_request_error', false, 'There is no such call'),
  backup_running: entry(409, 'api_error', true, 'A backup is being made already'),
  backup_failed: entry(500, 'api_error', true, 'The backup failed'),

  // Both.
  not_found: entry(404, 'invalid_request_error', false, 'There is nothing at this path'),
  method_not_allowed: entry(405, 'invalid_request_error', false, 'This method is not allowed here'),
  storage_unavailable: entry(503, 'api_error', true, 'The database is unavailable'),
  shutting_down: entry(503, 'api_error', true, 'The server is shutting down'),
  internal: entry(500, 'api_error', true, 'Something went wrong on our side'),
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof ERRORS

/** One thing that is wrong with an input: where, and what to do. Never holds the input itself. */
export type FieldError = { readonly path: string; readonly message: string }

/** What a refusal may carry beside its code. The caller sees all of it. */
export type RefusalDetails = {
  /** The amount of the limit that refused. */
  readonly limit?: number
  readonly remaining?: number
  /** Instant at which waiting helps, ISO 8601 UTC. */
  readonly resetsAt?: string
  /** Whole seconds to wait; becomes `Retry-After`. */
  readonly retryAfterS?: number
  readonly errors?: readonly FieldError[]
}

export type Refusal = RefusalDetails & {
  readonly code: ErrorCode
  /** What happened and what to do, for the caller. Never holds a secret or the caller's input. */
  readonly message: string
}

/** A refusal on its way up the stack. No other exception is shown to callers. */
export class AppError extends Error {
  readonly refusal: Refusal

  constructor(code: ErrorCode, message: string, details: RefusalDetails = {}) {
    super(message)
    this.name = 'AppError'
    this.refusal = { code, message, ...details }
  }
}

/** An input that is not valid, with everything that is wrong with it. */
export function validationFailed(errors: readonly FieldError[]): AppError {
  const [first] = errors
  const message = first
    ? `${first.path || 'The request'} ${first.message}.`
    : 'The request is not valid.'
  return new AppError('validation_failed', message, { errors })
}

/** The database that the settings name cannot be used as it is; the message says what to do. Nothing was changed. */
export class DatabaseUnusable extends AppError {
  constructor(message: string) {
    super('storage_unavailable', message)
    this.name = 'DatabaseUnusable'
  }
}

/** Another process has the database, which only one process at a time may open. */
export class StoreInUse extends AppError {
  constructor(message: string) {
    super('storage_unavailable', message)
    this.name = 'StoreInUse'
  }
}

function entry(status: number, type: ErrorType, retry: boolean, title: string): Entry {
  return { status, type, retry, title }
}
