/**
 * The body of a call on its way to the upstream: read whole if it is short or must be understood, else streamed as it
 * arrives, no faster than the upstream takes it. Its limit holds whatever its headers claim.
 */

import type { Refusal } from '../../errors.ts'
import { type BodyProblem, hasBody, isShort, readBytes } from '../../http/request/read-body.ts'
import { nextTurn } from '../../lib/process/next-turn.ts'
import type { Fields } from '../headers/fields.ts'
import type { Slot } from '../in-flight.ts'
import { bodyRefusal } from './body-refusal.ts'

export type Upload = {
  readonly body: Uint8Array | Streamed | null
  /** How much has passed so far. */
  bytes(): number
}

export type Streamed = {
  /** What the client says the length is; null if it does not know. */
  readonly declared: string | null
  /** Whether more has come than is allowed; the stream has then failed. */
  isTooLarge(): boolean
  /** Whether it has been passed on to its end. */
  isPassedOn(): boolean
  /** `onBytes` hears of every piece, so that a slow upload is not taken for a silent upstream. */
  stream(onBytes: () => void): ReadableStream<Uint8Array>
}

/** The text of a body that was read whole to be understood. */
export type BodyTaken =
  | { readonly ok: true; readonly upload: Upload | TextUpload }
  | { readonly ok: false; readonly refusal: Refusal }

export type TextUpload = { readonly body: string | null; bytes(): number }

/**
 * `whole` reads the body to be understood; `foresee` is asked before a long one is read. May be called
 * again.
 */
export type TakeBody = (
  whole: boolean,
  foresee: () => Promise<Refusal | null>,
) => BodyTaken | Promise<BodyTaken>

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
  headers: Fields,
  { whole, bytesMax, timeoutMs, slot }: UploadOptions,
): Promise<UploadResult> {
  if (!hasBody(headers)) return { ok: true, upload: NOTHING }
  const declared = headers['content-length']
  if (Number(declared ?? 0) > bytesMax) return { ok: false, problem: 'too_large' }

  if (whole || isShort(headers)) {
    const limits = { bytesMax, timeoutMs, takeMemory: slot.takeMemory }
    const read = await readBytes(request, headers, limits)
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

/** A body can be read once: whoever asks for it again is given the same, or refused for the same reason. */
export function bodyTaker(
  request: Request,
  fields: Fields,
  { bytesMax, timeoutMs, slot }: Omit<UploadOptions, 'whole'>,
): TakeBody {
  let taken: BodyTaken | null = null
  return async (whole, foresee) => {
    if (taken && !(whole && taken.ok && isStreamed(taken.upload.body))) return taken
    if (whole && hasBody(fields) && !isShort(fields)) {
      const refusal = await foresee()
      if (refusal) return { ok: false, refusal }
    }
    const max = whole ? Math.min(bytesMax, slot.memoryMax) : bytesMax
    const upload = await takeUpload(request, fields, { whole, bytesMax: max, timeoutMs, slot })
    taken = upload.ok ? upload : { ok: false, refusal: bodyRefusal(upload.problem, max) }
    return taken
  }
}

/** `onEnd` is called when nothing of it is held any more, if it comes to that. */
function streamed(request: Request, bytesMax: number, onEnd: () => void): Upload {
  const { body: source, signal } = request
  const declared = request.headers.get('content-length')
  const length = declared === null ? null : Number(declared)
  let bytes = 0
  let isPassedOn = false
  const isTooLarge = () => bytes > bytesMax
  const stream = (onBytes: () => void) => {
    const reader = source?.getReader()
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = (await reader?.read()) ?? { done: true }
          if (value) {
            onBytes()
            bytes += value.byteLength
          }
          if (isTooLarge()) {
            controller.error(new Error('the body is too large'))
            await reader?.cancel()
            return
          }
          if (!isPassedOn && (done || bytes === length)) {
            // Trailers, or whatever else follows in the same packet, make Bun close the connection in this very turn: the
            // upstream must not take for a whole request what its client will get no answer to, and is not charged for.
            await nextTurn()
            if (signal.aborted) return controller.error(new Error('the connection was closed'))
            isPassedOn = true
          }
          if (value) controller.enqueue(value)
          if (!done) return
          onEnd()
          controller.close()
        },
        cancel: (reason) => reader?.cancel(reason),
      },
      // Nothing is read before the upstream asks for it.
      { highWaterMark: 0 },
    )
  }
  const body = {
    declared: length === null ? null : String(length),
    isTooLarge,
    isPassedOn: () => isPassedOn,
    stream,
  }
  return { bytes: () => bytes, body }
}
