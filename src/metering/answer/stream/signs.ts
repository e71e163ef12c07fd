/**
 * Finds what looks as if an event reported something: of a stream of thousands of events a few are worth being read. One loop
 * over the bytes looks for all names at once, and passes over what an event has in common with those before it. `"usage":null`, which OpenAI writes into every chunk but one, is no sign.
 */
import { planWalk } from '../../../lib/json/walk-plan.ts'
import { SIGNS } from '../../dialects/index.ts'
import { CR, LF } from './event-ends.ts'
import { Likeness } from './likeness.ts'

/** Of signs alone: most other names end the search with their first letter or two. */
const { letters, ends, names } = planWalk({ shape: {}, signs: SIGNS, texts: [], objects: [] })

/** An error may be a member, the value of one (`"type":"error"`), or the name of an event. */
const ERROR = 'error'
const ERROR_NAME = names.indexOf(ERROR)
const ERROR_BYTES = Buffer.from(ERROR)

const QUOTE = 0x22
const COLON = 0x3a
const SPACE = 0x20
const TAB = 0x09
const LETTER_N = 0x6e
const LETTER_T = 0x74

/** Bytes at which there is something to see; of all others nothing begins and nothing ends. */
const MARKS = new Uint8Array(256)
for (const byte of [QUOTE, COLON, LF]) MARKS[byte] = byte

export class SignSearch {
  readonly #likeness = new Likeness()

  get retained(): number {
    return this.#likeness.retained
  }

  /** A place of the next event with a sign; -1 if there is none. `from` is the beginning of an event. */
  next(bytes: Uint8Array, from: number): number {
    const likeness = this.#likeness
    let start = from
    let alike = likeness.lengthAt(bytes, start)
    for (let at = start + alike; at < bytes.length; at++) {
      const mark = MARKS[bytes[at] as number] as number
      if (mark === 0) continue
      if (mark === QUOTE) {
        const behind = behindName(bytes, at)
        if (behind < 0) return at
        at = behind - 1
      } else if (mark === COLON) {
        if (bytes[at - 1] === LETTER_T && isError(bytes, at)) return at
      } else {
        const end = behindEmptyLine(bytes, at)
        if (end < 0) continue
        if (alike === 0) likeness.learn(bytes, start, end)
        start = end
        alike = likeness.lengthAt(bytes, start)
        at = start + alike - 1
      }
    }
    return -1
  }
}

/** Where to search on behind the quote, or less than 0 if a sign begins with it. */
function behindName(bytes: Uint8Array, quote: number): number {
  let behind = quote + 1
  let row = letters[256 | (bytes[behind] as number)] as number
  // Most names end the search with their first letter.
  if (row === 0) return behind
  while (row !== 0 && ++behind < bytes.length && bytes[behind] !== QUOTE) {
    row = letters[(row << 8) | (bytes[behind] as number)] as number
  }
  return row !== 0 && isSign(bytes, behind, ends[row] as number) ? -1 : behind
}

/** Where the empty line ends that follows, of LF or CRLF; -1 if none does. */
function behindEmptyLine(bytes: Uint8Array, lf: number): number {
  const next = bytes[lf + 1]
  if (next === LF) return lf + 2
  return next === CR && bytes[lf + 2] === LF ? lf + 3 : -1
}

/** Whether the name that ends at the quote is a sign, and has a value that is not null. */
function isSign(bytes: Uint8Array, quote: number, name: number): boolean {
  if (name === 0) return false
  const colon = afterSpace(bytes, quote + 1)
  // A line that ends here may go on in the next.
  if (bytes[colon] === COLON) return bytes[afterSpace(bytes, colon + 1)] !== LETTER_N
  return name === ERROR_NAME || bytes[colon] === LF || bytes[colon] === CR
}

/** Whether `event: error` stands around the colon, or as much of it as tells. */
function isError(bytes: Uint8Array, colon: number): boolean {
  const start = afterSpace(bytes, colon + 1)
  return ERROR_BYTES.every((byte, at) => bytes[start + at] === byte)
}

function afterSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === SPACE || bytes[at] === TAB) at++
  return at
}
