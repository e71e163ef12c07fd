/**
 * Where server-sent events end, found on their bytes (HTML standard, section 9.2): an event ends with an empty line, and lines
 * end with CRLF, LF or CR, each as it likes. All are given bytes that begin with an event. Pure.
 */

export const LF = 10
export const CR = 13

export function hasCr(bytes: Uint8Array): boolean {
  return bytes.indexOf(CR) !== -1
}

/** Where the last whole event ends, past `from`; 0 if none does. `mayHaveCr` is whether there may be a CR in the bytes. */
export function lastEnd(
  bytes: Uint8Array,
  from: number,
  to = bytes.length,
  mayHaveCr = true,
): number {
  if (!mayHaveCr) return lastEndByLf(bytes, from, to)
  for (let at = to; at > from; at--) {
    const last = bytes[at - 1]
    if ((last === LF || last === CR) && endsEmptyLine(bytes, at)) return at
  }
  return 0
}

function lastEndByLf(bytes: Uint8Array, from: number, to: number): number {
  for (let at = to; at > from; ) {
    const lf = bytes.lastIndexOf(LF, at - 1)
    if (lf < from) return 0
    if (lf === 0 || bytes[lf - 1] === LF) return lf + 1
    at = lf
  }
  return 0
}

/** Where the event ends that `within` is a place of, or the bytes do. */
export function nextEnd(
  bytes: Uint8Array,
  within: number,
  mayHaveCr = bytes.indexOf(CR, Math.max(0, within - 3)) !== -1,
): number {
  if (!mayHaveCr) return nextEndByLf(bytes, within)
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
