/**
 * Reads a request body whole, within a limit of bytes and of time, whatever its headers claim. What is too large is
 * given up at once, not read to its end.
 */
import { isUtf8 } from 'node:buffer'

export type BodyProblem = 'too_large' | 'too_slow' | 'not_text' | 'aborted'

export type BodyResult =
  | { readonly ok: true; readonly text: string; readonly bytes: number }
  | { readonly ok: false; readonly problem: BodyProblem }

export async function readBody(
  request: Request,
  bytesMax: number,
  timeoutMs: number,
): Promise<BodyResult> {
  const declared = request.headers.get('content-length')
  if (Number(declared ?? 0) > bytesMax) return { ok: false, problem: 'too_large' }

  let timer: Timer | undefined
  const late = new Promise<'too_slow'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'too_slow')
  })
  try {
    // RFC 9110 section 8.6: a declared length is the length, and the listener holds the sender to it.
    // Asking for `body` makes it a stream, at a third more of the cost of a call.
    const read = declared === null ? readChunks(request.body, bytesMax) : request.bytes()
    const bytes = await Promise.race([read, late])
    if (typeof bytes === 'string') return { ok: false, problem: bytes }
    return decode(bytes)
  } catch {
    return { ok: false, problem: 'aborted' }
  } finally {
    clearTimeout(timer)
  }
}

async function readChunks(body: ReadableStream<Uint8Array> | null, bytesMax: number) {
  const chunks: Uint8Array[] = []
  let length = 0
  // Leaving the loop cancels the body.
  for await (const chunk of body ?? []) {
    length += chunk.byteLength
    if (length > bytesMax) return 'too_large' as const
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function decode(bytes: Uint8Array): BodyResult {
  if (!isUtf8(bytes)) return { ok: false, problem: 'not_text' }
  const { buffer, byteOffset, byteLength } = bytes
  return {
    ok: true,
    text: Buffer.from(buffer, byteOffset, byteLength).toString(),
    bytes: byteLength,
  }
}
