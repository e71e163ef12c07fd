/**
 * Passes the upstream's body on and reports its end exactly once: when it is whole, when the upstream breaks off, or when
 * the client leaves. A body that was cut off ends as an error, never as if it were whole; at most one chunk is held. What
 * is counted in it is counted beside the bytes: they wait for nothing.
 */
import { peek } from 'bun'
import type { Outcome } from '../../domain/call.ts'
import type { Report } from '../../metering/reckon.ts'
import type { Tap } from '../../metering/tap.ts'
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

/** Bodies declared no longer than this are read whole before the answer: a third of the cost of a stream. */
const WHOLE_BYTES_MAX = 64 * 1024

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
  return { usage: tap?.usage() ?? null, units: tap?.units() ?? null }
}

/** The length of a short answer. RFC 9112 section 6.3: beside a Transfer-Encoding, Content-Length does not say it. */
function shortLengthOf(headers: Headers): number | null {
  const declared = headers.get('content-length')
  if (declared === null) return null
  const length = Number(declared)
  return length <= WHOLE_BYTES_MAX && !headers.has('transfer-encoding') ? length : null
}

function relayStream(
  body: ReadableStream<Uint8Array>,
  { deadline, tap, slot, onEnd }: RelayOptions,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let bytes = 0
  let ended = false
  const end = (outcome: RelayEnd['outcome']) => {
    if (ended) return
    ended = true
    deadline.end()
    onEnd({ outcome, bytes, reported: reportOf(tap) })
  }
  let close = () => {}
  // Ends the call also if nobody gets on with it: a client that does not read leaves the loop below waiting in flush(),
  // and one that has gone may never have begun it.
  const giveUp = () => {
    end(deadline.cause() ?? 'upstream_truncated')
    close()
    // Aborting alone has left bodies behind in memory (bun#32659).
    void reader.cancel().catch(() => {})
  }
  deadline.signal.addEventListener('abort', giveUp, { once: true })
  const untilRead = async (flushed: unknown) => {
    const letGo = slot.holdUnread(UNREAD_BYTES, deadline.abandon)
    deadline.waitForClient(true)
    try {
      await flushed
    } finally {
      letGo()
      deadline.waitForClient(false)
    }
  }
  // Bun's own kind of stream, which writes straight to the socket: half the cost of the standard kind.
  return new ReadableStream<Uint8Array>({
    type: 'direct',
    async pull(controller) {
      close = () => controller.close(new Error('The call was given up.'))
      try {
        for (;;) {
          const { done, value } = await reader.read()
          const passed = done ? tap?.flush() : tap ? tap.pass(value) : value
          if (passed) {
            bytes += passed.byteLength
            controller.write(passed)
          }
          if (done) break
          deadline.touch()
          // Pending if the socket has not taken all of it: the upstream is read no faster than the client reads. A plain
          // flush() does not wait, and an unread answer would pile up in memory.
          const flushed: unknown = controller.flush(true)
          await (peek.status(flushed) === 'pending' ? untilRead(flushed) : flushed)
        }
        end('answered')
        controller.close()
      } catch (error) {
        end(deadline.cause() ?? 'upstream_truncated')
        throw error
      }
    },
    cancel() {
      deadline.abandon()
      end('client_aborted')
      // Aborting alone has left bodies behind in memory (bun#32659).
      return reader.cancel().catch(() => {})
    },
  })
}
