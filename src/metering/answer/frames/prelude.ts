/**
 * The beginning of each frame of AWS's event stream encoding: two lengths, and a checksum that tells a frame from anything else.
 * All numbers are big-endian. Pure.
 *
 * https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html (2026-11-28)
 */
import { crc32 } from 'node:zlib'

export const PRELUDE_BYTES = 12
/** The checksum at the end of the prelude, and the one at the end of the frame. */
export const CRC_BYTES = 4

/** `AWS_EVENT_STREAM_MAX_MESSAGE_SIZE` and `AWS_EVENT_STREAM_MAX_HEADERS_SIZE` of github.com/awslabs/aws-c-event-stream. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024
const HEADERS_BYTES_MAX = 128 * 1024

export type Prelude = {
  readonly headersBytes: number
  readonly payloadBytes: number
}

/** Null if no frame begins so. */
export function preludeOf(bytes: Uint8Array): Prelude | null {
  if (bytes.length < PRELUDE_BYTES) return null
  const [frameBytes, headersBytes] = [uint32At(bytes, 0), uint32At(bytes, 4)]
  const payloadBytes = frameBytes - PRELUDE_BYTES - headersBytes - CRC_BYTES
  if (frameBytes > FRAME_BYTES_MAX || headersBytes > HEADERS_BYTES_MAX || payloadBytes < 0)
    return null
  const end = PRELUDE_BYTES - CRC_BYTES
  return crc32(bytes.subarray(0, end)) === uint32At(bytes, end)
    ? { headersBytes, payloadBytes }
    : null
}

/** Whether a frame may begin with this byte: the first of a length up to the maximum. */
export function mayBeginFrame(byte: number | undefined): boolean {
  return byte !== undefined && byte <= FRAME_BYTES_MAX >>> 24
}

export function uint32At(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}
