/** What the headers of a frame say of it: whether it is an event, or tells of an error. Pure. */

/** `other` is also a frame that does not say. */
export type FrameKind = 'failure' | 'other'

/** By type: how many bytes a value has. Of the types that are missing, two bytes before the value tell. */
const VALUE_BYTES: Readonly<Record<number, number>> = {
  ...{ 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 },
}
const BYTE_ARRAY = 6
const TEXT = 7

/** Frames of these types end the stream: one names an error of the API, the other one that the API does not know. */
const FAILURES = [Buffer.from('exception'), Buffer.from('error')]

const NAME = Buffer.from(':message-type')

/** Null if they are not valid. `headers` are all of one frame. */
export function kindOf(headers: Uint8Array): FrameKind | null {
  let kind: FrameKind = 'other'
  for (let at = 0; at < headers.length; ) {
    const nameEnd = at + 1 + (headers[at] as number)
    const type = headers[nameEnd]
    const isLong = type === BYTE_ARRAY || type === TEXT
    const start = nameEnd + (isLong ? 3 : 1)
    if (type === undefined) return null
    const length = isLong ? uint16At(headers, start - 2) : VALUE_BYTES[type]
    if (length === undefined || start + length > headers.length) return null
    if (type === TEXT && holds(headers, at + 1, nameEnd, NAME)) {
      const end = start + length
      if (FAILURES.some((failure) => holds(headers, start, end, failure))) kind = 'failure'
    }
    at = start + length
  }
  return kind
}

function uint16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function holds(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  return end - start === text.length && text.every((byte, at) => bytes[start + at] === byte)
}
