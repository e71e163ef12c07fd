/**
 * Reads server-sent events (HTML standard, section 9.2) that arrive piece by piece, and walks over the JSON that they carry.
 * Keeps nothing of them, however long they are.
 */
import { JsonWalker } from '../../../lib/json/walk.ts'
import { WALK } from '../walk-answer.ts'
import { CR, LF } from './event-ends.ts'

const SPACE = 0x20
const COLON = 0x3a

/** What of a line has been read: nothing, a part of its name, its name and the colon, or enough to see that it tells nothing. */
const START = 0
const NAME = 1
const VALUE = 2
const REST = 3

const DATA = Buffer.from('data')
const EVENT = Buffer.from('event')
/** Longer than the name of any event in use. */
const EVENT_CHARS_MAX = 64

/** Events of OpenAI's Responses that say once more what earlier ones have said piece by piece. */
const REPEATS = /\.(?:done|completed|incomplete)$/

export class EventReader {
  readonly #walker: JsonWalker
  #state = START
  #isAfterCr = false
  #field: Uint8Array = DATA
  #matched = 0
  /** Whether a space may follow the colon. */
  #isAfterColon = false
  #event = ''
  /** Where the next CR of the piece stands: lines hardly ever end with one. */
  #piece: Uint8Array | null = null
  #nextCr = -1
  /** What had been written before the event. */
  #writtenBefore = 0
  /** Bytes of data that is plain text. */
  #plain = 0
  /** Whether an event was named `error`. */
  failed = false

  constructor(onValue: (value: object) => void) {
    this.#walker = new JsonWalker(WALK, onValue)
  }

  get written(): number {
    return this.#walker.written + this.#plain
  }

  get retained(): number {
    return this.#walker.retained
  }

  /** Whether the last byte stood in a text that goes on. */
  get isInText(): boolean {
    return this.#walker.isInText
  }

  /** Reads up to the end of an event, and answers with the place behind it; -1 if it has no end yet. */
  write(piece: Uint8Array, from: number, to: number): number {
    if (piece !== this.#piece) this.#nextCr = -1
    this.#piece = piece
    let at = from
    while (at < to) {
      const byte = piece[at] as number
      const isLineEnd = byte === LF || byte === CR
      if (this.#state === START && isLineEnd) {
        at++
        const isSecondHalf = byte === LF && this.#isAfterCr
        this.#isAfterCr = byte === CR
        if (isSecondHalf) continue
        return this.#endEvent(piece, at, to)
      }
      if (isLineEnd) this.#endLine(byte)
      else if (this.#state === START) this.#begin(byte)
      else if (this.#state === NAME) this.#match(byte)
      else {
        at = this.#value(piece, at, this.#lineEnd(piece, at, to))
        continue
      }
      at++
    }
    return -1
  }

  /** The stream has ended: its last event needs no end, and may be cut off. */
  end(): void {
    this.#walker.end()
    this.#reset()
  }

  #endEvent(piece: Uint8Array, at: number, to: number): number {
    this.#walker.drop()
    this.#reset()
    if (!this.#isAfterCr || at === to || piece[at] !== LF) return at
    this.#isAfterCr = false
    return at + 1
  }

  #reset(): void {
    if (REPEATS.test(this.#event)) this.#walker.written = this.#writtenBefore
    this.#writtenBefore = this.#walker.written
    this.#event = ''
    this.#state = START
  }

  #endLine(byte: number): void {
    this.#isAfterCr = byte === CR
    if (this.#state === VALUE && this.#field === EVENT) this.failed ||= this.#event === 'error'
    this.#state = START
  }

  #begin(byte: number): void {
    this.#isAfterCr = false
    this.#field = byte === DATA[0] ? DATA : EVENT
    this.#matched = 1
    this.#state = byte === this.#field[0] ? NAME : REST
    if (this.#state === NAME && this.#field === EVENT) this.#event = ''
  }

  #match(byte: number): void {
    const isWhole = this.#matched === this.#field.length
    if (byte !== (isWhole ? COLON : this.#field[this.#matched++])) this.#state = REST
    else if (isWhole) {
      this.#state = VALUE
      this.#isAfterColon = true
    }
  }

  #value(piece: Uint8Array, from: number, to: number): number {
    if (this.#state === REST) return to
    const start = this.#isAfterColon && piece[from] === SPACE ? from + 1 : from
    this.#isAfterColon = false
    if (this.#field === EVENT) {
      const room = EVENT_CHARS_MAX - this.#event.length
      this.#event += Buffer.from(piece.subarray(start, Math.min(to, start + room))).toString()
    } else if (start < to) {
      this.#walker.write(piece, start, to)
      if (this.#walker.isLost) this.#plain += to - start
    }
    return to
  }

  #lineEnd(piece: Uint8Array, from: number, to: number): number {
    if (this.#nextCr < from) {
      const cr = piece.indexOf(CR, from)
      this.#nextCr = cr === -1 ? piece.length : cr
    }
    const lf = piece.indexOf(LF, from)
    return Math.min(lf === -1 ? to : lf, this.#nextCr, to)
  }
}
