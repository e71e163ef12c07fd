/** What differs between a row sent to the upstream itself and the same row sent through the proxy, line by line. */
import { type Message, nameOf, statusOf, valuesOf } from './message.ts'
import type { Recorded } from './run.ts'

export type Difference = {
  /** What reaches the upstream, or what reaches the client. */
  readonly side: 'upstream' | 'client'
  readonly what:
    | 'no request'
    | 'refused'
    | 'no answer'
    | 'requests'
    | 'answers'
    | 'interim answers'
    | 'line ends before'
    | 'method'
    | 'target'
    | 'version'
    | 'status'
    | 'reason'
    | 'field'
    | 'names'
    | 'white space'
    | 'order'
    | 'body'
    | 'chunk extensions'
    | 'trailers'
    | 'end'
  /** Of the field, in lower case. */
  readonly name: string
  /** Empty if there is none. */
  readonly direct: string
  readonly proxied: string
}

/** `hide` takes out what differs with each run. */
export function differencesOf(
  direct: Recorded,
  proxied: Recorded,
  hide: (text: string) => string,
): Difference[] {
  const client = compareSide('client', direct, proxied)
  // What was refused has reached nobody, for the same reason.
  const isRefused = client.some(({ what }) => what === 'refused' || what === 'no answer')
  const upstream = compareSide('upstream', direct, proxied).filter(
    ({ what }) => !(isRefused && what === 'no request'),
  )
  return [...upstream, ...client]
    .map((one) => ({ ...one, direct: hide(one.direct), proxied: hide(one.proxied) }))
    .filter((one) => one.direct !== one.proxied)
}

type Side = Difference['side']

function compareSide(side: Side, direct: Recorded, proxied: Recorded): Difference[] {
  const of = (recorded: Recorded) => (side === 'upstream' ? recorded.requests : recorded.answers)
  const find = (what: Difference['what'], a: string, b: string, name = ''): Difference[] =>
    a === b ? [] : [{ side, what, name, direct: a, proxied: b }]
  const [one, other] = [of(direct), of(proxied)]
  if (side === 'client') {
    const refusal = refusalOf(proxied, direct)
    if (refusal) return find('refused', '', refusal)
    if (proxied.clientBytes.length === 0 && direct.clientBytes.length > 0)
      return find('no answer', firstsOf(one), '')
  } else if (proxied.upstreamBytes.length === 0) return find('no request', firstsOf(one), '')
  const finals = one.filter((message) => !isInterim(message))
  const otherFinals = other.filter((message) => !isInterim(message))
  return [
    ...find('interim answers', firstsOf(one.filter(isInterim)), firstsOf(other.filter(isInterim))),
    ...(finals.length === otherFinals.length
      ? []
      : find(
          side === 'upstream' ? 'requests' : 'answers',
          firstsOf(finals),
          firstsOf(otherFinals),
        )),
    ...finals.flatMap((message, i) => {
      const twin = otherFinals[i]
      return twin ? compareMessages(side, message, twin) : []
    }),
  ]
}

function compareMessages(side: Side, direct: Message, proxied: Message): Difference[] {
  const find = (what: Difference['what'], a: string, b: string): Difference[] =>
    a === b ? [] : [{ side, what, name: '', direct: a, proxied: b }]
  const parts = side === 'upstream' ? requestLine : statusLine
  const [one, other] = [parts(direct.first), parts(proxied.first)]
  return [
    ...find('line ends before', direct.before, proxied.before),
    ...one.flatMap(([what, value], i) => find(what, value, other[i]?.[1] ?? '')),
    ...compareFields(side, direct, proxied),
    ...(isCutShort(direct, proxied)
      ? []
      : find('body', direct.body.toString('latin1'), proxied.body.toString('latin1'))),
    ...find('chunk extensions', direct.extensions.join(' '), proxied.extensions.join(' ')),
    ...find('trailers', direct.trailers.join(', '), proxied.trailers.join(', ')),
    ...find('end', endOf(direct), endOf(proxied)),
  ]
}

