/**
 * Passes the upstream's body on and reports its end exactly once: when it is whole, when the upstream breaks off, or when
 * the client leaves. What is counted in it is counted beside the bytes: they wait for nothing. A short body is read whole
 * first, so that one that is cut off is no answer at all.
 */
import { SHORT_BYTES_MAX } from '../../http/request/read-body.ts'
import type { Tap } from '../../metering/answer/tap.ts'
import type { Deadline } from '../send/deadline.ts'
import { type RelayOptions, relayStream, reportOf } from './stream.ts'

/** A body to answer with; null if the upstream broke off before anything of it was passed on. */
export type Relayed = { readonly body: Uint8Array | ReadableStream<Uint8Array> | null } | null

export async function relay(upstream: Response, options: RelayOptions): Promise<Relayed> {
  const { deadline, tap, onEnd } = options
  try {
    const length = shortLengthOf(upstream.headers)
    if (length === null && upstream.body) return { body: relayStream(upstream.body, options) }
    const whole = await readWhole(upstream, length ?? 0, deadline)
    deadline.end()
    const body = tap ? passWhole(tap, whole) : whole
    const bytes = body.byteLength
    onEnd({ outcome: 'answered', isWhole: true, bytes, reported: reportOf(tap) })
    return { body: bytes === 0 ? null : body }
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

/** The length of a short answer. RFC 9112 section 6.3: beside a Transfer-Encoding, Content-Length does not say it. */
function shortLengthOf(headers: Headers): number | null {
  const declared = headers.get('content-length')
  if (declared === null) return null
  const length = Number(declared)
  return length <= SHORT_BYTES_MAX && !headers.has('transfer-encoding') ? length : null
}
