/**
 * The envelope of `POST /proxy`: `{"endpoint", "method"?, "headers"?, "query"?, "body"?, "timeout_ms"?}`. Pure. A JSON
 * body is cut out of the envelope's text, not written anew, so that its numbers, its order and its spelling reach the
 * upstream as the client wrote them.
 */
import { WAIT_MS_MAX } from '../../domain/upstream.ts'
import type { FieldError } from '../../errors.ts'
import { HEADER_NAME } from '../../lib/http-syntax.ts'
import { type Found, finder } from '../../lib/json/member.ts'
import { isObject } from '../../lib/json/object.ts'
import { scan } from '../../lib/json/scan.ts'
import { plainName } from '../../lib/text/plain-name.ts'
import { type Fields, noFields } from '../headers/fields.ts'
import { isRequestHeaderAllowed } from '../headers/request.ts'

export type Envelope = {
  readonly endpoint: string
  readonly method: string
  /** By lower-case name. */
  readonly headers: Fields
  readonly query: readonly (readonly [string, string])[]
  readonly body: string | null
  readonly timeoutMs: number | null
}

export type EnvelopeResult =
  | { readonly ok: true; readonly envelope: Envelope }
  | { readonly ok: false; readonly errors: readonly FieldError[] }

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const FIELDS = ['endpoint', 'method', 'headers', 'query', 'body', 'timeout_ms']
const findFields = finder(FIELDS)
/** RFC 9110 section 5.5: visible characters with inner spaces and tabs. */
const HEADER_VALUE = /^[\x21-\x7e\x80-\xff]?(?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/
const HEADERS_MAX = 100
const HEADER_VALUE_CHARS_MAX = 8_192
const QUERY_MAX = 1_000
/** Each parameter in a list of its own, and room for names that stand twice. */
const FIELD_VALUES_MAX = 4 * QUERY_MAX

export function parseEnvelope(text: string): EnvelopeResult {
  const found = findFields(text)
  if (found === undefined) {
    return bad(
      '',
      'is not valid JSON; send {"endpoint": "https://…", "method": "POST", "body": {…}}',
    )
  }
  if (found === null) return bad('', 'must be a JSON object with an "endpoint"')

  const errors: FieldError[] = []
  // Once for each place: a hundred wrong headers need not be named one by one.
  const report = (path: string, message: string) => {
    if (!errors.some((known) => known.path === path)) errors.push({ path, message })
  }
  if (found.others) report('', unknownIn(text))
  const value = readFields(text, found, report)
  const endpoint = value['endpoint']
  if (typeof endpoint !== 'string' || endpoint === '')
    report('endpoint', 'must be an http or https URL')
  const hasBody = value['body'] !== undefined && value['body'] !== null
  const method = readMethod(value['method'], hasBody, report)
  const headers = readHeaders(value['headers'], report)
  const query = readQuery(value['query'], report)
  const timeoutMs = readTimeout(value['timeout_ms'], report)
  if (hasBody && (method === 'GET' || method === 'HEAD'))
    report('body', `cannot be sent with ${method}; use POST`)
  if (
    [endpoint, value['body'], ...query.flat()].some(
      (part) => typeof part === 'string' && !part.isWellFormed(),
    )
  ) {
    report('', 'has text with half a surrogate pair, which no encoding can carry')
  }
  if (errors.length > 0 || typeof endpoint !== 'string') return { ok: false, errors }

  const body = readBody(value['body'], headers)
  return { ok: true, envelope: { endpoint, method, headers, query, body, timeoutMs } }
}

/** The first, if its name may be repeated. */
function unknownIn(text: string): string {
  let name: string | null = null
  scan(text, (_start, _end, _values, nameStart, nameEnd) => {
    const field = text.slice(nameStart, Math.min(nameEnd, nameStart + 64)).replaceAll('"', '')
    if (name === null && !FIELDS.includes(field)) name = plainName(field)
  })
  const which = name === null ? '' : ` ${name}`
  return `has an unknown field${which}; the known ones are ${FIELDS.join(', ')}`
}

type Report = (path: string, message: string) => void

type Written = { readonly json: string }

/** As JSON.parse would give them, except for a body that is no string, which is left as it is written. */
function readFields(text: string, found: Found, report: Report): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [name, { start, end, values }] of found.members) {
    const json = text.slice(start, end)
    const asWritten = name === 'body' && !/^(?:"|null$)/.test(json)
    if (asWritten) fields[name] = { json } satisfies Written
    else if (values <= FIELD_VALUES_MAX) fields[name] = JSON.parse(json)
    else report(name, `must not hold more than ${FIELD_VALUES_MAX} values`)
  }
  return fields
}

function readMethod(value: unknown, hasBody: boolean, report: Report): string {
  if (value === undefined || value === null) return hasBody ? 'POST' : 'GET'
  const method = typeof value === 'string' ? value.toUpperCase() : ''
  if (!METHODS.includes(method)) report('method', `must be one of ${METHODS.join(', ')}`)
  return method
}

function readHeaders(value: unknown, report: Report): Fields {
  const headers = noFields()
  if (value === undefined || value === null) return headers
  if (!isObject(value)) {
    report('headers', 'must be an object of strings')
    return headers
  }
  const entries = Object.entries(value)
  if (entries.length > HEADERS_MAX)
    report('headers', `must not have more than ${HEADERS_MAX} members`)
  for (const [name, text] of entries.slice(0, HEADERS_MAX)) {
    if (!HEADER_NAME.test(name)) report('headers', 'has a name that is not a valid header name')
    else if (
      typeof text !== 'string' ||
      text.length > HEADER_VALUE_CHARS_MAX ||
      !HEADER_VALUE.test(text)
    ) {
      report(
        'headers',
        `has a value that is not a valid header value of at most ${HEADER_VALUE_CHARS_MAX} characters`,
      )
    } else if (isRequestHeaderAllowed(name)) addField(headers, name.toLowerCase(), text.trim())
  }
  return headers
}

/** RFC 9110 section 5.3: fields of one name, which here differ in letter case, mean their values in one list. */
function addField(fields: Fields, name: string, value: string): void {
  const before = fields[name]
  fields[name] = before === undefined ? value : `${before}, ${value}`
}

function readQuery(value: unknown, report: Report): [string, string][] {
  if (value === undefined || value === null) return []
  if (!isObject(value)) {
    report('query', 'must be an object of strings, numbers, booleans or arrays of them')
    return []
  }
  const pairs: [string, string][] = []
  for (const [name, item] of Object.entries(value)) {
    for (const part of Array.isArray(item) ? item : [item]) {
      if (!['string', 'number', 'boolean'].includes(typeof part)) {
        report('query', 'must be an object of strings, numbers, booleans or arrays of them')
        return []
      }
      pairs.push([name, String(part)])
    }
  }
  if (pairs.length > QUERY_MAX) report('query', `must not have more than ${QUERY_MAX} parameters`)
  return pairs
}

function readTimeout(value: unknown, report: Report): number | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= WAIT_MS_MAX)
    return value
  report('timeout_ms', `must be a whole number from 1 to ${WAIT_MS_MAX}`)
  return null
}

/** A string goes as text, anything else as the JSON that the client wrote. */
function readBody(body: unknown, headers: Fields): string | null {
  if (body === undefined || body === null) return null
  const text = typeof body === 'string'
  headers['content-type'] ??= text ? 'text/plain; charset=utf-8' : 'application/json'
  return text ? body : (body as Written).json
}

function bad(path: string, message: string): EnvelopeResult {
  return { ok: false, errors: [{ path, message }] }
}
