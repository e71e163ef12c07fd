/**
 * Reads a whole request body within a limit of bytes, of time and of memory, whatever its headers
 * claim. It gives up a body that is too large at once, and does not read to its end.
 */
import { isUtf8 } from 'node:buffer'
import { startTimer, stopTimer } from '../../lib/process/coarse-timer.ts'

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

/** The headers of a request by lower-case name, as `Headers.toJSON` gives them. */
type HeaderValues = Readonly<Record<string, string>>

/** Bodies declared no longer than this are taken in one piece: a third of the cost of a stream. */
export const SHORT_BYTES_MAX = 64 * 1024

/** RFC 9112 section 6.3: a request with neither field has no body. */
export function hasBody(headers: HeaderValues): boolean {
  const declared = headers['content-length']
  return declared === undefined ? 'transfer-encoding' in headers : Number(declared) > 0
}

/** Whether there is a body whose length is declared and short. */
export function isShort(headers: HeaderValues): boolean {
  const declared = headers['content-length']
  return declared !== undefined && Number(declared) <= SHORT_BYTES_MAX
}

/** As text, which must be UTF-8. */
export async function readBody(
  request: Request,
  headers: HeaderValues,
  limits: BodyLimits,
): Promise<BodyResult> {
  const read = await readBytes(request, headers, limits)
  if (!read.ok) return read
  const text = decode(read.bytes)
  return text === null
    ? { ok: false, problem: 'not_text' }
    : { ok: true, text, bytes: read.bytes.byteLength }
}

export async function readBytes(
  request: Request,
  headers: HeaderValues,
  { bytesMax, timeoutMs, takeMemory = () => true }: BodyLimits,
  begun: Begun | null = null,
): Promise<BytesResult> {
  const declared = Number(headers['content-length'] ?? 0)
  if (declared > bytesMax) return { ok: false, problem: 'too_large' }
  const short = isShort(headers)
  if (short && !takeMemory(declared)) return { ok: false, problem: 'no_memory' }

  // RFC 9110 section 8.6: a declared length is the length, and the listener holds the sender to it.
  const reader = short ? null : (begun?.reader ?? readerOf(request))
  const read = reader
    ? readChunks(reader, bytesMax, takeMemory, begun?.head ?? null)
    : request.bytes()
  const bytes = await within(timeoutMs, read)
  if (reader) void reader.cancel().catch(() => {})
  return typeof bytes === 'string' ? { ok: false, problem: bytes } : { ok: true, bytes }
}

/** A body of which the first piece was read; null if it has none. */
export type Begun = { readonly head: Uint8Array | null; readonly reader: ByteReader }

export async function beginBody(
  request: Request,
  timeoutMs: number,
): Promise<Begun | Exclude<BodyProblem, 'not_text'>> {
  const reader = readerOf(request)
  if (!reader) return 'aborted'
  const first = await within(timeoutMs, reader.read())
  return typeof first === 'string' ? first : { head: first.value ?? null, reader }
}

function readerOf(request: Request): ByteReader | undefined {
  return (request.body as ReadableStream<Uint8Array> | null)?.getReader()
}

/** What is read, unless that takes longer or fails. */
function within<Read>(
  timeoutMs: number,
  reading: Promise<Read>,
): Promise<Read | 'too_slow' | 'aborted'> {
  return new Promise((resolve) => {
    const timer = { dueMs: performance.now() + timeoutMs, ring: () => resolve('too_slow') }
    startTimer(timer)
    reading.then(
      (read) => {
        stopTimer(timer)
        resolve(read)
      },
      () => {
        stopTimer(timer)
        resolve('aborted')
      },
    )
  })
}

export type ByteReader = {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
  cancel(reason?: unknown): Promise<void>
}

async function readChunks(
  reader: ByteReader,
  bytesMax: number,
  takeMemory: (bytes: number) => boolean,
  head: Uint8Array | null,
): Promise<Uint8Array | 'too_large' | 'no_memory'> {
  const chunks: Uint8Array[] = []
  let length = 0
  for (let next = head; ; next = null) {
    const value = next ?? (await reader.read()).value
    if (!value) return Buffer.concat(chunks)
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
