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
const FAILURES = ['exception', 'error']

/** Null if they are not valid. `headers` are all of one frame. */
export function kindOf(headers: Uint8Array): FrameKind | null {
  const bytes = Buffer.from(headers.buffer, headers.byteOffset, headers.byteLength)
  let kind: FrameKind = 'other'
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 1 + (bytes[at] as number)
    const type = bytes[nameEnd]
    const start = nameEnd + (type === BYTE_ARRAY || type === TEXT ? 3 : 1)
    if (type === undefined || start > bytes.length) return null
    const length = VALUE_BYTES[type] ?? (start === nameEnd + 3 ? bytes.readUInt16BE(start - 2) : -1)
    const end = start + length
    if (length < 0 || end > bytes.length) return null
    const isType = type === TEXT && bytes.toString('latin1', at + 1, nameEnd) === ':message-type'
    if (isType && FAILURES.includes(bytes.toString('latin1', start, end))) kind = 'failure'
    at = end
  }
  return kind
}
