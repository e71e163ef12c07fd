/**
 * Reads a whole request body within a limit of bytes, of time and of memory, whatever its headers
 * claim. It gives up a body that is too large at once, and does not read to its end.
 */
import { isUtf8 } from 'node:buffer'

export type BodyProblem = 'too_large' | 'too_slow' | 'not_text' | 'aborted' | 'no_memory'

type BytesResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: BodyProblem }

export type BodyResult =
  | { readonly ok: true; readonly text: string; readonly bytes: number }
  | { readonly ok: false; readonly problem: BodyProblem }

export type BodyLimits = {
  readonly bytesMax: number
  /** For the whole body. */
  readonly timeoutMs: number
  /** Called before anything is kept. The reading ends if it returns false. */
  readonly takeMemory?: (bytes: number) => boolean
}

/**
 * A body that declares no more than this is read in one piece, at a third of the cost of a stream.
 */
export const SHORT_BYTES_MAX = 64 * 1024

/** RFC 9112 section 6.3: a request with neither field has no body. */
export function hasBody(headers: Headers): boolean {
  const declared = headers.get('content-length')
  return declared === null ? headers.has('transfer-encoding') : Number(declared) > 0
}

/** Whether the body declares its length, and is short. */
export function isShort(headers: Headers): boolean {
  const declared = headers.get('content-length')
  return declared !== null && Number(declared) <= SHORT_BYTES_MAX
}

/** As text, which must be UTF-8. */
export async function readBody(request: Request, limits: BodyLimits): Promise<BodyResult> {
  const read = await readBytes(request, limits)
  if (!read.ok) return read
  const text = decode(read.bytes)
  return text === null
    ? { ok: false, problem: 'not_text' }
    : { ok: true, text, bytes: read.bytes.byteLength }
}

export async function readBytes(request: Request, limits: BodyLimits): Promise<BytesResult> {
  const { bytesMax, timeoutMs, takeMemory = () => true } = limits
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > bytesMax) return { ok: false, problem: 'too_large' }
  const short = isShort(request.headers)
  if (short && !takeMemory(declared)) return { ok: false, problem: 'no_memory' }

  let timer: Timer | undefined
  const late = new Promise<'too_slow'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'too_slow')
  })
  // RFC 9110 section 8.6: a declared length is the length. The listener holds the sender to it.
  const reader = short ? null : (request.body as ReadableStream<Uint8Array> | null)?.getReader()
  try {
    const read = reader ? readChunks(reader, bytesMax, takeMemory) : request.bytes()
    const bytes = await Promise.race([read, late])
    return typeof bytes === 'string' ? { ok: false, problem: bytes } : { ok: true, bytes }
  } catch {
    return { ok: false, problem: 'aborted' }
  } finally {
    clearTimeout(timer)
    void reader?.cancel().catch(() => {})
  }
}

type ByteReader = {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
}

async function readChunks(
  reader: ByteReader,
  bytesMax: number,
  takeMemory: (bytes: number) => boolean,
): Promise<Uint8Array | 'too_large' | 'no_memory'> {
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done || !value) return Buffer.concat(chunks)
    length += value.byteLength
    if (length > bytesMax) return 'too_large'
    if (!takeMemory(value.byteLength)) return 'no_memory'
    chunks.push(value)
  }
}

/** The bytes as text; null if they are not UTF-8. */
export function decode(bytes: Uint8Array): string | null {
  if (!isUtf8(bytes)) return null
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
