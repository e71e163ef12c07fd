/** Any envelope that is accepted is carried out as described, over real sockets; any text at all is survived. */
import { beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { childText } from '../../src/lib/json/member.ts'
import { parseEnvelope } from '../../src/proxy/request/envelope.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { type RawUpstream, startRawUpstream } from '../support/wire.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 30 })
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))

/** JSON as people, programs and adversaries write it: any spacing, any spelling of strings and numbers. */
const { json } = fc.letrec<{ json: string; object: string; list: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      'null',
      'true',
      'false',
      '0',
      '-0.0',
      '1E+400',
      '1.10',
      '123456789012345678901',
    ),
    number.map((value) => JSON.stringify(value)),
    spelled(),
    tie('list'),
    tie('object'),
  ),
  list: fc
    .array(fc.tuple(space(), tie('json'), space()), { maxLength: 4 })
    .map((items) => `[${items.map((parts) => parts.join('')).join(',')}]`),
  object: fc
    .array(fc.tuple(space(), spelled(), space(), tie('json'), space()), { maxLength: 4 })
    .map(
      (items) =>
        `{${items.map(([a, name, b, value, c]) => `${a}${name}${b}:${value}${c}`).join(',')}}`,
    ),
}))

function space() {
  return fc.constantFrom('', '', ' ', '\n', '\t\r\n ')
}

/** The same string in one of the many ways in which JSON can write it. */
function spelled() {
  const escaped = (value: string) =>
    [...value].map((char) => JSON.stringify(char).slice(1, -1).replace('/', '\\/')).join('')
  const numbered = (value: string) =>
    [...value.split('')]
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('')
  return fc
    .tuple(text, fc.constantFrom(escaped, numbered))
    .map(([value, write]) => `"${write(value)}"`)
}

const headerName = fc
  .stringMatching(/^[a-z][a-z0-9!#$%&'*+.^_`|~-]{0,20}$/)
  .map((name) => `z-${name}`)
const headerValue = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,30}[\x21-\x7e])?$/)
const scalar = fc.oneof(text, number, fc.boolean())

const described = fc.record({
  method: fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
  // Bun's fetch sends `//a` as `/a`.
  path: fc.webPath().filter((path) => !new URL(`http://a.test${path}`).pathname.startsWith('//')),
  own: fc.constantFrom('', '?a=1', '?a=%20b&c', '?sig=a%2Fb+c~'),
  query: fc.dictionary(text, fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })), { maxKeys: 4 }),
  headers: fc.dictionary(headerName, headerValue, { maxKeys: 4 }),
  body: fc.oneof(
    json,
    text.map((value) => JSON.stringify(value)),
  ),
  spaces: fc.array(space(), { minLength: 6, maxLength: 6 }),
})

describe('over real sockets', () => {
  let upstream: RawUpstream
  let server: TestServer
  let key: string

  beforeAll(async () => {
    upstream = await startRawUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
    server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
    key = (await issueKey(server, { quota: null })).key
  })

  test('method, path, query, headers and body arrive as the envelope describes them', async () => {
    await fc.assert(
      fc.asyncProperty(described, async ({ method, path, own, query, headers, body, spaces }) => {
        const endpoint = upstream.url + path + own
        const members = { endpoint, method, query, headers }
        const parts = Object.entries(members).map(
          ([name, value]) => `"${name}":${JSON.stringify(value)}`,
        )
        const envelope = `{${[...parts, `"body"${spaces[4]}:${spaces[5]}${body}`]
          .map((part, i) => `${spaces[i] ?? ''}${part}`)
          .join(',')}}`
        const response = await fetch(`${server.url}/proxy`, {
          method: 'POST',
          headers: { 'x-api-key': key },
          body: envelope,
        })
        if (response.status !== 200) throw new Error(await response.text())

        const request = upstream.seen.at(-1)
        if (!request) throw new Error('nothing reached the upstream')
        const url = new URL(upstream.url + request.target)
        expect(request.method).toBe(method)
        expect(url.pathname).toBe(new URL(endpoint).pathname)
        expect(request.target.slice(url.pathname.length)).toStartWith(own)
        const wanted = Object.entries(query).flatMap(([name, value]) =>
          [value].flat().map((one) => [name, String(one)]),
        )
        const added = [...url.searchParams].slice(new URLSearchParams(own).size)
        expect(added).toEqual(wanted as [string, string][])
        const arrived = new Map(request.headers)
        for (const [name, value] of Object.entries(headers)) expect(arrived.get(name)).toBe(value)
        const parsed: unknown = JSON.parse(body)
        const carried = parsed === null ? '' : typeof parsed === 'string' ? parsed : body
        expect(Buffer.from(request.body, 'latin1').toString()).toBe(carried)
      }),
      { numRuns: 200 },
    )
  }, 20_000)
})

describe('in itself', () => {
  test('a member’s text is what JSON.parse made its value of, wherever it stands', () => {
    const name = fc.constantFrom('body', 'a', '"', '\\', 'endpoint')
    const member = fc.record({ name, value: json, before: space(), after: space() })
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), (members) => {
        const whole = `{${members
          .map(
            ({ name, value, before, after }) =>
              `${before}${JSON.stringify(name)}${after}:${before}${value}${after}`,
          )
          .join(',')}}`
        const parsed = JSON.parse(whole) as Record<string, unknown>
        for (const { name } of members) {
          const last = members.findLast((one) => one.name === name)
          expect(childText(whole, name)).toBe(last?.value ?? '')
          expect(JSON.parse(childText(whole, name) ?? '')).toEqual(parsed[name])
        }
      }),
    )
  })

  test('any text and any value is an envelope or a list of what is wrong with it, never an exception', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      json,
      fc.json(),
      fc
        .object({ maxDepth: 2 })
        .map((value) => JSON.stringify({ endpoint: 'http://a.test', ...value })),
      fc
        .record({
          endpoint: fc.anything(),
          method: fc.anything(),
          headers: fc.anything(),
          query: fc.anything(),
        })
        .map((value) => {
          try {
            return JSON.stringify(value)
          } catch {
            return ''
          }
        }),
    )
    fc.assert(
      fc.property(anything, (text) => {
        const result = parseEnvelope(text)
        if (!result.ok) expect(result.errors.length).toBeGreaterThan(0)
        else expect(result.envelope.endpoint).not.toBe('')
      }),
    )
  })
})
