/**
 * Finds what looks as if an event reported something: of a stream of thousands of events a few are worth being read. One loop
 * over the bytes looks for all names at once. `"usage":null`, which OpenAI writes into every chunk but one, is no sign.
 */
import { IS_SIGN } from '../../../lib/json/walk-plan.ts'
import { WALK } from '../walk-answer.ts'
import { CR, LF } from './event-ends.ts'

const { letters, ends, flags, names } = WALK

/** An error may be a member, the value of one (`"type":"error"`), or the name of an event. */
const ERROR = 'error'
const ERROR_NAME = names.indexOf(ERROR)
const ERROR_BYTES = Buffer.from(ERROR)
const { indexOf } = Buffer.prototype

const QUOTE = 0x22
const COLON = 0x3a
const SPACE = 0x20
const TAB = 0x09
const LETTER_N = 0x6e
const LETTER_T = 0x74

export class SignSearch {
  #bytes: Uint8Array = new Uint8Array(0)
  /** Where the next event stands that is named an error; -1 if nowhere. */
  #error = -1

  /** To be asked for one place after the other then. */
  begin(bytes: Uint8Array, from: number): void {
    this.#bytes = bytes
    this.#error = nextErrorEvent(bytes, from)
  }

  /** Where the next sign stands at or after a place; -1 if nowhere. */
  next(from: number): number {
    const bytes = this.#bytes
    if (this.#error !== -1 && this.#error < from) this.#error = nextErrorEvent(bytes, from)
    const found = nextName(bytes, from, this.#error === -1 ? bytes.length : this.#error)
    return found === -1 ? this.#error : found
  }
}

function nextName(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (bytes[at] !== QUOTE) continue
    let behind = at + 1
    let row = letters[256 | (bytes[behind] as number)] as number
    // Most names end the search with their first letter.
    if (row === 0) continue
    while (row !== 0 && ++behind < bytes.length && bytes[behind] !== QUOTE) {
      row = letters[(row << 8) | (bytes[behind] as number)] as number
    }
    if (row !== 0 && isSign(bytes, behind, ends[row] as number)) return at
    at = behind - 1
  }
  return -1
}

/** Whether the name that ends at the quote is a sign, and has a value that is not null. */
function isSign(bytes: Uint8Array, quote: number, name: number): boolean {
  if (((flags[name] as number) & IS_SIGN) === 0) return false
  const colon = afterSpace(bytes, quote + 1)
  // A line that ends here may go on in the next.
  if (bytes[colon] === COLON) return bytes[afterSpace(bytes, colon + 1)] !== LETTER_N
  return name === ERROR_NAME || bytes[colon] === LF || bytes[colon] === CR
}

function nextErrorEvent(bytes: Uint8Array, from: number): number {
  let at = indexOf.call(bytes, ERROR_BYTES, from)
  while (at !== -1 && !isEventName(bytes, at)) at = indexOf.call(bytes, ERROR_BYTES, at + 1)
  return at
}

/** Whether `event:` stands before. */
function isEventName(bytes: Uint8Array, start: number): boolean {
  let at = start - 1
  while (bytes[at] === SPACE) at--
  return bytes[at] === COLON && bytes[at - 1] === LETTER_T
}

function afterSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === SPACE || bytes[at] === TAB) at++
  return at
}
