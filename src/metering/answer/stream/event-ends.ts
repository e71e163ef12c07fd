/**
 * Where server-sent events end, found on their bytes (HTML standard, section 9.2): an event ends with an empty line, and lines
 * end with CRLF, LF or CR, each as it likes. All are given bytes that begin with an event. Pure.
 */

export const LF = 10
export const CR = 13

/** Where the last whole event ends, past `from`; 0 if none does. */
export function lastEnd(bytes: Uint8Array, from: number, to = bytes.length): number {
  for (let at = to; at > from; at--) {
    const last = bytes[at - 1]
    if ((last === LF || last === CR) && endsEmptyLine(bytes, at)) return at
  }
  return 0
}

/** Where the event ends that `within` is a place of, or the bytes do. */
export function nextEnd(bytes: Uint8Array, within: number): number {
  const start = Math.max(0, within - 3)
  if (bytes.indexOf(CR, start) === -1) return nextEndByLf(bytes, within)
  let at = within + 1
  while (at < bytes.length && !endsEmptyLine(bytes, at)) at++
  return at
}

function nextEndByLf(bytes: Uint8Array, within: number): number {
  if (bytes[within] === LF && (within === 0 || bytes[within - 1] === LF)) return within + 1
  for (let at = within; ; at++) {
    at = bytes.indexOf(LF, at)
    if (at === -1) return bytes.length
    if (bytes[at + 1] === LF) return at + 2
  }
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
