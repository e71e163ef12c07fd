/**
 * Where the messages of a stream begin and end, found on its bytes: server-sent events (HTML standard, section 9.2) and
 * JSON lines. Both are given bytes that begin with a message. Nothing here keeps state or looks into the JSON.
 */

export type Framing = {
  /** Where the last whole message ends, past `from`; 0 if none does. */
  lastEnd(bytes: Uint8Array, from: number): number
  /** Where the message ends that `within` is a place of, or the bytes do. */
  nextEnd(bytes: Uint8Array, within: number): number
  /** The JSON that the message carries; nothing if it has more lines than any that is worth reading. */
  json(message: Uint8Array): string
}

const LF = 10
const CR = 13

/** Stateless: a decoder that streams would remember the half of a character. */
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** A line of data, without the space that may precede it. Not by `^` of many lines, which stands behind U+2028 too. */
const DATA = /(?:^|[\r\n])data: ?([^\r\n]*)/g
/** Ten times as many as the longest report takes if it is printed for people. */
const LINES_MAX = 1000

/** A message is an event with the empty line that ends it. Lines end with CRLF, LF or CR, each as it likes. */
export const SERVER_SENT_EVENTS: Framing = {
  lastEnd(bytes, from) {
    for (let at = bytes.length; at > from; at--) if (endsEmptyLine(bytes, at)) return at
    return 0
  },
  nextEnd(bytes, within) {
    let at = within + 1
    while (at < bytes.length && !endsEmptyLine(bytes, at)) at++
    return at
  },
  json(message) {
    const lines: string[] = []
    for (const [, value = ''] of decode(message).matchAll(DATA)) {
      if (lines.length === LINES_MAX) return ''
      lines.push(value)
    }
    return lines.join('\n')
  },
}

export const JSON_LINES: Framing = {
  lastEnd(bytes, from) {
    const last = bytes.subarray(from).lastIndexOf(LF)
    return last === -1 ? 0 : from + last + 1
  },
  nextEnd(bytes, within) {
    const end = bytes.indexOf(LF, within) + 1
    return end > 0 ? end : bytes.length
  },
  json: decode,
}

function endsEmptyLine(bytes: Uint8Array, at: number): boolean {
  const last = bytes[at - 1]
  if (last !== LF && last !== CR) return false
  // Half of a CRLF ends nothing, unless the other half has yet to arrive: then it cannot be waited for.
  if (last === CR && bytes[at] === LF) return false
  const lineEnd = last === LF && bytes[at - 2] === CR ? at - 2 : at - 1
  const before = bytes[lineEnd - 1]
  return lineEnd === 0 || before === LF || before === CR
}
