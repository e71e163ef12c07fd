/**
 * Parses the bodies of the admin API: JSON, small, flat enough to walk, and free of what has bitten other programs
 * (`__proto__`, NUL, half surrogates).
 */
import { AppError } from '../errors.ts'
import { validationFailed } from './problem.ts'

/** Keys, limits and metadata are small; a list to import has a command of its own. */
const BODY_BYTES_MAX = 256 * 1024
const DEPTH_MAX = 16
const VALUES_MAX = 10_000

/** An absent body is an empty object, so that `curl -X POST` alone works where nothing is required. */
export async function parseJsonBody(request: Request): Promise<unknown> {
  // RFC 9110 section 8.4: a body that is coded is not the JSON that its type says.
  if ((request.headers.get('content-encoding') ?? 'identity') !== 'identity') {
    throw new AppError(
      'unsupported_media_type',
      'Send the body as it is, without a Content-Encoding.',
    )
  }
  const text = await readText(request)
  if (text.trim() === '') return {}
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (type !== 'application/json') {
    throw new AppError(
      'unsupported_media_type',
      'Send the body as JSON, with "Content-Type: application/json".',
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new AppError(
      'invalid_json',
      'The body is not valid JSON. Look for a missing quote, comma or brace.',
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse('must be a JSON object')
  inspect(value, 0, { values: 0 })
  return value
}

async function readText(request: Request): Promise<string> {
  const tooLarge = new AppError(
    'request_too_large',
    `The body is larger than ${BODY_BYTES_MAX} bytes.`,
  )
  if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) throw tooLarge
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of request.body ?? []) {
      bytes += chunk.byteLength
      if (bytes > BODY_BYTES_MAX) break
      chunks.push(chunk)
    }
  } catch {
    throw new AppError('invalid_json', 'The body broke off before its end.')
  }
  if (bytes > BODY_BYTES_MAX) throw tooLarge
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new AppError('invalid_json', 'The body is not valid UTF-8.')
  }
}

function inspect(value: unknown, depth: number, count: { values: number }): void {
  count.values++
  if (count.values > VALUES_MAX) throw refuse(`must not hold more than ${VALUES_MAX} values`)
  if (depth > DEPTH_MAX) throw refuse(`must not be nested deeper than ${DEPTH_MAX} levels`)
  if (typeof value === 'string') inspectText(value)
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__') throw refuse('must not hold a member named __proto__')
    inspectText(name)
    inspect(member, depth + 1, count)
  }
}

function inspectText(text: string): void {
  if (text.includes('\0')) throw refuse('must not hold the character NUL')
  if (!text.isWellFormed()) throw refuse('must not hold half a surrogate pair')
}

function refuse(message: string): AppError {
  return validationFailed([{ path: '', message }])
}
