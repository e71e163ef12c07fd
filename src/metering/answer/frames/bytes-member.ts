/**
 * Finds the member `bytes` of a JSON object that arrives piece by piece, and decodes the base64 in it as it passes: in it
 * Bedrock's InvokeModelWithResponseStream wraps each event of the model's own API. Keeps at most one group of base64. Never
 * throws; what is no JSON gives no bytes that matter.
 */

const NAME = Buffer.from('bytes')
/** Four characters stand for three bytes. */
const GROUP = 4
/** No escape that may stand in base64 is longer: `\u002f`. */
const ESCAPE_CHARS = 6
const NOT_BASE64 = /[^\w+/-]+/g
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(.))/gs

const QUOTE = 0x22
const COLON = 0x3a
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN = [0x7b, 0x5b]
const CLOSE = [0x7d, 0x5d]

/** Outside of strings, in a string that is passed over, in one that may be the name, in the one that is decoded. */
const BETWEEN = 0
const OTHER = 1
const IN_NAME = 2
const WANTED = 3

export class BytesMember {
  readonly #onBytes: (bytes: Uint8Array) => void
  #state = BETWEEN
  #depth = 0
  #isEscaped = false
  #isAfterColon = false
  /** How much of the name under way, or of the last one, is the wanted one; -1 if it is another. */
  #matched = -1
  /** What is decoded with what follows: less than a group, or the beginning of an escape. */
  #rest = ''

  constructor(onBytes: (bytes: Uint8Array) => void) {
    this.#onBytes = onBytes
  }

  get retained(): number {
    return this.#rest.length
  }

  write(piece: Uint8Array, from: number, to: number): void {
    let at = from
    while (at < to)
      at = this.#state === BETWEEN ? this.#between(piece, at, to) : this.#string(piece, at, to)
  }

  /** The object has ended, or will have no end: the next byte begins another. */
  reset(): void {
    this.#state = BETWEEN
    this.#depth = 0
    this.#isEscaped = this.#isAfterColon = false
    this.#matched = -1
    this.#rest = ''
  }

  /** Up to the next string. */
  #between(piece: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const byte = piece[at] as number
      if (byte === QUOTE) {
        this.#begin()
        return at + 1
      }
      if (byte === COLON) this.#isAfterColon = true
      else if (byte === COMMA) this.#isAfterColon = false
      else if (OPEN.includes(byte)) this.#depth++
      else if (CLOSE.includes(byte)) this.#depth--
    }
    return to
  }

  #begin(): void {
    if (this.#depth !== 1) this.#state = OTHER
    else if (this.#isAfterColon) this.#state = this.#matched === NAME.length ? WANTED : OTHER
    else {
      this.#state = IN_NAME
      this.#matched = 0
    }
  }

  #string(piece: Uint8Array, from: number, to: number): number {
    const end = this.#endOf(piece, from, to)
    if (this.#state === IN_NAME) this.#match(piece, from, end)
    else if (this.#state === WANTED)
      this.#decode(Buffer.prototype.latin1Slice.call(piece, from, end), end < to)
    if (end === to) return to
    this.#state = BETWEEN
    return end + 1
  }

  /** The place of the quote that closes the string; `to` if that has not come. */
  #endOf(piece: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (piece[at] === QUOTE) return at
      else if (piece[at] === BACKSLASH) this.#isEscaped = true
    }
    return to
  }

  #match(piece: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++)
      this.#matched = piece[at] === NAME[this.#matched] ? this.#matched + 1 : -1
  }

  #decode(text: string, isWhole: boolean): void {
    const all = this.#rest + text
    // An escape may go on in the next piece.
    const last = isWhole ? -1 : all.indexOf('\\', Math.max(0, all.length - ESCAPE_CHARS + 1))
    const plain = plainOf(last === -1 ? all : all.slice(0, last))
    const length = isWhole ? plain.length : plain.length - (plain.length % GROUP)
    this.#rest = plain.slice(length) + (last === -1 ? '' : all.slice(last))
    if (length > 0) this.#onBytes(Buffer.from(plain.slice(0, length), 'base64'))
  }
}

/** Without escapes, and without all that stands for nothing in base64. */
function plainOf(text: string): string {
  const whole = text.includes('\\') ? text.replace(ESCAPE, unescaped) : text
  return whole.replace(NOT_BASE64, '')
}

/** Line ends and their like stand for nothing. */
function unescaped(_: string, code: string | undefined, char = ''): string {
  if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16))
  return char === '/' ? char : ''
}
