/**
 * HTTP/1.1 messages as text, both ways. Pure. The self-test speaks it by hand: `fetch` allows 256 requests at a time,
 * sends some again by itself, and does not say how much of an answer had come when the server died.
 */

/** One request or answer at the beginning of `text`. Everything is latin1: one character is one byte. */
export type Message = {
  /** The request line or the status line. */
  readonly start: string
  /** The value of a header, whose name is given in lower case. */
  readonly header: (name: string) => string | null
  /** As it was sent: what is chunked stays so. */
  readonly body: string
  /** How long the message is; null while its end has not come. */
  readonly length: number | null
}

/** Null until the head is there. */
export function readMessage(text: string): Message | null {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const head = text.slice(0, headEnd)
  const bodyStart = headEnd + 4
  const header = (name: string) =>
    new RegExp(`\r\n${name}: *([^\r]*)`, 'i').exec(head)?.[1]?.trim() ?? null

  const end = endOfBody(text, bodyStart, header)
  return {
    start: head.split('\r\n', 1)[0] ?? '',
    header,
    body: text.slice(bodyStart, end ?? undefined),
    length: end,
  }
}

/** RFC 9112 section 6.3, without bodies that end with the connection: neither side here sends those. */
function endOfBody(text: string, start: number, header: Message['header']): number | null {
  if (header('transfer-encoding') === 'chunked') {
    // No chunk that is sent here holds what looks like the last one.
    const last = text.indexOf('0\r\n\r\n', start)
    return last < 0 ? null : last + 5
  }
  const end = start + Number(header('content-length') ?? 0)
  return end <= text.length ? end : null
}
