/**
 * Finds what looks as if an event reported something, in a search of bytes: of a stream of thousands of events a few are worth
 * being read. `"usage":null`, which OpenAI writes into every chunk but one, is none.
 */
import { SIGNS } from '../../dialects/index.ts'
import { CR, LF } from './event-ends.ts'

/** An error may be a member, the value of one (`"type":"error"`), or the name of an event. */
const ERROR = 'error'

/** Names of which each name contains one, as `usageMetadata` contains `usage`: the fewer are searched for, the better. */
const PATTERNS = [...new Set<string>([...SIGNS, ERROR])]
  .filter((name, _, all) => !all.some((other) => other !== name && name.includes(other)))
  .map((name) => Buffer.from(name))
const ERROR_AT = PATTERNS.findIndex((pattern) => pattern.toString() === ERROR)

const { indexOf } = Buffer.prototype

const QUOTE = 0x22
const COLON = 0x3a
const SPACE = 0x20
const TAB = 0x09
const LETTER_N = 0x6e
const LETTER_T = 0x74
/** Longer than any name that begins with a sign. */
const NAME_BYTES_MAX = 64

export class SignSearch {
  #bytes: Uint8Array = new Uint8Array(0)
  /** Where each pattern stands next; -1 if nowhere. */
  readonly #found = new Int32Array(PATTERNS.length)

  /** To be asked for one place after the other then. */
  begin(bytes: Uint8Array, from: number): void {
    this.#bytes = bytes
    for (let which = 0; which < PATTERNS.length; which++) this.#search(which, from)
  }

  /** Where the next sign stands at or after a place; -1 if nowhere. */
  next(from: number): number {
    let next = -1
    for (let which = 0; which < PATTERNS.length; which++) {
      const at = this.#found[which] as number
      if (at !== -1 && at < from) this.#search(which, from)
      const found = this.#found[which] as number
      if (found !== -1 && (next === -1 || found < next)) next = found
    }
    return next
  }

  #search(which: number, from: number): void {
    const pattern = PATTERNS[which] as Buffer
    const bytes = this.#bytes
    let at = indexOf.call(bytes, pattern, from)
    while (at !== -1 && !isSign(bytes, at, at + pattern.length, which === ERROR_AT)) {
      at = indexOf.call(bytes, pattern, at + pattern.length)
    }
    this.#found[which] = at
  }
}

/** Whether a name stands there, with a value that is not null, and not a word of a text. */
function isSign(bytes: Uint8Array, start: number, end: number, isError: boolean): boolean {
  let before = start - 1
  const first = Math.max(0, start - NAME_BYTES_MAX)
  while (before >= first && isOfName(bytes[before])) before--
  let behind = end
  const last = Math.min(bytes.length, end + NAME_BYTES_MAX)
  while (behind < last && isOfName(bytes[behind])) behind++
  if (bytes[before] === QUOTE && bytes[behind] === QUOTE) {
    const colon = afterSpace(bytes, behind + 1)
    // A line that ends here may go on in the next.
    if (bytes[colon] === COLON) return bytes[afterSpace(bytes, colon + 1)] !== LETTER_N
    return isError || bytes[colon] === LF || bytes[colon] === CR
  }
  return isError && isEventName(bytes, start)
}

/** Whether `event:` stands before. */
function isEventName(bytes: Uint8Array, start: number): boolean {
  let at = start - 1
  while (bytes[at] === SPACE) at--
  return bytes[at] === COLON && bytes[at - 1] === LETTER_T
}

/** Of names in use: letters, digits, `_` and `-`. */
function isOfName(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const letter = byte | 0x20
  return (letter >= 0x61 && letter <= 0x7a) || byte === 0x5f || byte === 0x2d || isDigit(byte)
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function afterSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === SPACE || bytes[at] === TAB) at++
  return at
}
