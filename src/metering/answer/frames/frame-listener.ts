/**
 * Listens to a stream of AWS's event stream encoding, as Bedrock's ConverseStream and InvokeModelWithResponseStream write it:
 * each payload is an event in JSON, or wraps one in base64. Reads them as they pass, and keeps nothing but what they report. A
 * report counts when its frame has ended and is valid. Behind one that is not, text is estimated by the share that it had
 * before.
 */
import { JsonWalker } from '../../../lib/json/walk.ts'
import { createReading, type Reading } from '../../dialects/index.ts'
import type { Listener } from '../tap.ts'
import { UNSIGNED_MAX, WALK } from '../walk-answer.ts'
import { BytesMember } from './bytes-member.ts'
import { FrameReader, type FrameTaker } from './frame-reader.ts'
import type { FrameKind } from './headers.ts'

/** Values of one frame: an event is one, and may wrap another. */
const VALUES_MAX = 8

export class FrameListener implements Listener, FrameTaker {
  readonly #reading: Reading = createReading()
  readonly #reader = new FrameReader(this)
  /** What the frame under way holds. */
  #held: object[] = []
  readonly #hold = (value: object) => {
    if (this.#held.length < VALUES_MAX) this.#held.push(value)
  }
  readonly #outer = new JsonWalker(WALK, this.#hold)
  readonly #inner = new JsonWalker(WALK, this.#hold)
  readonly #bytes = new BytesMember((bytes) => this.#inner.write(bytes, 0, bytes.length))
  #values = 0
  #hasFailed = false

  get retained(): number {
    const walked = this.#outer.retained + this.#inner.retained + this.#bytes.retained
    return this.#reader.retained + walked
  }

  take(bytes: Uint8Array): void {
    this.#reader.write(bytes)
  }

  payload(piece: Uint8Array, from: number, to: number): void {
    this.#outer.write(piece, from, to)
    this.#bytes.write(piece, from, to)
  }

  frameEnded(kind: FrameKind): void {
    this.#hasFailed ||= kind === 'failure'
    for (const value of this.#held) this.#reading.take(value)
    this.#values += this.#held.length
    const isEager = this.#values < UNSIGNED_MAX && this.#reading.model === undefined
    this.#outer.isEager = this.#inner.isEager = isEager
    this.#drop()
  }

  /** What a frame has reported that was cut off does not count. */
  end(): void {
    this.#drop()
  }

  usage() {
    return this.#reading.usage()
  }

  unknown() {
    return this.#reading.unknown()
  }

  failed(): boolean {
    return this.#hasFailed || this.#reading.failed()
  }

  isPartial(): boolean {
    return this.#reader.isBroken
  }

  writtenBytes(): number {
    const { read, unread } = this.#reader
    const written = this.#outer.written + this.#inner.written
    return written + (unread > 0 ? Math.round((unread * written) / read) : 0)
  }

  #drop(): void {
    this.#held = []
    this.#outer.drop()
    this.#inner.drop()
    this.#bytes.reset()
  }
}
