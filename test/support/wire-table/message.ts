/** HTTP/1.1 messages taken apart without changing a byte: what the table of requests and answers compares. */
import { readChunks } from '../wire.ts'

export type Message = {
  /** Line ends before the message, which RFC 9112 section 2.2 lets a server ignore. */
  readonly before: string
  readonly first: string
  /** As they stand in the message, in order. */
  readonly lines: readonly string[]
  readonly body: Buffer
  readonly extensions: readonly string[]
  readonly trailers: readonly string[]
  /** False if the connection ended before the end that the message announces. */
  readonly whole: boolean
  /** Whether nothing but the end of its connection ends it. */
  readonly endsWithConnection: boolean
  readonly length: number
}

/** All messages on one side of a connection; `methods` are those that the answers belong to. */
export function readRequests(bytes: Buffer): Message[] {
  return readAll(bytes, (rest) => readMessage(rest, (message) => framingOf(message) ?? 0))
}

export function readAnswers(bytes: Buffer, methods: readonly string[]): Message[] {
  let finals = 0
  return readAll(bytes, (rest) =>
    readMessage(rest, (message) => {
      const status = statusOf(message)
      const method = methods[finals]
      if (status >= 200) finals++
      // RFC 9112 section 6.3: these have no body, whatever they announce.
      if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0
      return framingOf(message) ?? Number.POSITIVE_INFINITY
    }),
  )
}

export function statusOf({ first }: Pick<Message, 'first'>): number {
  return Number(first.split(' ')[1])
}

export function valuesOf({ lines }: Pick<Message, 'lines'>, name: string): string[] {
  return lines.filter((line) => nameOf(line) === name).map(fieldValue)
}

export function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase()
}

export function fieldValue(line: string): string {
  return line.slice(line.indexOf(':') + 1).trim()
}

function readAll(bytes: Buffer, read: (rest: Buffer) => Message | null): Message[] {
  const found: Message[] = []
  for (let at = 0; at < bytes.length; ) {
    const message = read(bytes.subarray(at))
    if (!message) break
    found.push(message)
    at += message.length
  }
  return found
}

type Head = Pick<Message, 'first' | 'lines'>

/** `contentOf` says how long the body is, or that it is chunked. */
function readMessage(bytes: Buffer, contentOf: (head: Head) => number | 'chunked'): Message | null {
  const text = bytes.toString('latin1')
  const before = /^(?:\r\n)*/.exec(text)?.[0] ?? ''
  const end = text.indexOf('\r\n\r\n', before.length)
  if (end < 0) return null
  const [first = '', ...lines] = text.slice(before.length, end).split('\r\n')
  const rest = bytes.subarray(end + 4)
  const content = contentOf({ first, lines })
  if (content === 'chunked') {
    const chunks = readChunks(rest)
    const length = end + 4 + chunks.length
    return { before, first, lines, ...chunks, endsWithConnection: false, length }
  }
  const body = rest.subarray(0, content)
  const endsWithConnection = content === Number.POSITIVE_INFINITY
  const whole = endsWithConnection || body.length === content
  const parts = { before, first, lines, body, extensions: [], trailers: [] }
  return { ...parts, whole, endsWithConnection, length: end + 4 + body.length }
}

function framingOf(head: Head): number | 'chunked' | null {
  const codings = valuesOf(head, 'transfer-encoding').join().toLowerCase()
  if (/(?:^|[\s,])chunked$/.test(codings)) return 'chunked'
  const [length] = valuesOf(head, 'content-length')
  // Whoever takes a length that is none must read something of it.
  return length === undefined ? null : Math.max(0, Number.parseInt(length, 10) || 0)
}
