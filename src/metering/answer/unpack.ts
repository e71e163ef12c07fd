/**
 * Unpacks a compressed answer beside the bytes that pass, piece by piece and within bounds (RFC 9110, section 8.4). Which
 * coding it is the first bytes tell, wherever they can: what a header says of it is often untrue. Never throws; what is
 * broken, or grows too long, is given up, and what came before stands.
 */
import zlib from 'node:zlib'
import { preludeOf } from './frames/prelude.ts'

export type Sink = {
  /** The bytes are there only as long as the call lasts. */
  take(bytes: Uint8Array): void
  /** Whether nothing more is of interest. */
  readonly isDone: boolean
}

export type Unpacker = Sink & {
  /** Gives back what it takes in memory. */
  close(): void
}

type Coding = 'gzip' | 'deflate' | 'deflate-raw' | 'br' | 'zstd'

/** Names of codings that are read; RFC 9110, section 8.4.1.3, has `x-gzip`. Whatever else a header names packs nothing. */
const CODINGS: Readonly<Record<string, Coding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  'x-deflate': 'deflate',
  br: 'br',
  zstd: 'zstd',
  'x-zstd': 'zstd',
}

/** Two are seen, where a relay packs what is packed. */
const LAYERS_MAX = 4

/** The codings in the order in which they were applied. */
export function codingsOf(header: string | null): readonly Coding[] {
  if (header === null) return []
  return header
    .toLowerCase()
    .split(',')
    .flatMap((name) => CODINGS[name.trim()] ?? [])
}

/** Unpacks into `sink` what the codings have packed, and what the first bytes show to be packed. */
export function unpackInto(sink: Sink, codings: readonly Coding[]): Unpacker {
  let next: Unpacker = new Layer(null, sink, 0)
  for (const [level, coding] of codings.slice(0, LAYERS_MAX).entries()) {
    next = new Layer(coding, next, level + 1)
  }
  return next
}

/**
 * What one piece may unpack to, and all of an answer beside RATIO times its packed length. Unpacking and reading as much takes 10
 * to 35 ms, in which nothing else happens. JSON packs to a tenth; a bomb grows a thousandfold.
 */
const UNPACKED_BYTES_MAX = 4 * 1024 * 1024
const RATIO = 32

/** How many bytes tell the coding. */
const SIGN_BYTES = 4

const OUTPUT_BYTES = 64 * 1024
/** One for each layer: unpacking one piece is never interrupted by another. */
const OUTPUTS: Uint8Array[] = []

class Layer implements Unpacker {
  readonly #declared: Coding | null
  readonly #next: Sink & { close?(): void }
  readonly #level: number
  /** The first bytes, as long as they do not tell the coding. */
  #first: Uint8Array | null = new Uint8Array(0)
  #decoder: Decoder | null = null
  #room = UNPACKED_BYTES_MAX
  isDone = false

  constructor(declared: Coding | null, next: Sink, level: number) {
    this.#declared = declared
    this.#next = next
    this.#level = level
  }

  take(bytes: Uint8Array): void {
    if (this.isDone) return
    if (this.#first === null) {
      this.#pass(bytes)
      return
    }
    const first = this.#first.length > 0 ? Buffer.concat([this.#first, bytes]) : bytes
    const hasSign = this.#declared !== 'br' && this.#declared !== 'deflate'
    if (first.length < (hasSign ? SIGN_BYTES : PLAIN_BYTES)) this.#first = new Uint8Array(first)
    else this.#begin(first)
  }

