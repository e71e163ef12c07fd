/**
 * Parses the bodies of the admin API: small JSON, flat enough to walk, without what has bitten
 * other programs (`__proto__`, NUL, half surrogates, a member twice).
 */
import { AppError, type Refusal, validationFailed } from '../../errors.ts'
import { isObject } from '../../lib/json/object.ts'
import { scan } from '../../lib/json/scan.ts'
import { type BodyProblem, readBody } from './read-body.ts'

/** Keys, limits and metadata are small. A list to import has a command of its own. */
const BODY_BYTES_MAX = 256 * 1024
/** Such a body fits into a few packets; no network takes longer. */
const BODY_MS_MAX = 30_000
const DEPTH_MAX = 16
const VALUES_MAX = 10_000

/**
 * An absent body counts as an empty object, so that `curl -X POST` alone works where nothing is
 * required.
 */
export async function parseJsonBody(request: Request, timeoutMs = BODY_MS_MAX): Promise<unknown> {
  // RFC 9110 section 8.4: an encoded body is not the JSON that its type says.
  if ((request.headers.get('content-encoding') ?? 'identity') !== 'identity') {
    throw new AppError(
      'unsupported_media_type',
      'Send the body as it is, without a Content-Encoding.',
    )
  }
  const body = await readBody(request, request.headers.toJSON(), {
    bytesMax: BODY_BYTES_MAX,
    timeoutMs,
  })
  if (!body.ok) {
    const { code, message } = BODY_REFUSALS[body.problem]
    throw new AppError(code, message)
  }
  const { text } = body
  if (text.trim() === '') return {}
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (type !== 'application/json') {
    throw new AppError(
      'unsupported_media_type',
      'Send the body as JSON, with "Content-Type: application/json".',
    )
  }
  // Counts before JSON.parse builds the values, which takes long for many of them.
  const values = scan(text)
  if (values > VALUES_MAX) throw refuse(`must not hold more than ${VALUES_MAX} values`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new AppError(
      'invalid_json',
      'The body is not valid JSON. Look for a missing quote, comma or brace.',
    )
  }
  if (!isObject(value)) throw refuse('must be a JSON object')
  // JSON.parse builds only the last of several members with one name, and readers do not agree on
  // which of them counts (RFC 8259 section 4).
  if (inspect(value, 0) < values) throw refuse('must not hold a member twice')
  return value
}

const BODY_REFUSALS: Record<BodyProblem, Refusal> = {
  too_large: {
    code: 'request_too_large',
    message: `The body is larger than ${BODY_BYTES_MAX} bytes.`,
  },
  too_slow: { code: 'request_timeout', message: 'The body did not arrive in time.' },
  not_text: { code: 'invalid_json', message: 'The body is not valid UTF-8.' },
  aborted: { code: 'invalid_json', message: 'The body broke off before its end.' },
  no_memory: { code: 'overloaded', message: 'The server holds as many bodies as it takes.' },
}

/** Returns how many values there are. */
function inspect(value: unknown, depth: number): number {
  if (depth > DEPTH_MAX) throw refuse(`must not be nested deeper than ${DEPTH_MAX} levels`)
  if (typeof value === 'string') inspectText(value)
  if (typeof value !== 'object' || value === null) return 1
  let values = 1
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__') throw refuse('must not hold a member named __proto__')
    inspectText(name)
    values += inspect(member, depth + 1)
  }
  return values
}

function inspectText(text: string): void {
  if (text.includes('\0')) throw refuse('must not hold the character NUL')
  if (!text.isWellFormed()) throw refuse('must not hold half a surrogate pair')
}

function refuse(message: string): AppError {
  return validationFailed([{ path: '', message }])
}
