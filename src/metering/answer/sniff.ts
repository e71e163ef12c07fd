/** Tells by the first bytes of an answer how it is written, whatever its headers say. Pure. */
import { mayBeginFrame, PRELUDE_BYTES, preludeOf } from './frames/prelude.ts'

/** `frames` are those of AWS's event streams, `text` is what has no form of its own, and `other` what is no text. */
export type Form = 'events' | 'frames' | 'json' | 'text' | 'other'

/** How long the byte order mark is that neither JSON nor the name of a field begins with; 0 if there is none. */
export function markLength(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
}

/** Where the content begins: behind a byte order mark and white space. */
function contentStart(bytes: Uint8Array): number {
  let at = markLength(bytes)
  while (isSpace(bytes[at])) at++
  return at
}

/** No answer begins with more white space, and nobody waits for its end. */
const FIRST_BYTES_MAX = 4096

/** Null if more bytes must tell. `isEventStream` is what the header says. */
export function formOf(bytes: Uint8Array, isEventStream: boolean): Form | null {
  return toldBy(bytes, isEventStream) ?? (bytes.length > FIRST_BYTES_MAX ? 'other' : null)
}

function toldBy(bytes: Uint8Array, isEventStream: boolean): Form | null {
  if (mayBeginFrame(bytes[0])) {
    if (bytes.length < PRELUDE_BYTES) return null
    if (preludeOf(bytes) !== null) return 'frames'
  }
  const start = contentStart(bytes)
  const first = bytes[start]
  if (first === undefined) return null
  // Half of a mark.
  if (first === 0xef && bytes.length < 3) return null
  if (first === 0x7b || first === 0x5b) return 'json'
  if (isEventStream) return 'events'
  const head = Buffer.from(bytes.subarray(start, start + HEAD_BYTES)).toString('latin1')
  if (FIELD.test(head)) return 'events'
  if (head.length < HEAD_BYTES && FIELD_BEGUN.test(head)) return null
  return BINARY.test(head) ? 'other' : 'text'
}

/** As long as `event` and the end of the field's name. */
const HEAD_BYTES = 6
/** The names of all fields; a comment has none. */
const FIELD = /^(?:(?:data|event|id|retry)(?=[:\r\n])|:)/
const FIELD_BEGUN = /^(?:d|da|dat|data|e|ev|eve|even|event|i|id|r|re|ret|retr|retry)$/
const BINARY = /[\0-\x08\x0e-\x1a\x1c-\x1f]/

/** Of JSON, of lines, and the record separator of RFC 7464. */
function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09 || byte === 0x1e
}
