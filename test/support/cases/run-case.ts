/**
 * Runs one case from outside: makes its upstream and its key, sends its request on a connection of its own, waits until the
 * ledger has settled the call, and says in which points the case falls short.
 */
import { connect } from 'node:net'
import type { Call } from '../../../src/modules/calls/model.ts'
import { issueKey, type TestServer } from '../server.ts'
import { readChunks } from '../wire.ts'
import { bodyOf, type Case, type Expect } from './form.ts'
import type { ScriptedUpstream } from './scripted-upstream.ts'

const CREDENTIAL = { secret: 'sk-operator-secret-0001' }
const PRICES = [{ model: '*', input: 1_000_000, cached_input: 100_000, output: 5_000_000 }]
const LIMITS = [
  { name: 'tokens', unit: 'tokens', amount: 100_000_000, window: 'day' },
  { name: 'money', unit: 'cost', amount: 10_000_000_000, window: 'month' },
]
const KEY_HEADERS = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key']

/** How long an answer may stay silent. */
const SILENT_MS_MAX = 30_000
/** How long a call may take to settle: one with an answer, one whose client has left, one that was not admitted. */
const SETTLE_MS = { answered: 6_000, left: 2_000, refused: 300 }

type Got = {
  /** Null if the client left, or no answer came. */
  readonly status: number | null
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** What the case asks and does not get, as phrases; none if all is right. */
export async function runCase(
  one: Case,
  server: TestServer,
  upstream: ScriptedUpstream,
): Promise<string[]> {
  const name = nameOf(one)
  const base = `${upstream.url}/${name}/v1`
  const fill = <T>(value: T): T =>
    JSON.parse(
      JSON.stringify(value).replaceAll('{base}', base).replaceAll('{origin}', upstream.host),
    )
  upstream.script(name, fill(one.upstreamAnswer))
  const settings = { credential: CREDENTIAL, prices: PRICES, ...one.upstream, name, base_url: base }
  const made = await server.admin('POST', '/admin/upstreams', settings)
  if (made.status !== 201) return [`upstream refused: ${made.status} ${await made.text()}`]
  const { key, id } = await issueKey(server, { name: 't', quota: null, limits: LIMITS, ...one.key })

  const hasBegun = () => upstream.seen(name).length > 0
  const got = await send(server, one, { name, key, hasBegun })
  const entry = await entryOf(server, one, got, id)
  const seen = upstream.seen(name)
  const { ledgerOrRefused } = one.expect
  if (ledgerOrRefused) {
    const isRefused = (got.status ?? 0) >= 400 && seen.length === 0
    if (isRefused || entry?.requests.charged === ledgerOrRefused.requests) return []
    return [`requests ${entry?.requests.charged}, status ${got.status}`]
  }
  const expected = fill(one.expect)
  const hidden = expected.upstreamMustNotSee
  const wasSeen = hidden && seen.some(({ headers }) => headers.some(([own]) => own === hidden))
  return [
    ...compareAnswer(expected, got),
    ...(wasSeen ? [`the upstream saw ${hidden}`] : []),
    ...compareEntry(expected.ledger ?? {}, entry),
  ]
}

function nameOf({ id }: Case): string {
  const name = id.toLowerCase().replace(/[^a-z0-9-]/g, '-')
  return /^[a-z]/.test(name) ? name : `c${name}`
}

async function send(
  server: TestServer,
  one: Case,
  { name, key, hasBegun }: { name: string; key: string; hasBegun: () => boolean },
): Promise<Got> {
  const { request, clientBehaviour: leave = {} } = one
  const body = bodyOf(request.body)
  const headers: Record<string, string> = { host: new URL(server.url).host, connection: 'close' }
  if (body) headers['content-type'] = 'application/json'
  for (const [header, value] of Object.entries(request.headers ?? {}))
    headers[header.toLowerCase()] = value.replaceAll('{key}', key)
  if (!request.noKey && !KEY_HEADERS.some((header) => header in headers))
    headers['authorization'] = `Bearer ${key}`
  if (body) headers['content-length'] = String(body.length)
  const path = request.path.replaceAll('{u}', `/u/${name}`)
  const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}\r\n`)
  const head = Buffer.from(`${request.method ?? 'POST'} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  const whole = Buffer.concat([head, body ?? Buffer.alloc(0)])
  const bytes = await converse(server.url, whole, leave, hasBegun)
  return parsed(bytes)
}

