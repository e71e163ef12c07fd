/**
 * Undoes the codings of a request body (RFC 9110 section 8.4), within a bound: a few bytes may stand for very many. The work
 * is done off the thread that answers calls.
 */
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib'
import { errorCode } from '../../lib/error-code.ts'

type Unpack = (
  bytes: Uint8Array,
  options: { readonly maxOutputLength: number },
  done: (error: Error | null, unpacked: Buffer) => void,
) => void

/** RFC 9110 section 8.4.1.2: `deflate` is zlib's format. Some clients send it bare. */
const inflateEither: Unpack = (bytes, options, done) => {
  const [first = 0, second = 0] = bytes
  const isZlib = (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
  return isZlib ? inflate(bytes, options, done) : inflateRaw(bytes, options, done)
}

const UNPACKERS: ReadonlyMap<string, Unpack> = new Map<string, Unpack>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  ['deflate', inflateEither],
  ['br', brotliDecompress],
  ['zstd', (bytes, options, done) => zstdDecompress(bytes, options, done)],
])

/** Nobody codes a body more often than that. */
const CODINGS_MAX = 2

/** JSON of much repetition shrinks to a fiftieth. What shrinks further is meant to hurt, unless it is small anyway. */
const RATIO_MAX = 100
const SMALL_BYTES = 1024 * 1024

export type Decoded =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: 'unknown_coding' | 'too_large' | 'broken' }

/** The codings that a Content-Encoding names, in the order in which they were applied. */
export function codingsOf(contentEncoding: string | undefined): string[] {
  if (contentEncoding === undefined) return []
  return contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
}

export function areKnown(codings: readonly string[]): boolean {
  return codings.length <= CODINGS_MAX && codings.every((coding) => UNPACKERS.has(coding))
}

/** The most bytes that a body of this length may become. */
export function decodedMax(length: number, bytesMax: number): number {
  return Math.min(bytesMax, Math.max(SMALL_BYTES, length * RATIO_MAX))
}

export async function decodeBody(
  bytes: Uint8Array,
  codings: readonly string[],
  bytesMax: number,
): Promise<Decoded> {
  if (!areKnown(codings)) return { ok: false, problem: 'unknown_coding' }
  const maxOutputLength = decodedMax(bytes.byteLength, bytesMax)
  let decoded = bytes
  try {
    for (const coding of codings.toReversed())
      decoded = await unpack(decoded, coding, maxOutputLength)
  } catch (error) {
    const isBomb = errorCode(error) === 'ERR_BUFFER_TOO_LARGE'
    return { ok: false, problem: isBomb ? 'too_large' : 'broken' }
  }
  return { ok: true, bytes: decoded }
}

function unpack(bytes: Uint8Array, coding: string, maxOutputLength: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    UNPACKERS.get(coding)?.(bytes, { maxOutputLength }, (error, unpacked) =>
      error ? reject(error) : resolve(unpacked),
    )
  })
}
