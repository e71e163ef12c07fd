/**
 * Passes a long body on as it comes, no faster than its client reads: at most one chunk is held. One that was cut off ends as
 * an error, never as if it were whole. If the client leaves, what is left of it may be read on for, within bounds, for the
 * report that it ends with.
 */
import { peek } from 'bun'
import type { Outcome } from '../../domain/call.ts'
import type { Tap } from '../../metering/answer/tap.ts'
import { NO_REPORT, type Report } from '../../metering/reckon.ts'
import type { Slot } from '../in-flight.ts'
import type { Deadline, Relaying } from '../send/deadline.ts'
import { READ_ON_BYTES_MAX } from '../send/leaving.ts'

export type RelayEnd = {
  readonly outcome: Extract<
    Outcome,
    'answered' | 'client_aborted' | 'interrupted' | 'upstream_timeout' | 'upstream_truncated'
  >
  /** Whether the answer was read to its end, though perhaps nobody got it any more. */
  readonly isWhole: boolean
  readonly bytes: number
  readonly reported: Report
}

/** What Bun holds of an answer whose client does not read, seen on 1.4.5: it then reads no more from the upstream. */
const UNREAD_BYTES = 1_536 * 1024

export type RelayOptions = {
  readonly deadline: Deadline
  readonly tap: Tap | null
  /** Whether what the call has consumed is worth reading on for, if its client leaves. */
  readonly readsOn: boolean
  readonly slot: Pick<Slot, 'holdUnread'>
  /** Called exactly once, unless the answer is null. */
  readonly onEnd: (end: RelayEnd) => void
}

export function reportOf(tap: Tap | null): Report {
  return tap === null ? NO_REPORT : tap.report()
}

export function relayStream(
  body: ReadableStream<Uint8Array>,
  options: RelayOptions,
): ReadableStream<Uint8Array> {
  const passing = new StreamRelay(body.getReader() as unknown as BodyReader, options)
  // Bun's own kind of stream, which writes straight to the socket: half the cost of the standard kind.
  return new ReadableStream<Uint8Array>({
    type: 'direct',
    pull: (controller) => passing.pull(controller),
    cancel: () => passing.cancel(),
  })
}

/** Bun's reader also gives all pieces that have come so far, without a promise for each; the web's type does not know it. */
type BodyReader = {
  readMany():
    | Bun.ReadableStreamDefaultReadManyResult<Uint8Array>
    | Promise<Bun.ReadableStreamDefaultReadManyResult<Uint8Array>>
  cancel(): Promise<void>
}

class StreamRelay implements Relaying {
  readonly #reader: BodyReader
  readonly #options: RelayOptions
  #bytes = 0
  #ended = false
  #close = () => {}
  /** What the upstream was asked for and nobody has passed on yet. */
  #reading: ReturnType<BodyReader['readMany']> | null = null
  #hasLeft = false

  constructor(reader: BodyReader, options: RelayOptions) {
    this.#reader = reader
    this.#options = options
    options.deadline.signal.addEventListener('abort', () => this.#giveUp(), { once: true })
    if (options.readsOn) options.deadline.readOnWith(this)
  }

  /** Passes everything on, no faster than the client reads. */
  async pull(controller: ReadableStreamDirectController): Promise<void> {
    this.#close = () => controller.close(new Error('The call was given up.'))
    const { deadline, tap } = this.#options
    try {
      for (;;) {
        // All that has come so far: a piece at a time would cost a turn of promises each.
        this.#reading = this.#reader.readMany()
        const { done, value: pieces } = await this.#reading
        if (this.#hasLeft) return
        this.#reading = null
        for (const piece of pieces) this.#write(controller, tap ? tap.pass(piece) : piece)
        if (done) break
        deadline.touch()
        // Pending if the socket has not taken all of it: the upstream is read no faster than the client reads. A plain
        // flush() does not wait, and an unread answer would pile up in memory.
        const flushed: unknown = controller.flush(true)
        if (peek.status(flushed) === 'pending') await this.#untilRead(flushed)
      }
      if (this.#hasLeft) return
      this.#write(controller, tap?.flush() ?? null)
      this.#end('answered', true)
      controller.close()
    } catch (error) {
      // What reads on ends the call.
      if (this.#hasLeft) return
      this.#end(deadline.cause() ?? 'upstream_truncated')
      throw error
    }
  }

  readOn(): void {
    this.#hasLeft = true
    this.#close()
    void this.#readRest()
  }

  /** In the place of `pull`, which may be waiting for the client, or never have begun. */
  async #readRest(): Promise<void> {
    const { deadline, tap } = this.#options
    let bytes = 0
    try {
      for (;;) {
        const { done, value: pieces } = await (this.#reading ?? this.#reader.readMany())
        this.#reading = null
        for (const piece of pieces) {
          bytes += piece.byteLength
          tap?.pass(piece)
        }
        if (done) tap?.flush()
        if (done || bytes > READ_ON_BYTES_MAX) {
          this.#end('client_aborted', done)
          return await this.#drop()
        }
        deadline.touch()
      }
    } catch {
      this.#end('client_aborted')
    }
  }

  /** The client has left. */
  async cancel(): Promise<void> {
    const { deadline } = this.#options
    deadline.abandon()
    if (deadline.readsOn()) return
    this.#end(deadline.cause() ?? 'client_aborted')
    await this.#drop()
  }

  #write(controller: ReadableStreamDirectController, piece: Uint8Array | null): void {
    if (!piece) return
    this.#bytes += piece.byteLength
    controller.write(piece)
  }

  /**
   * Ends the call also if nobody gets on with it: a client that does not read leaves `pull` waiting in flush(), and one that
   * has gone may never have begun it.
   */
  #giveUp(): void {
    this.#end(this.#options.deadline.cause() ?? 'upstream_truncated')
    this.#close()
    void this.#drop()
  }

  /** Aborting alone has left bodies behind in memory (bun#32659). */
  #drop(): Promise<void> {
    return this.#reader.cancel().catch(() => {})
  }

  #end(outcome: RelayEnd['outcome'], isWhole = false): void {
    if (this.#ended) return
    this.#ended = true
    const { deadline, tap, onEnd } = this.#options
    deadline.end()
    onEnd({ outcome, isWhole, bytes: this.#bytes, reported: reportOf(tap) })
  }

  async #untilRead(flushed: unknown): Promise<void> {
    const { deadline, slot } = this.#options
    const letGo = slot.holdUnread(UNREAD_BYTES, () => deadline.abandon())
    deadline.waitForClient(true)
    try {
      await flushed
    } finally {
      letGo()
      deadline.waitForClient(false)
    }
  }
}
