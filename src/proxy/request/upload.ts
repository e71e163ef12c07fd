/**
 * The body of a call on its way to the upstream: read whole if it is short or must be understood, else streamed as it
 * arrives, no faster than the upstream takes it. Its limit holds whatever its headers claim.
 */
import { type BodyProblem, readBytes } from '../../http/read-body.ts'

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
  /** `onBytes` hears of every piece, so that a slow upload is not taken for a silent upstream. */
  stream(onBytes: () => void): ReadableStream<Uint8Array>
}

export type UploadResult =
  | { readonly ok: true; readonly upload: Upload }
  | { readonly ok: false; readonly problem: BodyProblem }

/** Bodies declared no longer than this are read whole: a third of the cost of a stream. */
const WHOLE_BYTES_MAX = 64 * 1024

const NOTHING: Upload = { body: null, bytes: () => 0 }

export async function takeUpload(
  request: Request,
  { whole, bytesMax, timeoutMs }: { whole: boolean; bytesMax: number; timeoutMs: number },
): Promise<UploadResult> {
  if (!hasBody(request.headers)) return { ok: true, upload: NOTHING }
  const declared = request.headers.get('content-length')
  if (Number(declared ?? 0) > bytesMax) return { ok: false, problem: 'too_large' }

  if (whole || (declared !== null && Number(declared) <= WHOLE_BYTES_MAX)) {
    const read = await readBytes(request, bytesMax, timeoutMs)
    if (!read.ok) return read
    const { bytes } = read
    return { ok: true, upload: { body: bytes, bytes: () => bytes.byteLength } }
  }
  return { ok: true, upload: streamed(request.body, declared, bytesMax) }
}

/** RFC 9112 section 6.3: a request with neither field has no body. */
export function hasBody(headers: Headers): boolean {
  const declared = headers.get('content-length')
  return declared === null ? headers.has('transfer-encoding') : declared !== '0'
}

export function isStreamed(body: string | Uint8Array | Streamed | null): body is Streamed {
  return body !== null && typeof body === 'object' && 'stream' in body
}

function streamed(
  source: ReadableStream<Uint8Array> | null,
  declared: string | null,
  bytesMax: number,
): Upload {
  let bytes = 0
  let tooLarge = false
  const stream = (onBytes: () => void) => {
    const reader = source?.getReader()
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = (await reader?.read()) ?? { done: true }
          if (done || !value) return controller.close()
          onBytes()
          bytes += value.byteLength
          tooLarge = bytes > bytesMax
          if (tooLarge) {
            controller.error(new Error('the body is too large'))
            await reader?.cancel()
          } else {
            controller.enqueue(value)
          }
        },
        cancel: (reason) => reader?.cancel(reason),
      },
      // Nothing is read before the upstream asks for it.
      { highWaterMark: 0 },
    )
  }
  return { bytes: () => bytes, body: { declared, isTooLarge: () => tooLarge, stream } }
}
