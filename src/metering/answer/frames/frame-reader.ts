/**
 * Splits a stream of AWS's event stream encoding into its frames, in pieces of any size. Of a frame it keeps the prelude and
 * the headers, and never the payload. A frame that is not valid ends the reading: nobody knows where the next begins.
 */
import { crc32 } from 'node:zlib'
import { createByteStore } from '../byte-store.ts'
import { type FrameKind, kindOf } from './headers.ts'
import { CRC_BYTES, PRELUDE_BYTES, type Prelude, preludeOf, uint32At } from './prelude.ts'

export type FrameTaker = {
  /** A part of the payload. It may belong to a frame that turns out not to be valid. */
  payload(piece: Uint8Array, from: number, to: number): void
  /** The frame has ended, and is valid. */
  frameEnded(kind: FrameKind): void
}

/** What of a frame comes next. */
const PRELUDE = 0
const HEADERS = 1
const PAYLOAD = 2
const CRC = 3

/** The headers of Bedrock fit in. */
const HEADERS_BYTES = 128

export class FrameReader {
  readonly #taker: FrameTaker
  #part = PRELUDE
  /** How many bytes of that part are missing. */
  #left = PRELUDE_BYTES
  /** A prelude, or the checksum at the end. */
  readonly #fixed = new Uint8Array(PRELUDE_BYTES)
  readonly #headers = createByteStore(HEADERS_BYTES)
  #prelude: Prelude | null = null
  #kind: FrameKind = 'other'
  /** Of all that came of the frame. */
  #crc = 0
  isBroken = false
  /** How many bytes were read, and how many came behind a frame that is not valid. */
  read = 0
  unread = 0

  constructor(taker: FrameTaker) {
    this.#taker = taker
  }

  get retained(): number {
    return PRELUDE_BYTES + this.#headers.capacity()
  }

  write(piece: Uint8Array): void {
    let at = 0
    while (at < piece.length && !this.isBroken) {
      const to = Math.min(piece.length, at + this.#left)
      this.#take(piece, at, to)
      this.#left -= to - at
      at = to
      while (this.#left === 0 && !this.isBroken) this.#next()
    }
    this.read += at
    this.unread += piece.length - at
  }

  #take(piece: Uint8Array, from: number, to: number): void {
    const bytes = piece.subarray(from, to)
    if (this.#part === PRELUDE) this.#fixed.set(bytes, PRELUDE_BYTES - this.#left)
    else if (this.#part === CRC) this.#fixed.set(bytes, CRC_BYTES - this.#left)
    else {
      this.#crc = crc32(bytes, this.#crc)
      if (this.#part === HEADERS) this.#headers.append(bytes)
      else this.#taker.payload(piece, from, to)
    }
  }

  /** A part has come whole. */
  #next(): void {
    if (this.#part === PRELUDE) this.#beginFrame()
    else if (this.#part === HEADERS) this.#endHeaders()
    else if (this.#part === PAYLOAD) this.#expect(CRC, CRC_BYTES)
    else this.#endFrame()
  }

  #beginFrame(): void {
    this.#prelude = preludeOf(this.#fixed)
    this.#crc = crc32(this.#fixed)
    this.#headers.clear()
    if (this.#prelude === null) this.isBroken = true
    else this.#expect(HEADERS, this.#prelude.headersBytes)
  }

  #endHeaders(): void {
    const kind = kindOf(this.#headers.view())
    if (kind === null) this.isBroken = true
    else {
      this.#kind = kind
      this.#expect(PAYLOAD, this.#prelude?.payloadBytes ?? 0)
    }
  }

  #endFrame(): void {
    this.isBroken = uint32At(this.#fixed, 0) !== this.#crc
    if (this.isBroken) return
    this.#taker.frameEnded(this.#kind)
    this.#expect(PRELUDE, PRELUDE_BYTES)
  }

  #expect(part: number, bytes: number): void {
    this.#part = part
    this.#left = bytes
  }
}
