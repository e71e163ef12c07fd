/**
 * The beginning of an answer, which is read before any of it is passed on, once for all who look at it; and the answers that
 * are made of it.
 */
import { codingsOf, unpackInto } from '../../../metering/answer/unpack.ts'
import { OF_THE_BYTES } from '../../headers/response.ts'
import type { Deadline } from '../../send/deadline.ts'

/** Errors have a few hundred bytes; pages of reverse proxies have some thousand. */
const BEGINNING_BYTES_MAX = 64 * 1024
/** No more of what a compressed beginning unpacks to is looked at. */
export const UNPACKED_BYTES_MAX = 4 * BEGINNING_BYTES_MAX

export type Beginning = {
  readonly bytes: Buffer
  /** What comes after; null if that is all. */
  readonly rest: Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'> | null
  readonly failed: boolean
  drop(): void
}

export async function readBeginning({ body }: Response, deadline: Deadline): Promise<Beginning> {
  const reader = body?.getReader() ?? null
  const drop = () => void reader?.cancel().catch(() => {})
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    while (reader && length <= BEGINNING_BYTES_MAX) {
      const { done, value } = await reader.read()
      if (done) return { bytes: Buffer.concat(chunks), rest: null, failed: false, drop }
      deadline.touch()
      chunks.push(value)
      length += value.byteLength
    }
    return { bytes: Buffer.concat(chunks), rest: reader, failed: false, drop }
  } catch {
    return { bytes: Buffer.concat(chunks), rest: null, failed: true, drop }
  }
}

/**
 * What the bytes unpack to, a part to a part: whatever codings they are in, and as they are where they are in none. Empty if
 * nothing of it can be read.
 */
export function unpack(bytes: Buffer, encoding: string | null): Buffer {
  const parts: Buffer[] = []
  let length = 0
  const unpacker = unpackInto(
    {
      take(part) {
        parts.push(Buffer.from(part))
        length += part.byteLength
      },
      get isDone() {
        return length > UNPACKED_BYTES_MAX
      },
    },
    codingsOf(encoding),
  )
  unpacker.take(bytes)
  unpacker.close()
  return Buffer.concat(parts)
}

export function withoutBody(read: Beginning, { status, headers }: Response): Response {
  read.drop()
  const kept = new Headers(headers)
  for (const name of [...OF_THE_BYTES, 'content-type', 'content-encoding', 'transfer-encoding'])
    kept.delete(name)
  kept.set('content-length', '0')
  return new Response(null, { status, headers: kept })
}

/** An answer of what has been read and what comes after it. */
export function put(
  { bytes, rest }: Beginning,
  { status, headers: own, body }: Response,
  headers = own,
): Response {
  if (body === null) return new Response(null, { status, headers })
  if (rest === null) return new Response(bytes, { status, headers })
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes),
    async pull(controller) {
      const { done, value } = await rest.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: () => rest.cancel(),
  })
  return new Response(stream, { status, headers })
}
