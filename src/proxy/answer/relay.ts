/**
 * Passes the upstream's body on and reports its end exactly once: when it is whole, when the upstream breaks off, or when
 * the client leaves. A body that was cut off ends as an error, never as if it were whole; at most one chunk is held. What
 * is counted in it is counted beside the bytes: they wait for nothing.
 */
import { peek } from 'bun'
import type { Outcome } from '../../domain/call.ts'
import { SHORT_BYTES_MAX } from '../../http/request/read-body.ts'
import { NO_REPORT, type Tap } from '../../metering/answer/tap.ts'
import type { Report } from '../../metering/reckon.ts'
import type { Slot } from '../in-flight.ts'
import type { Deadline } from '../send/deadline.ts'

export type RelayEnd = {
  readonly outcome: Extract<
    Outcome,
    'answered' | 'client_aborted' | 'upstream_timeout' | 'upstream_truncated'
  >
  readonly bytes: number
  readonly reported: Report
}

/** A body to answer with; null if the upstream broke off before anything of it was passed on. */
export type Relayed = { readonly body: Uint8Array | ReadableStream<Uint8Array> | null } | null

/** What Bun holds of an answer whose client does not read, seen on 1.4.5: it then reads no more from the upstream. */
const UNREAD_BYTES = 1_536 * 1024

export type RelayOptions = {
  readonly deadline: Deadline
  readonly tap: Tap | null
  readonly slot: Pick<Slot, 'holdUnread'>
  /** Called exactly once, unless the answer is null. */
  readonly onEnd: (end: RelayEnd) => void
}

export async function relay(upstream: Response, options: RelayOptions): Promise<Relayed> {
  const { deadline, tap, onEnd } = options
  try {
    const length = shortLengthOf(upstream.headers)
    if (length === null && upstream.body) return { body: relayStream(upstream.body, options) }
    const whole = await readWhole(upstream, length ?? 0, deadline)
    deadline.end()
    const body = tap ? passWhole(tap, whole) : whole
    onEnd({ outcome: 'answered', bytes: body.byteLength, reported: reportOf(tap) })
    return { body: body.byteLength === 0 ? null : body }
  } catch {
    deadline.end()
    return null
  }
}

/**
 * Piece by piece, as a slow upstream is not a silent one. `length` is what it has declared: an answer that has come in one
 * piece need not be asked for its end.
 */
async function readWhole(
  { body }: Response,
  length: number,
  deadline: Deadline,
): Promise<Uint8Array> {
  const reader = body?.getReader()
  const first = await reader?.read()
  if (!reader || !first || first.done) return EMPTY
  if (first.value.byteLength === length) return first.value
  const chunks: Uint8Array[] = [first.value]
  for (;;) {
    deadline.touch()
    const { done, value } = await reader.read()
    if (done) return chunks.length === 1 ? first.value : Buffer.concat(chunks)
    chunks.push(value)
  }
}

const EMPTY = new Uint8Array()

function passWhole(tap: Tap, whole: Uint8Array): Uint8Array {
  const passed = tap.pass(whole) ?? EMPTY
  const rest = tap.flush()
  return rest ? Buffer.concat([passed, rest]) : passed
}

function reportOf(tap: Tap | null): Report {
  return tap?.report() ?? NO_REPORT
}

/** The length of a short answer. RFC 9112 section 6.3: beside a Transfer-Encoding, Content-Length does not say it. */
function shortLengthOf(headers: Headers): number | null {
  const declared = headers.get('content-length')
  if (declared === null) return null
  const length = Number(declared)
  return length <= SHORT_BYTES_MAX && !headers.has('transfer-encoding') ? length : null
}

function relayStream(
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

class StreamRelay {
  readonly #reader: BodyReader
  readonly #options: RelayOptions
  #bytes = 0
  #ended = false
  #close = () => {}

  constructor(reader: BodyReader, options: RelayOptions) {
    this.#reader = reader
    this.#options = options
    options.deadline.signal.addEventListener('abort', () => this.#giveUp(), { once: true })
  }

  /** Passes everything on, no faster than the client reads. */
  async pull(controller: ReadableStreamDirectController): Promise<void> {
    this.#close = () => controller.close(new Error('The call was given up.'))
    const { deadline, tap } = this.#options
    try {
      for (;;) {
        // All that has come so far: a piece at a time would cost a turn of promises each.
        const { done, value: pieces } = await this.#reader.readMany()
        for (const piece of pieces) this.#write(controller, tap ? tap.pass(piece) : piece)
        if (done) break
        deadline.touch()
        // Pending if the socket has not taken all of it: the upstream is read no faster than the client reads. A plain
        // flush() does not wait, and an unread answer would pile up in memory.
        const flushed: unknown = controller.flush(true)
        if (peek.status(flushed) === 'pending') await this.#untilRead(flushed)
      }
      this.#write(controller, tap?.flush() ?? null)
      this.#end('answered')
      controller.close()
    } catch (error) {
      this.#end(deadline.cause() ?? 'upstream_truncated')
      throw error
    }
  }

  /** The client has left. */
  cancel(): Promise<void> {
    this.#options.deadline.abandon()
    this.#end('client_aborted')
    return this.#drop()
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

  #end(outcome: RelayEnd['outcome']): void {
    if (this.#ended) return
    this.#ended = true
    const { deadline, tap, onEnd } = this.#options
    deadline.end()
    onEnd({ outcome, bytes: this.#bytes, reported: reportOf(tap) })
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
