/**
 * The body of a call on its way to the upstream: read whole if it is short or must be understood, else streamed as it
 * arrives, no faster than the upstream takes it. Its limit holds whatever its headers claim.
 */

import type { Refusal } from '../../../errors.ts'
import {
  type Begun,
  type BodyProblem,
  beginBody,
  hasBody,
  isShort,
  readBytes,
} from '../../../http/request/read-body.ts'
import { nextTurn } from '../../../lib/process/next-turn.ts'
import type { Fields } from '../../headers/fields.ts'
import type { Slot } from '../../in-flight.ts'
import { bodyRefusal } from './refusal.ts'

export type Upload = {
  /** A text if it was read for more than the body. */
  readonly body: string | Uint8Array | Streamed | null
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

export type BodyTaken =
  | { readonly ok: true; readonly upload: Upload }
  | { readonly ok: false; readonly refusal: Refusal }

/** `json` reads a body whole if it begins as JSON does, whatever its type says. */
export type Want = 'stream' | 'json' | 'whole'

/**
 * Reads the body to be understood, if that is wanted; `foresee` is asked before a long one is read. May be called again.
 */
export type TakeBody = (
  want: Want,
  foresee: () => Promise<Refusal | null>,
) => BodyTaken | Promise<BodyTaken>

type UploadLimits = {
  readonly bytesMax: number
  readonly timeoutMs: number
  readonly slot: Slot
}

/** What Bun reads ahead of an upstream that takes nothing, seen on 1.4.5: it then reads no more from the client. */
const READ_AHEAD_BYTES = 1_280 * 1024

const NOTHING: Upload = { body: null, bytes: () => 0 }

/** `begun` is what was read of it already. */
async function takeUpload(
  request: Request,
  headers: Fields,
  { bytesMax, timeoutMs, slot }: UploadLimits,
  whole: boolean,
  begun: Begun | null,
): Promise<Upload | BodyProblem> {
  if (!hasBody(headers)) return NOTHING
  const declared = headers['content-length']
  if (Number(declared ?? 0) > bytesMax) return 'too_large'

  if (whole || isShort(headers)) {
    const limits = { bytesMax, timeoutMs, takeMemory: slot.takeMemory }
    const read = await readBytes(request, headers, limits, begun)
    if (!read.ok) return read.problem
    const { bytes } = read
    return { body: bytes, bytes: () => bytes.byteLength }
  }
  const held = Math.min(Number(declared ?? READ_AHEAD_BYTES), READ_AHEAD_BYTES)
  if (!slot.takeMemory(held)) return 'no_memory'
  return streamed(request, bytesMax, begun, () => slot.giveBack(held))
}

export function isStreamed(body: Upload['body']): body is Streamed {
  return body !== null && typeof body === 'object' && 'stream' in body
}

/** A body can be read once: whoever asks for it again is given the same, or refused for the same reason. */
export function bodyTaker(
  request: Request,
  fields: Fields,
  { bytesMax, timeoutMs, slot }: UploadLimits,
): TakeBody {
  let taken: BodyTaken | null = null
  let begun: Begun | null = null
  const isLong = hasBody(fields) && !isShort(fields)
  const wants = async (want: Want): Promise<boolean | BodyProblem> => {
    if (want !== 'json' || !isLong) return want === 'whole'
    if (Number(fields['content-length'] ?? 0) > bytesMax) return 'too_large'
    const read = begun ?? (await beginBody(request, timeoutMs))
    if (typeof read === 'string') return read
    begun = read
    return beginsAsJson(read.head)
  }
  return async (want, foresee) => {
    const isReadable = want !== 'stream' && taken?.ok && isStreamed(taken.upload.body)
    if (taken && !isReadable) return taken
    const whole = await wants(want)
    if (typeof whole === 'string') return { ok: false, refusal: bodyRefusal(whole, bytesMax) }
    if (whole && isLong) {
      const refusal = await foresee()
      if (refusal) return { ok: false, refusal }
    }
    const max = whole ? Math.min(bytesMax, slot.memoryMax) : bytesMax
    const limits = { bytesMax: max, timeoutMs, slot }
    const upload = await takeUpload(request, fields, limits, whole, begun)
    taken =
      typeof upload === 'string'
        ? { ok: false, refusal: bodyRefusal(upload, max) }
        : { ok: true, upload }
    return taken
  }
}

/** Whether it might be a JSON object or list, perhaps behind spaces or a byte order mark. */
export function beginsAsJson(bytes: Uint8Array | null): boolean {
  if (!bytes) return false
  let at = bytes[0] === 0xef ? BYTE_ORDER_MARK_BYTES : 0
  while (SPACES.has(bytes[at] ?? 0)) at++
  return bytes[at] === 0x7b || bytes[at] === 0x5b || at === bytes.byteLength
}

const BYTE_ORDER_MARK_BYTES = 3
/** RFC 8259 section 2. */
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d])

/** `onEnd` is called when nothing of it is held any more, if it comes to that. */
function streamed(
  request: Request,
  bytesMax: number,
  begun: Begun | null,
  onEnd: () => void,
): Upload {
  const { body: source, signal } = request
  const declared = request.headers.get('content-length')
  const length = declared === null ? null : Number(declared)
  let bytes = 0
  let isPassedOn = false
  let head = begun?.head ?? null
  const isTooLarge = () => bytes > bytesMax
  const stream = (onBytes: () => void) => {
    const reader = begun?.reader ?? source?.getReader()
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = head
            ? { done: false, value: head }
            : ((await reader?.read()) ?? { done: true })
          head = null
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
