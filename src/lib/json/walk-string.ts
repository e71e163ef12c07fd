/**
 * Finds the end of strings in JSON that arrives piece by piece, recognises names on the way, and measures text. A string whose
 * end has not come yet goes on in the next piece. Pure.
 */
import type { WalkPlan } from './walk-plan.ts'

export class StringReader {
  readonly #letters: Uint16Array
  readonly #ends: Uint16Array
  /** The row of the letters so far; 0 if they begin no name. */
  #row = 0
  /** Whether a backslash was the last byte. */
  #isEscaped = false
  /** Where the next quote and backslash of the piece stand, as far as it was searched. */
  #piece: Uint8Array | null = null
  #nextQuote = -1
  #nextBackslash = -1
  /** Of what was read last: its bytes, without what escapes add to them. */
  bytes = 0
  /** Of the string that has ended: the number of the name that it is; 0 if it is none. */
  name = 0

  constructor({ letters, ends }: WalkPlan) {
    this.#letters = letters
    this.#ends = ends
  }

  begin(mayBeName: boolean): void {
    this.#row = mayBeName ? 1 : 0
    this.#isEscaped = false
  }

  /** The place behind the quote that closes the string; -1 if that has not come. */
  read(piece: Uint8Array, from: number, to: number): number {
    const letters = this.#letters
    let at = from
    let row = this.#row
    /** What escapes add to the text. */
    let extra = 0
    if (this.#isEscaped) {
      this.#isEscaped = false
      extra += piece[at++] === LETTER_U ? U_EXTRA : 1
    }
    let near = at + NEAR
    while (at < to) {
      const byte = piece[at] as number
      if (byte === QUOTE) {
        this.bytes = at - from - extra
        this.name = this.#ends[row] as number
        return at + 1
      }
      if (byte === BACKSLASH) {
        row = 0
        this.#isEscaped = at + 1 === to
        if (this.#isEscaped) break
        extra += piece[at + 1] === LETTER_U ? U_EXTRA : 1
        at += 2
        near = at + NEAR
        continue
      }
      row = letters[(row << 8) | byte] as number
      at++
      if (at < near) continue
      row = 0
      at = Math.min(this.#special(piece, at), to)
      near = at + NEAR
    }
    this.bytes = to - from - extra
    this.#row = row
    return -1
  }

  /** The place of the next quote or backslash. A piece is searched once, however often it is asked for. */
  #special(piece: Uint8Array, at: number): number {
    if (piece !== this.#piece) {
      this.#piece = piece
      this.#nextQuote = this.#nextBackslash = -1
    }
    if (this.#nextQuote < at) this.#nextQuote = next(piece, QUOTE, at)
    if (this.#nextBackslash < at) this.#nextBackslash = next(piece, BACKSLASH, at)
    return Math.min(this.#nextQuote, this.#nextBackslash)
  }
}

function next(piece: Uint8Array, byte: number, at: number): number {
  const found = piece.indexOf(byte, at)
  return found === -1 ? piece.length : found
}

/** The native search pays off from so many bytes on. */
const NEAR = 48

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_U = 0x75
/** `\u4f60` takes six bytes for a character of three. */
const U_EXTRA = 3
