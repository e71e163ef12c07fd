/**
 * What the body of a call is, as far as it matters: JSON by what it holds and not by what it claims to be, a form, or what
 * nobody here can read. A coded body is decoded beside the bytes, which pass as they came.
 */

import type { Refusal } from '../../../errors.ts'
import { areKnown, codingsOf, decodeBody, decodedMax } from '../../../http/request/decode-body.ts'
import { decode } from '../../../http/request/read-body.ts'
import { type Form, readForm } from '../../../metering/request/form.ts'
import type { Fields } from '../../headers/fields.ts'
import { NO_MEMORY } from '../../in-flight.ts'
import { beginsAsJson, type Upload, type Want } from './upload.ts'

export type Content =
  | { readonly kind: 'json'; readonly text: string; readonly isDeclared: boolean }
  | { readonly kind: 'form'; readonly bytes: Buffer; readonly form: Form }
  | { readonly kind: 'unread' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i
const FORM_TYPE = /^multipart\/form-data\s*;/i
/** What `curl -d` sends, JSON or not. */
const FIELDS_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i

/**
 * How a body is to be taken that matters. `must` if nothing may pass unread; `free` if the path asks for no work, so that what
 * is no JSON may be a file of any length.
 */
export function wantOf(
  headers: Fields,
  { must, free }: { readonly must: boolean; readonly free: boolean },
): Want {
  const type = headers['content-type'] ?? ''
  const isJson = JSON_TYPE.test(type)
  if (free && !must && !isJson) return 'stream'
  const codings = codingsOf(headers['content-encoding'])
  if (codings.length > 0) return areKnown(codings) && (must || isJson) ? 'whole' : 'stream'
  if (isJson) return 'whole'
  if (FORM_TYPE.test(type)) return must ? 'whole' : 'stream'
  return 'json'
}

export type Memory = {
  readonly memoryMax: number
  takeMemory(bytes: number): boolean
  giveBack(bytes: number): void
}

/** What was not wanted whole is read if it is short, unless it is coded. */
export async function readContent(
  body: NonNullable<Upload['body']>,
  want: Want,
  headers: Fields,
  memory: Memory,
): Promise<Content> {
  if (typeof body === 'string') return contentOf(Buffer.from(body), headers)
  if (!(body instanceof Uint8Array)) return UNREAD
  const codings = codingsOf(headers['content-encoding'])
  if (codings.length === 0) return contentOf(body, headers)
  if (want === 'stream' || !areKnown(codings)) return UNREAD

  const most = decodedMax(body.byteLength, memory.memoryMax)
  if (!memory.takeMemory(most)) return refuse(NO_MEMORY)
  const decoded = await decodeBody(body, codings, most)
  memory.giveBack(most - (decoded.ok ? decoded.bytes.byteLength : 0))
  if (decoded.ok)
    return decoded.bytes.byteLength > 0 ? contentOf(decoded.bytes, headers) : refuse(BROKEN)
  return refuse(decoded.problem === 'too_large' ? { ...TOO_LARGE, limit: most } : BROKEN)
}

function contentOf(bytes: Uint8Array, headers: Fields): Content {
  const type = headers['content-type'] ?? ''
  const isDeclared = JSON_TYPE.test(type)
  if (FORM_TYPE.test(type)) return formOf(bytes, type)
  if (!isDeclared && !beginsAsJson(bytes)) return FIELDS_TYPE.test(type) ? fieldsOf(bytes) : UNREAD
  const text = decode(bytes)
  if (text !== null) return { kind: 'json', text, isDeclared }
  return isDeclared ? refuse(NOT_UTF8) : UNREAD
}

function formOf(bytes: Uint8Array, type: string): Content {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const form = readForm(buffer, type)
  return form ? { kind: 'form', bytes: buffer, form } : UNREAD
}

/** No API of models takes such a form: whoever reads one finds the model where it stands in others. */
function fieldsOf(bytes: Uint8Array): Content {
  const text = decode(bytes)
  if (text === null || text.length > FIELDS_CHARS_MAX) return UNREAD
  const models = new URLSearchParams(text).getAll('model')
  const [model = null] = models
  const form = {
    model,
    place: null,
    answers: 1,
    input: Math.ceil(text.length / 4),
    ambiguous: models.length > 1,
  }
  return { kind: 'form', bytes: Buffer.alloc(0), form }
}

const FIELDS_CHARS_MAX = 64 * 1024

const UNREAD: Content = { kind: 'unread' }

function refuse(refusal: Refusal): Content {
  return { kind: 'refused', refusal }
}

const NOT_UTF8: Refusal = {
  code: 'invalid_request',
  message: 'The body says that it is JSON and is not valid UTF-8.',
}

const BROKEN: Refusal = {
  code: 'invalid_request',
  message:
    'The body is not what its Content-Encoding says. Send it whole, or without Content-Encoding.',
}

const TOO_LARGE: Refusal = {
  code: 'request_too_large',
  message:
    'The body becomes too large when it is decoded. Send it without Content-Encoding, or send less.',
}
