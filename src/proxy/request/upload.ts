/**
 * The body of a call on its way to the upstream: read whole if it is short or must be understood, else streamed as it
 * arrives, no faster than the upstream takes it. Its limit holds whatever its headers claim.
 */
import { type BodyProblem, hasBody, isShort, readBytes } from '../../http/read-body.ts'
import { nextTurn } from '../../lib/next-turn.ts'
import type { Slot } from '../in-flight.ts'

export type Upload = {
  readonly body: Uint8Array | Streamed | null
  /** How much has passed so far. */
  bytes(): number
}

type UploadProblem = 'upload_too_large' | 'never_sent'

export type Streamed = {
  /** What the client says the length is; null if it does not know. */
  readonly declared: string | null
  /** Why the stream has not been passed on to its end, apart from the client's leaving. */
  problem(): Promise<UploadProblem | null>
  /** `onBytes` hears of every piece, so that a slow upload is not taken for a silent upstream. */
  stream(onBytes: () => void): ReadableStream<Uint8Array>
}

export type UploadResult =
  | { readonly ok: true; readonly upload: Upload }
  | { readonly ok: false; readonly problem: BodyProblem }

export type UploadOptions = {
  readonly whole: boolean
  readonly bytesMax: number
  readonly timeoutMs: number
  readonly slot: Slot
}

/** What Bun reads ahead of an upstream that takes nothing, seen on 1.4.5: it then reads no more from the client. */
const READ_AHEAD_BYTES = 1_280 * 1024

const NOTHING: Upload = { body: null, bytes: () => 0 }

export async function takeUpload(
  request: Request,
  { whole, bytesMax, timeoutMs, slot }: UploadOptions,
): Promise<UploadResult> {
  const { headers } = request
  if (!hasBody(headers)) return { ok: true, upload: NOTHING }
  const declared = headers.get('content-length')
  if (Number(declared ?? 0) > bytesMax) return { ok: false, problem: 'too_large' }

  if (whole || isShort(headers)) {
    const read = await readBytes(request, { bytesMax, timeoutMs, takeMemory: slot.takeMemory })
    if (!read.ok) return read
    const { bytes } = read
    return { ok: true, upload: { body: bytes, bytes: () => bytes.byteLength } }
  }
  const held = Math.min(Number(declared ?? READ_AHEAD_BYTES), READ_AHEAD_BYTES)
  if (!slot.takeMemory(held)) return { ok: false, problem: 'no_memory' }
  return { ok: true, upload: streamed(request, bytesMax, () => slot.giveBack(held)) }
}

export function isStreamed(body: string | Uint8Array | Streamed | null): body is Streamed {
  return body !== null && typeof body === 'object' && 'stream' in body
}

/** `onEnd` is called when nothing of it is held any more, if it comes to that. */
function streamed(request: Request, bytesMax: number, onEnd: () => void): Upload {
  const { body: source, signal } = request
  const declared = request.headers.get('content-length')
  let bytes = 0
  let problem: UploadProblem | null = null
  let isGivenUp = false
  let isWhole = false
  let hasCome: Promise<boolean> | null = null
  const stream = (onBytes: () => void) => {
    const reader = source?.getReader()
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = (await reader?.read()) ?? { done: true }
          if (isGivenUp) return
          if (value) {
            onBytes()
            bytes += value.byteLength
          }
          if (bytes > bytesMax) {
            problem = 'upload_too_large'
            controller.error(new Error('the body is too large'))
            await reader?.cancel()
            return
          }
          if (!isWhole && (done || bytes === Number(declared ?? Number.NaN))) {
            // Trailers, or whatever else follows in the same packet, make Bun close the connection in this very turn: the
            // upstream must not take for a whole request what its client will get no answer to.
            problem = 'never_sent'
            await nextTurn()
            if (signal.aborted) return controller.error(new Error('the connection was closed'))
            problem = null
            isWhole = true
          }
          if (value) controller.enqueue(value)
          if (!done) return
          onEnd()
          controller.close()
        },
        cancel(reason) {
          isGivenUp = true
          if (isWhole || !reader || !signal.aborted) return reader?.cancel(reason)
          hasCome = comesToEnd(reader)
        },
      },
      // Nothing is read before the upstream asks for it.
      { highWaterMark: 0 },
    )
  }
  const problemOf = async () => problem ?? ((await hasCome) ? 'never_sent' : null)
  const length = declared === null ? null : String(Number(declared))
  return { bytes: () => bytes, body: { declared: length, problem: problemOf, stream } }
}

/**
 * Whether a connection that is closed had brought all of the body. Then it was Bun that closed it, on what came behind, or
 * the client has left; either way the upstream has no whole request. Of a body that breaks off, reading fails (Bun 1.4.5).
 */
async function comesToEnd(reader: Pick<ReadableStreamDefaultReader, 'read'>): Promise<boolean> {
  const late = Bun.sleep(REST_MS).then(() => null)
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late])
      if (read === null || read.done) return read !== null
    }
  } catch {
    return false
  }
}

/** What is left has been read already by Bun, and comes at once. */
const REST_MS = 1_000
