/**
 * Writes AWS's event stream encoding, as Bedrock streams it:
 * https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html (2026-11-28).
 */
import { crc32 } from 'node:zlib'

export type FrameHeader = readonly [name: string, value: string | Uint8Array]

/** A value that is no text is written as it is: its type, and what follows it. */
export function frame(
  payload: string | Uint8Array,
  headers: readonly FrameHeader[] = EVENT,
): Buffer {
  const written = Buffer.concat(headers.map(headerBytes))
  const body = Buffer.from(payload as string)
  const lengths = uint32(16 + written.length + body.length, written.length)
  const head = Buffer.concat([lengths, uint32(crc32(lengths)), written, body])
  return Buffer.concat([head, uint32(crc32(head))])
}

export const EVENT: readonly FrameHeader[] = [
  [':event-type', 'chunk'],
  [':content-type', 'application/json'],
  [':message-type', 'event'],
]

/** An event of ConverseStream. */
export function converse(event: object): Buffer {
  return frame(JSON.stringify({ ...event, p: 'abcdefghij' }))
}

/** An event of InvokeModelWithResponseStream. */
export function chunk(event: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(event)).toString('base64')
  return frame(JSON.stringify({ bytes, p: 'abcdef' }))
}

export function exception(type: string, message = 'Try again.'): Buffer {
  return frame(JSON.stringify({ message }), [
    [':exception-type', type],
    [':content-type', 'application/json'],
    [':message-type', 'exception'],
  ])
}

function headerBytes([name, value]: FrameHeader): Buffer {
  const named = Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name)])
  if (typeof value !== 'string') return Buffer.concat([named, value])
  const length = Buffer.byteLength(value)
  return Buffer.concat([named, Buffer.from([7, length >> 8, length & 0xff]), Buffer.from(value)])
}

function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value, 4 * at)
  return bytes
}
