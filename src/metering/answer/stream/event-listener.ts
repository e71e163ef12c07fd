/**
 * Listens to a stream of server-sent events. An event is read only if it looks as if it reported something, so that the
 * thousands of others cost a search for a few bytes. The events of one piece are searched together. One that is too long to be
 * kept is read as it passes.
 */
import { createReading, type Reading } from '../../dialects/index.ts'
import { createByteStore } from '../byte-store.ts'
import type { Listener } from '../tap.ts'
import { UNSIGNED_MAX } from '../walk-answer.ts'
import { lastEnd, nextEnd } from './event-ends.ts'
import { EventReader } from './event-reader.ts'
import { SignSearch } from './signs.ts'
import { TextSample } from './text-sample.ts'

/** A longer event is not kept. The chunk that is hidden has 500 bytes. */
const EVENT_BYTES_MAX = 64 * 1024

const EMPTY = new Uint8Array(0)

export class EventListener implements Listener {
  readonly #reading: Reading = createReading()
  readonly #reader = new EventReader((value) => {
    this.#values++
    this.#reading.take(value)
  })
  /** Reads an event that is too long while it passes. */
  #longReader: EventReader | null = null
  #isLong = false
  readonly #held = createByteStore()
  readonly #signs = new SignSearch()
  readonly #sample = new TextSample()
  #values = 0
  /** Events that may still be read for the name of the model. */
  #unsignedLeft = UNSIGNED_MAX
  /** Of the last piece: what belongs to a long event that began earlier, and what to one that began in it or before it. */
  ended: Uint8Array = EMPTY
  begun: Uint8Array = EMPTY

  get retained(): number {
    const read = this.#reader.retained + (this.#longReader?.retained ?? 0)
    return this.#held.capacity() + this.#sample.retained + this.#signs.retained + read
  }

  take(bytes: Uint8Array): void {
    const whole = this.push(bytes)
    if (whole) this.read(whole)
  }

  /** All events that this piece completes; null if it completes none. */
  push(piece: Uint8Array): Uint8Array | null {
    this.ended = this.begun = EMPTY
    const chunk = this.#isLong ? this.#endLong(piece) : piece
    if (chunk.length === 0) return null
    const held = this.#held
    const before = held.length()
    if (before > 0) held.append(chunk)
    const bytes = before > 0 ? held.view() : chunk
    const end = lastEnd(bytes, before)
    // Most pieces are whole events.
    if (before === 0 && end === bytes.length) return bytes
    const rest = bytes.subarray(end)
    if (rest.length > EVENT_BYTES_MAX) this.#beginLong(rest)
    else if (end > 0 || before === 0) {
      held.clear()
      held.append(rest)
    }
    return end > 0 ? bytes.subarray(0, end) : null
  }

  /** The event that is under way, as far as it is kept. */
  rest(): Uint8Array {
    return this.#held.view()
  }

  clear(): void {
    this.#held.clear()
  }

  /** Reads all events, and tells of each that reports something. */
  read(bytes: Uint8Array, onReport?: (start: number, end: number) => void): void {
    this.#sample.take(bytes)
    let from = 0
    while (this.#unsignedLeft > 0 && from < bytes.length) {
      const end = nextEnd(bytes, from)
      if (this.#readOne(bytes, from, end)) onReport?.(from, end)
      from = end
      this.#unsignedLeft = this.#reading.model === undefined ? this.#unsignedLeft - 1 : 0
    }
    const signs = this.#signs
    for (let at = signs.next(bytes, from); at !== -1; at = signs.next(bytes, from)) {
      const start = Math.max(from, lastEnd(bytes, from, at))
      from = nextEnd(bytes, at)
      if (this.#readOne(bytes, start, from)) onReport?.(start, from)
    }
  }

  end(): void {
    this.read(this.rest())
    this.clear()
    this.#reader.end()
    if (this.#isLong) this.#longReader?.end()
  }

  usage() {
    return this.#reading.usage()
  }

  unknown() {
    return this.#reading.unknown()
  }

  failed(): boolean {
    return this.#reading.failed() || this.#reader.failed || (this.#longReader?.failed ?? false)
  }

  writtenBytes(): number {
    return this.#sample.written() + (this.#longReader?.written ?? 0)
  }

  /** Whether the event holds something that was asked for. */
  #readOne(bytes: Uint8Array, start: number, end: number): boolean {
    const before = this.#values
    this.#reader.write(bytes, start, end)
    return this.#values > before
  }

  #beginLong(bytes: Uint8Array): void {
    this.#longReader ??= new EventReader((value) => this.#reading.take(value))
    this.#longReader.write(bytes, 0, bytes.length)
    this.#isLong = true
    this.begun = bytes
    this.#held.clear()
  }

  /** What of the piece is behind the long event. */
  #endLong(piece: Uint8Array): Uint8Array {
    const end = this.#longReader?.write(piece, 0, piece.length) ?? -1
    this.#isLong = end === -1
    this.ended = this.#isLong ? piece : piece.subarray(0, end)
    return this.#isLong ? EMPTY : piece.subarray(end)
  }
}