/** How much of it has passed before its end is told by nobody. */
function isCutShort(direct: Message, proxied: Message): boolean {
  return !proxied.whole && direct.body.subarray(0, proxied.body.length).equals(proxied.body)
}

function compareFields(side: Side, direct: Message, proxied: Message): Difference[] {
  const namesOf = ({ lines }: Message) => [...new Set(lines.map(nameOf))]
  const [one, other] = [namesOf(direct), namesOf(proxied)]
  const both = one.filter((name) => other.includes(name))
  const found = [...new Set([...one, ...other])].flatMap((name): Difference[] => {
    const shown = (message: Message) =>
      valuesOf(message, name)
        .map((value) => `${name}: ${value}`)
        .join('\n')
    const [a, b] = [shown(direct), shown(proxied)]
    if (a !== b) return [{ side, what: 'field', name, direct: a, proxied: b }]
    return []
  })
  const shared = ({ lines }: Message) =>
    lines.filter(
      (line) => both.includes(nameOf(line)) && !found.some(({ name }) => name === nameOf(line)),
    )
  const find = (what: Difference['what'], of: (line: string) => string) => {
    const [a, b] = [direct, proxied].map((message) => shared(message).map(of).sort(byLowerCase))
    if (a?.join() === b?.join()) return
    const changed = (lines: string[] = [], others: string[] = []) =>
      lines.filter((line) => !others.includes(line)).join(', ')
    found.push({ side, what, name: '', direct: changed(a, b), proxied: changed(b, a) })
  }
  find('names', (line) => line.slice(0, line.indexOf(':')))
  find('white space', (line) => nameOf(line) + line.slice(line.indexOf(':')))
  const order = other.filter((name) => both.includes(name))
  if (both.join() !== order.join())
    found.push({
      side,
      what: 'order',
      name: '',
      direct: both.join(', '),
      proxied: order.join(', '),
    })
  return found
}

function byLowerCase(a: string, b: string): number {
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1
}

type Part = readonly [Difference['what'], string]

function requestLine(first: string): Part[] {
  const words = first.split(' ')
  return [
    ['method', words[0] ?? ''],
    ['target', words.slice(1, -1).join(' ')],
    ['version', words.at(-1) ?? ''],
  ]
}

function statusLine(first: string): Part[] {
  const [version = '', status = '', ...reason] = first.split(' ')
  return [
    ['version', version],
    ['status', status],
    ['reason', reason.join(' ')],
  ]
}

function endOf({ whole, endsWithConnection }: Message): string {
  if (!whole) return 'cut off'
  return endsWithConnection ? 'with the connection' : 'whole'
}

function firstsOf(messages: readonly Message[]): string {
  return messages.map(({ first }) => first).join('\n')
}

function isInterim(message: Message): boolean {
  return message.first.startsWith('HTTP/') && statusOf(message) < 200
}

/** How the proxy has refused the call: our code, or the bare status of Bun. Null if it has not. */
function refusalOf({ answers }: Recorded, direct: Recorded): string | null {
  const message = answers.findLast((one) => !isInterim(one))
  if (!message) return null
  const status = statusOf(message)
  const isOurs = ['x-quota-error', 'x-frame-options'].some(
    (name) => valuesOf(message, name).length > 0,
  )
  if (isOurs) return `${status} ${codeOf(message)}`.trim()
  const bare = message.lines.every((line) =>
    ['connection', 'content-length'].includes(nameOf(line)),
  )
  const answered = direct.answers.some((one) => statusOf(one) === status)
  return bare && status >= 400 && !answered ? `${status}, bare` : null
}

/** Refusals of calls are written as OpenAI writes them, others as RFC 9457 does. A HEAD has none to read. */
function codeOf({ body }: Message): string {
  const text = body.toString()
  return /"code":"(\w+)"/.exec(text)?.[1] ?? /urn:quota-proxy:error:(\w+)/.exec(text)?.[1] ?? ''
}
