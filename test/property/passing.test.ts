/** Whatever passes through a named upstream arrives as it was sent, however it is cut into pieces on its way. */
import { beforeAll, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { createAuthority } from '../support/certificate.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { openClient, type RawRequest, startRawUpstream } from '../support/wire.ts'

let server: TestServer
let key: string
/** What the upstream does with the only call that there is at a time, and what it was sent. */
let act = (_: Socket): unknown => undefined
let received: RawRequest[] = []

beforeAll(async () => {
  const authority = await createAuthority()
  const answer = (socket: Socket, request: RawRequest) => {
    received.push(request)
    void act(socket)
  }
  const plain = await startRawUpstream(answer)
  const tls = await startRawUpstream(answer, await authority.issue('DNS:localhost'))
  server = await startServer(authority.env)
  key = (await issueKey(server, { quota: null })).key
  const settings = { credential: { secret: CREDENTIAL }, meter: { kind: 'none' } }
  await addUpstream(server, { ...settings, name: 'plain', base_url: `${plain.url}/base` })
  await addUpstream(server, { ...settings, name: 'tls', base_url: `${tls.url}/base` })
})

type Field = readonly [name: string, value: string]
/** Everything is latin1: one character is one byte. `cuts` are the lengths that it is written in. */
type Message = {
  readonly fields: readonly Field[]
  readonly body: string
  readonly framing: 'length' | 'chunked' | 'none'
  readonly cuts: readonly number[]
}

/** RFC 9110 section 5.6.2; the prefix keeps clear of names that mean something. */
const name = fc
  .string({ unit: fc.constantFrom(..."!#$%&'*+-.^_`|~09azAZ"), minLength: 1, maxLength: 12 })
  .map((rest) => `x-t${rest}`)
/** RFC 9110 section 5.5: visible characters and obs-text, with white space only between them. */
const value = fc
  .string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 60,
  })
  .map((text) => text.trim())
const cuts = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70_000 })),
  { minLength: 1, maxLength: 6 },
)
const seeded = fc
  .tuple(
    fc.integer({ min: 0, max: 2 ** 31 }),
    fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 65_000, max: 66_000 }),
      fc.integer({ min: 0, max: 200_000 }),
    ),
  )
  .map(([seed, length]) => bytesOf(seed, length))
const text = fc
  .string({ unit: 'binary', maxLength: 200 })
  .map((chars) => Buffer.from(chars).toString('latin1'))
const body = fc.oneof(
  { weight: 1, arbitrary: fc.constant('') },
  { weight: 3, arbitrary: seeded },
  { weight: 2, arbitrary: text },
)

/** An encoded percent sign that may itself encode something is refused: see test/proxy/ways.test.ts. */
const pathUnit = fc.constantFrom(...'aZ09-_~!$&()*+,;=:@|[]', '%20', '%2f', '%C3%A9', '%25_')
const segment = fc.string({ unit: pathUnit, maxLength: 8 })
const query = fc.string({
  unit: fc.constantFrom(...'aZ09-._~!$&()*+,;=:@/?|{}[]^`\\%', '%20', '%2F', '%ff'),
  minLength: 1,
  maxLength: 40,
})
const target = fc
  .tuple(fc.array(segment, { maxLength: 4 }), fc.option(query, { nil: null }))
  .map(
    ([segments, rest]) =>
      segments.map((one) => `/${one}`).join('') + (rest === null ? '' : `?${rest}`),
  )

const BODILESS = ['GET', 'HEAD']
const method = fc.constantFrom(
  ...BODILESS,
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'QUERY',
  'PROPFIND',
  'REPORT',
)
const request = method.chain((verb) =>
  fc.record({
    method: fc.constant(verb),
    target,
    fields: fc.array(fc.tuple(name, value), { maxLength: 8 }),
    body: BODILESS.includes(verb) ? fc.constant('') : body,
    framing: BODILESS.includes(verb)
      ? fc.constant('none' as const)
      : fc.constantFrom('length' as const, 'chunked' as const),
    cuts,
  }),
)

const CODINGS = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }
const coding = fc.option(fc.constantFrom('gzip', 'br', 'zstd' as keyof typeof CODINGS), {
  nil: null,
})
const answer = fc.record({
  // Not 502 to 504: ten of them in a row are an upstream that is down.
  status: fc.constantFrom(
    200,
    201,
    202,
    203,
    206,
    300,
    301,
    302,
    304,
    307,
    204,
    400,
    404,
    409,
    418,
    429,
    451,
    500,
    599,
  ),
  fields: fc.array(fc.tuple(name, value), { maxLength: 8 }),
  coding,
  body,
  framing: fc.constantFrom('length' as const, 'chunked' as const, 'none' as const),
  cuts,
})