/** Everything that came until the answer ended, or the client left. */
function converse(
  url: string,
  request: Buffer,
  { afterText, beforeAnswerMs }: NonNullable<Case['clientBehaviour']>,
  hasBegun: () => boolean,
): Promise<Buffer> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    const pieces: Buffer[] = []
    const end = () => {
      socket.destroy()
      resolve(beforeAnswerMs === undefined ? Buffer.concat(pieces) : Buffer.alloc(0))
    }
    socket.setTimeout(SILENT_MS_MAX, end)
    socket.on('close', end)
    socket.on('error', end)
    socket.on('connect', () => {
      socket.write(request)
      if (beforeAnswerMs === undefined) return
      // However long it takes to let the call in.
      const timer = setInterval(() => {
        if (!hasBegun() && !socket.destroyed) return
        clearInterval(timer)
        setTimeout(end, beforeAnswerMs)
      }, 10)
    })
    socket.on('data', (data: Buffer) => {
      pieces.push(data)
      if (afterText !== undefined && Buffer.concat(pieces).includes(afterText)) end()
    })
  })
}

function parsed(bytes: Buffer): Got {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return { status: null, headers: new Map(), body: bytes.toString() }
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  const rest = bytes.subarray(end + 4)
  const body = headers.get('transfer-encoding') === 'chunked' ? readChunks(rest).body : rest
  return { status: Number(first.split(' ')[1]), headers, body: body.toString() }
}

/** The ledger's entry of the call once it has ended; null if there is none. */
async function entryOf(
  server: TestServer,
  { clientBehaviour }: Case,
  { headers }: Got,
  keyId: string,
): Promise<Call | null> {
  const charge = headers.get('x-quota-charge-id')
  const kind = charge ? 'answered' : clientBehaviour ? 'left' : 'refused'
  const deadline = performance.now() + SETTLE_MS[kind]
  const path = charge ? `/admin/calls/${charge}` : `/admin/calls?key=${keyId}&limit=1`
  while (performance.now() < deadline) {
    const answer = await server.admin('GET', path)
    const found = (await answer.json()) as Call | { readonly data: readonly Call[] }
    const entry = 'data' in found ? found.data[0] : found
    if (answer.ok && entry && entry.outcome !== 'in_flight') return entry
    await Bun.sleep(20)
  }
  return null
}

function compareAnswer(expected: Expect, { status, headers, body }: Got): string[] {
  const bad: string[] = []
  const { bodyContains, bodyLacks, bodyIs } = expected
  if (expected.status !== undefined && status !== expected.status)
    bad.push(`status ${status}, not ${expected.status}: ${body.slice(0, 300)}`)
  if (bodyContains !== undefined && !body.includes(bodyContains))
    bad.push(`body lacks ${bodyContains}: ${body.slice(0, 300)}`)
  if (bodyLacks !== undefined && body.includes(bodyLacks)) bad.push(`body has ${bodyLacks}`)
  if (bodyIs !== undefined && body !== bodyIs) bad.push(`body differs: ${body.slice(0, 300)}`)
  const rules = {
    headerIs: (value: string | undefined, text: string) => value === text,
    headerHas: (value: string | undefined, text: string) => (value ?? '').includes(text),
    headerLacks: (value: string | undefined, text: string) => !(value ?? '').includes(text),
  }
  for (const [rule, holds] of Object.entries(rules)) {
    const [name, text] = expected[rule as keyof typeof rules] ?? []
    if (name !== undefined && !holds(headers.get(name), text ?? ''))
      bad.push(`${rule} ${name} ${text}: ${headers.get(name)}`)
  }
  return bad
}

function compareEntry(wanted: NonNullable<Expect['ledger']>, entry: Call | null): string[] {
  const facts: Record<string, unknown> = {
    ...entry?.tokens,
    requests: entry?.requests.charged,
    tokens: entry?.tokens.charged,
    cost: entry?.cost.charged,
    estimated: entry?.estimated,
    outcome: entry?.outcome,
    model: entry?.model,
    status: entry?.status,
  }
  return Object.entries(wanted).flatMap(([name, value]) => {
    const fact = facts[name] ?? null
    const phrase = `${name} ${fact}, not ${JSON.stringify(value)}`
    if (typeof value !== 'object' || value === null) return fact === value ? [] : [phrase]
    const { min, max } = value
    // An answer without output may be booked with none, or with nothing said of it.
    const number = fact === null && name === 'output' && min === undefined ? 0 : fact
    const isIn =
      typeof number === 'number' && number >= (min ?? number) && number <= (max ?? number)
    return isIn ? [] : [phrase]
  })
}
