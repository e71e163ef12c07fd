/** One row of the table: the bytes that a client sends, and those that an upstream answers. All text is latin1. */

export type Case = {
  readonly group: string
  readonly name: string
  /** `{base}` stands for the path of the upstream, `{key}` for a key. */
  readonly client: readonly ClientStep[]
  /** How many requests there are, and what the answers to them belong to. */
  readonly methods: readonly string[]
  readonly answer: Answer
  /** Why the call is charged though its client gets no answer, as docs/request-path.md says. */
  readonly paidUnanswered?: 'client-left'
}

/** Bytes to write at once; the end of what the client sends; or to wait until the upstream has been sent something. */
export type ClientStep = string | 'END' | 'AWAIT_UPSTREAM' | 'AWAIT_ANSWER'

export type Answer = {
  /** Begun when the head of the request has come, or when all of it has. */
  readonly on: 'head' | 'whole'
  /** Bytes to write at once; or to wait until the client has been sent something, until the request is whole, or until more than that has come. */
  readonly parts: readonly (string | 'AWAIT_CLIENT' | 'AWAIT_WHOLE' | 'AWAIT_MORE')[]
  readonly then: 'open' | 'end' | 'reset'
}

/** What every request has, lest each row tell of what is added where nothing stands. */
export const BASICS = ['Host: api.test', 'X-API-Key: {key}', 'Accept: */*', 'Accept-Encoding: identity',
  'User-Agent: table'] // biome-ignore format: a table

export function head(first: string, fields: readonly string[] = []): string {
  return `${[first, ...BASICS, ...fields].join('\r\n')}\r\n\r\n`
}

export function request(
  method: string,
  target: string,
  fields: readonly string[] = [],
  body = '',
): string {
  return head(`${method} {base}${target} HTTP/1.1`, fields) + body
}

export function answer(status: string, fields: readonly string[] = [], body = ''): string {
  return `${[`HTTP/1.1 ${status}`, ...fields].join('\r\n')}\r\n\r\n${body}`
}

export function lengthOf(body: string): string {
  return `Content-Length: ${body.length}`
}

export function chunk(text: string, extension = ''): string {
  return `${text.length.toString(16)}${extension}\r\n${text}\r\n`
}

/** Without these an answer would be given some. */
export const USUAL = ['Content-Type: text/plain', 'Date: Mon, 01 Jan 2024 00:00:00 GMT']

/** With its length, so that nothing differs but what differs everywhere. */
export function usual(status: string, fields: readonly string[] = [], body = 'ok'): string {
  return answer(status, [...USUAL, ...fields, lengthOf(body)], body)
} // biome-ignore format: one row

export const OK = usual('200 OK')

type Extra = Partial<Pick<Case, 'methods' | 'answer' | 'paidUnanswered'>>

export function toAnswer(
  parts: Answer['parts'] | string,
  then: Answer['then'] = 'open',
  on: Answer['on'] = 'whole',
): Answer {
  return { on, parts: typeof parts === 'string' ? [parts] : parts, then }
}

/** A row about a request: the upstream answers as usual. */
export function asked(
  group: string,
  name: string,
  client: string | readonly ClientStep[],
  extra: Extra = {},
): Case {
  const steps = typeof client === 'string' ? [client] : client
  const [method = ''] = (steps[0] ?? '').trimStart().split(' ')
  return { group, name, client: steps, methods: [method], answer: toAnswer(OK), ...extra }
}

/** A row about an answer: the client asks as usual. */
export function answered(
  group: string,
  name: string,
  parts: Answer['parts'] | string,
  then: Answer['then'] = 'open',
  method = 'GET',
): Case {
  return asked(group, name, request(method, '/x'), { answer: toAnswer(parts, then) })
}