/** Noise that is the same for the same seed (Park and Miller). */
function bytesOf(seed: number, length: number): string {
  const bytes = Buffer.alloc(length)
  let state = (seed % 2_147_483_646) + 1
  for (let i = 0; i < length; i++) {
    state = (state * 48_271) % 2_147_483_647
    bytes[i] = state >> 8
  }
  return bytes.toString('latin1')
}

/** Cut by the lengths, over and over; not into more pieces than a run has time for. */
function pieces(text: string, cuts: readonly number[]): string[] {
  const found: string[] = []
  for (let at = 0, i = 0; at < text.length; i++) {
    const cut = found.length > 200 ? text.length : (cuts[i % cuts.length] ?? 1)
    found.push(text.slice(at, at + cut))
    at += cut
  }
  return found
}

/** The message as it is written, and the pieces in which its bytes come. */
function onWire(first: string, { fields, body, framing, cuts }: Message): string[] {
  const lines = fields.map(([field, content]) => `${field}: ${content}`)
  if (framing === 'length') lines.push(`Content-Length: ${body.length}`)
  if (framing === 'chunked') lines.push('Transfer-Encoding: chunked')
  const chunks = pieces(body, cuts).map((one) => `${one.length.toString(16)}\r\n${one}\r\n`)
  const content = framing === 'chunked' ? `${chunks.join('')}0\r\n\r\n` : body
  const head = `${[first, ...lines].join('\r\n')}\r\n\r\n`
  // Cut anew, so that its pieces are not the chunks.
  return pieces(head + content, [...cuts].reverse())
}

async function write(socket: Socket, parts: readonly string[]): Promise<void> {
  socket.setNoDelay(true)
  for (const part of parts) {
    socket.write(Buffer.from(part, 'latin1'))
    await new Promise(setImmediate)
  }
}

/** RFC 9110 section 5.3: fields of one name are one list. Without those that every message of its kind has. */
function listed(fields: readonly Field[]): Record<string, string> {
  const lists = Map.groupBy(fields, ([field]) => field.toLowerCase())
  const own = [...lists].filter(([field]) => field.startsWith('x-t'))
  return Object.fromEntries(
    own.map(([field, all]) => [
      field,
      all
        .map(([, one]) => one)
        .join(', ')
        .trim(),
    ]),
  )
}

for (const upstream of ['plain', 'tls']) {
  test(`any request and any answer pass unchanged through an upstream over ${upstream === 'tls' ? 'TLS' : 'plain TCP'}`, async () => {
    await fc.assert(
      fc.asyncProperty(request, answer, async (asked, answered) => {
        const encoded = answered.coding
          ? CODINGS[answered.coding](Buffer.from(answered.body, 'latin1')).toString('latin1')
          : answered.body
        const bodiless =
          asked.method === 'HEAD' || answered.status === 204 || answered.status === 304
        const reply: Message = {
          ...answered,
          body: bodiless ? '' : encoded,
          framing: bodiless ? 'none' : answered.framing,
        }
        const fields: Field[] = [
          ...reply.fields,
          ...(answered.coding ? [['Content-Encoding', answered.coding] as const] : []),
        ]
        received = []
        act = async (socket) => {
          await write(socket, onWire(`HTTP/1.1 ${answered.status} X`, { ...reply, fields }))
          // RFC 9112 section 6.3: without a length, the end of the connection is the end of the body.
          if (reply.framing === 'none') socket.end()
        }
        const client = await openClient(server.url)
        const own: Field[] = [
          ['Host', 'proxy.test'],
          ['Authorization', `Bearer ${key}`],
          ...asked.fields,
        ]
        await write(
          client.socket,
          onWire(`${asked.method} /u/${upstream}${asked.target} HTTP/1.1`, {
            ...asked,
            fields: own,
          }),
        )
        const got = await client.answer(5_000, asked.method)
        client.socket.destroy()

        expect(received.map(({ method, target }) => [method, target])).toEqual([
          [asked.method, `/base${asked.target}`],
        ])
        const [sent] = received
        expect(sent?.body === asked.body).toBe(true)
        expect(listed(sent?.headers ?? [])).toEqual(listed(asked.fields))
        expect(JSON.stringify(sent)).not.toContain(key)
        const framing = sent?.headers.find(([field]) => field === 'transfer-encoding')?.[1]
        expect(framing).toBe(asked.framing === 'chunked' ? 'chunked' : undefined)

        expect([got.status, got.whole]).toEqual([answered.status, true])
        expect(got.body.toString('latin1') === reply.body).toBe(true)
        expect(listed(got.headers)).toEqual(listed(answered.fields))
        expect(got.header('content-encoding')).toBe(answered.coding)
      }),
      { numRuns: 200 },
    )
  }, 30_000)
}
