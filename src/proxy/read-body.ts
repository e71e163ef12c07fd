/**
 * Reads a request body whole, within a limit of bytes and of time, whatever its headers claim. What is too large is
 * given up at once, not read to its end.
 */

export type BodyProblem = 'too_large' | 'too_slow' | 'not_text' | 'aborted'

export type BodyResult =
  | { readonly ok: true; readonly text: string; readonly bytes: number }
  | { readonly ok: false; readonly problem: BodyProblem }

export async function readBody(
  request: Request,
  bytesMax: number,
  timeoutMs: number,
): Promise<BodyResult> {
  // RFC 9110 section 8.6: a declared length is the length.
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax)
    return { ok: false, problem: 'too_large' }
  if (!request.body) return { ok: true, text: '', bytes: 0 }

  const reader = request.body.getReader()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let text = ''
  let late = false
  const timer = setTimeout(() => {
    late = true
    void reader.cancel().catch(() => {})
  }, timeoutMs)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      bytes += value.byteLength
      if (bytes > bytesMax) {
        void reader.cancel().catch(() => {})
        return { ok: false, problem: 'too_large' }
      }
      text += decode(decoder, value)
    }
    if (late) return { ok: false, problem: 'too_slow' }
    return { ok: true, text: text + decode(decoder), bytes }
  } catch (error) {
    if (error instanceof NotText) return { ok: false, problem: 'not_text' }
    return { ok: false, problem: late ? 'too_slow' : 'aborted' }
  } finally {
    clearTimeout(timer)
  }
}

class NotText extends Error {}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode()
  } catch {
    throw new NotText()
  }
}