  close(): void {
    // What is so short that it tells nothing.
    if (this.#first !== null && this.#first.length > 0) this.#begin(this.#first)
    this.#giveUp()
    this.#next.close?.()
  }

  #begin(first: Uint8Array): void {
    this.#first = null
    const coding = codingBy(first, this.#declared)
    this.#decoder = coding && createDecoder(coding)
    this.isDone = coding !== null && this.#decoder === null
    this.#pass(first)
  }

  #pass(bytes: Uint8Array): void {
    if (this.isDone) return
    if (this.#decoder === null) this.#next.take(bytes)
    else this.#unpack(this.#decoder, bytes)
    if (!this.#next.isDone) return
    this.#giveUp()
  }

  #unpack(decoder: Decoder, bytes: Uint8Array): void {
    this.#room += RATIO * bytes.length
    let room = Math.min(this.#room, UNPACKED_BYTES_MAX)
    OUTPUTS[this.#level] ??= new Uint8Array(OUTPUT_BYTES)
    const output = OUTPUTS[this.#level] as Uint8Array
    const isWhole = decoder.write(bytes, output, (length) => {
      room -= length
      this.#room -= length
      if (room < 0) return false
      this.#next.take(output.subarray(0, length))
      return !this.#next.isDone
    })
    if (!isWhole) this.#giveUp()
  }

  #giveUp(): void {
    this.isDone = true
    this.#decoder?.close()
    this.#decoder = null
  }
}

/** Null if it is not packed. */
function codingBy(first: Uint8Array, declared: Coding | null): Coding | null {
  const [a = 0, b = 0, c = 0, d = 0] = first
  if (a === 0x1f && b === 0x8b) return 'gzip'
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd'
  // RFC 1950, section 2.2, with the windows and levels that are in use.
  if (a === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(b) && (b !== 0x5e || declared))
    return 'deflate'
  if (declared === 'br') return looksPlain(first) ? null : 'br'
  // Frames that are to be skipped may come first (RFC 8878, section 3.1.2).
  if (declared === 'zstd') return (a & 0xf0) === 0x50 && b === 0x2a && c === 0x4d ? 'zstd' : null
  if (declared !== 'deflate' || looksPlain(first)) return null
  const isZlib = (a & 0x0f) === 8 && a >> 4 <= 7 && ((a << 8) | b) % 31 === 0
  return isZlib ? 'deflate' : 'deflate-raw'
}

/**
 * The beginning of JSON, of events or of a frame, which brotli and deflate have no sign to tell from. Of what is packed hardly so many bytes
 * are all text.
 */
function looksPlain(first: Uint8Array): boolean {
  if (preludeOf(first) !== null) return true
  const head = first.subarray(0, PLAIN_BYTES)
  try {
    // The last character may be cut off.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    return PLAIN.test(text) && !CONTROL.test(text)
  } catch {
    return false
  }
}

const PLAIN_BYTES = 32
const PLAIN = /^(?:\{["\s}]|\[[{["\s\d-]|data|event|id: |: |:\n|retr|\s\s)/
const CONTROL = /[\0-\x08\x0e-\x1d\x1f\x7f]/

type Decoder = {
  /**
   * Hands on what the bytes unpack to, in `output`, until `onOutput` answers with false. Whether all of it was good.
   */
  write(bytes: Uint8Array, output: Uint8Array, onOutput: (length: number) => boolean): boolean
  close(): void
}

const MAKERS = {
  gzip: zlib.createGunzip,
  deflate: zlib.createInflate,
  'deflate-raw': zlib.createInflateRaw,
  br: zlib.createBrotliDecompress,
  zstd: zlib.createZstdDecompress,
} as const

/**
 * What Node's streams are made of, seen in Bun 1.4.5: the streams themselves hand nothing on before a later turn, and a
 * report cannot wait for that.
 */
type Inner = {
  readonly _writeState: Uint32Array
  readonly _handle: {
    onerror: (...cause: unknown[]) => void
    writeSync(
      flush: number,
      ...io: [Uint8Array, from: number, length: number, Uint8Array, from: number, length: number]
    ): void
  }
  close(): void
}

/** Null if the runtime has none. */
function createDecoder(coding: Coding): Decoder | null {
  const { constants } = zlib
  const isZlib = coding !== 'br' && coding !== 'zstd'
  const flush = isZlib ? constants.Z_SYNC_FLUSH : constants.BROTLI_OPERATION_PROCESS
  const inner = MAKERS[coding]() as unknown as Inner
  const { _handle: handle, _writeState: left } = inner
  if (typeof handle?.writeSync !== 'function' || !(left instanceof Uint32Array)) return null
  let isBroken = false
  handle.onerror = () => {
    isBroken = true
  }
  return {
    write(bytes, output, onOutput) {
      let from = 0
      for (;;) {
        handle.writeSync(flush, bytes, from, bytes.length - from, output, 0, output.length)
        if (isBroken) return false
        const [outputLeft = 0, inputLeft = 0] = left
        from = bytes.length - inputLeft
        if (outputLeft < output.length && !onOutput(output.length - outputLeft)) return false
        if (outputLeft > 0) return true
      }
    },
    close: () => inner.close(),
  }
}
