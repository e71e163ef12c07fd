/**
 * Requests that no client library would send, byte by byte. What Bun refuses before it is a request has no body; whatever
 * reaches the service is answered by it. Nothing is stored, said back or logged, and nobody comes in.
 */
import { afterEach, expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { exchange, openClient } from '../support/wire.ts'

const server = await startServer()
const CANARY = 'zQ7canaryX'
const kept = await issueKey(server)
const before = await (await server.admin('GET', '/admin/keys')).json()
const TOKEN = `Authorization: Bearer ${server.adminToken}`
const JSON_TYPE = 'Content-Type: application/json'
const BODY = `{"name":"${CANARY}","quota":1}`

afterEach(async () => {
  const logs = await settledLogs(server)
  const secrets = [CANARY, server.adminToken, kept.key]
  expect(secrets.filter((secret) => logs.includes(secret))).toEqual([])
  expect(server.events().filter((event) => event['level'] === 'error')).toEqual([])
})

/** A request whose host has one character, since a router has once taken a part of the path for such a host. */
function bytes(first: string, headers: readonly string[] = [], body = ''): Buffer {
  return Buffer.from(
    `${[`${first} HTTP/1.1`, 'Host: x', ...headers].join('\r\n')}\r\n\r\n${body}`,
    'latin1',
  )
}

const length = (text: string) => `Content-Length: ${text.length}`
const GET = 'GET /admin/keys'
const POST = 'POST /admin/keys'

/** Without a code, Bun refuses by itself. */
type Case = readonly [what: string, sent: Buffer, status: number, code?: string]

const CASES: readonly Case[] = [
  ['the token twice', bytes(GET, [TOKEN, TOKEN]), 401, 'missing_admin_token'],
  ['two tokens', bytes(GET, [TOKEN, `Authorization: Bearer ${CANARY}`]), 401, 'missing_admin_token'],
  ['a token that is not ASCII', bytes(GET, [`Authorization: Bearer ${CANARY}\xff`]), 401, 'invalid_admin_token'],
  ['two types of content', bytes(POST, [TOKEN, JSON_TYPE, 'Content-Type: x/y', length(BODY)], BODY), 415, 'unsupported_media_type'],
  ['a gigabyte that is only announced', bytes(POST, [TOKEN, JSON_TYPE, 'Content-Length: 1000000000'], BODY), 413, 'request_too_large'],
  ['a gigabyte without a token', bytes(POST, [JSON_TYPE, 'Content-Length: 1000000000'], BODY), 401, 'missing_admin_token'],
  ['a hundred gigabytes', bytes(POST, [TOKEN, JSON_TYPE, 'Content-Length: 100000000000'], BODY), 413],
  ['a chunk without a length', bytes(POST, [TOKEN, JSON_TYPE, 'Transfer-Encoding: chunked'], `zz\r\n${BODY}\r\n0\r\n\r\n`), 400],
  ['a length and chunks', bytes(POST, [TOKEN, JSON_TYPE, length(BODY), 'Transfer-Encoding: chunked'], BODY), 400],
  ['two lengths', bytes(POST, [TOKEN, JSON_TYPE, length(BODY), 'Content-Length: 5'], BODY), 400],
  ['a negative length', bytes(POST, [TOKEN, JSON_TYPE, 'Content-Length: -5'], BODY), 400],
  ['no host', Buffer.from(`${GET} HTTP/1.1\r\n${TOKEN}\r\n\r\n`), 400],
  ['a header of 70 kB', bytes(GET, [TOKEN, `X-A: ${CANARY.repeat(7_000)}`]), 431],
  ['250 headers', bytes(GET, [TOKEN, ...Array.from({ length: 250 }, (_, i) => `X-${i}: 1`)]), 431],
  ['a path of 28 kB', bytes(`${GET}/${CANARY.repeat(2_800)}`, [TOKEN]), 414, 'uri_too_long'],
  ['a path of 80 kB', bytes(`${GET}/${CANARY.repeat(8_000)}`, [TOKEN]), 431],
  ['a path of 8 kB', bytes(`${GET}/${CANARY.repeat(800)}`, [TOKEN]), 422, 'validation_failed'],
  ['an encoded slash', bytes(`${GET}/${CANARY}%2Freset`, [TOKEN]), 404, 'key_not_found'],
  ['an encoded NUL', bytes(`${GET}/${CANARY}%00`, [TOKEN]), 404, 'key_not_found'],
  ['a raw NUL in the path', bytes(`${GET}/${CANARY}\0`, [TOKEN]), 505],
  ['a NUL in a header', bytes(GET, [TOKEN, `X-A: ${CANARY}\0`]), 400],
  ['a broken percent sign', bytes(`${GET}/%zz${CANARY}`, [TOKEN]), 422, 'validation_failed'],
  ['an encoded byte that is not UTF-8', bytes(`${GET}/${CANARY}%ff`, [TOKEN]), 422, 'validation_failed'],
  ['a raw byte that is not ASCII', bytes(`${GET}/${CANARY}\xe9`, [TOKEN]), 404, 'key_not_found'],
  ['dots that leave a public path', bytes('GET /healthz/../admin/keys'), 401, 'missing_admin_token'],
  ['encoded dots', bytes('GET /swagger/%2e%2e/%2e%2e/etc/passwd'), 404, 'not_found'],
  ['a doubled slash', bytes('GET //admin/keys'), 404, 'not_found'],
  ['an encoded letter', bytes('GET /%61dmin/keys'), 404, 'not_found'],
  ['another host in the target', bytes('GET http://other.example/admin/keys'), 401, 'missing_admin_token'],
  ['TRACE', bytes('TRACE /admin/keys', [TOKEN]), 405, 'method_not_allowed'],
  ['CONNECT', bytes('CONNECT /admin/keys', [TOKEN]), 405, 'method_not_allowed'],
  ['no request at all', Buffer.from(`${CANARY}\r\n\r\n`), 400],
] // biome-ignore format: one case, one line

for (const [what, sent, status, code] of CASES) {
  test(`${what} is answered with ${status} and changes nothing`, async () => {
    const answer = await exchange(server.url, sent)
    const text = answer.body.toString()
    expect(answer.status).toBe(status)
    expect(text).not.toContain(CANARY)
    expect(text).not.toContain(kept.id)
    if (code === undefined) expect(text).toBe('')
    else {
      expect(answer.header('content-type')).toStartWith('application/problem+json')
      expect(JSON.parse(text)).toMatchObject({ code, status })
      expect(answer.all('x-request-id').length).toBe(1)
    }
    expect(await (await server.admin('GET', '/admin/keys')).json()).toEqual(before as never)
  })
}

test('a request that ends in the middle of its body stores nothing, and the next one is served', async () => {
  for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
    const client = await openClient(server.url)
    client.write(
      bytes(POST, [TOKEN, JSON_TYPE, framing], framing.startsWith('T') ? `7fff\r\n${BODY}` : BODY),
    )
    await Bun.sleep(20)
    client.socket.destroy()
  }
  expect(await (await server.admin('GET', '/admin/keys')).json()).toEqual(before as never)
})

test('two requests on one connection are answered each by itself, a refused one first', async () => {
  const client = await openClient(server.url)
  client.write(bytes(POST, [TOKEN, JSON_TYPE, 'Content-Length: 4'], '{bad'))
  expect(await client.answer()).toMatchObject({ status: 400, whole: true })
  client.write(bytes(GET, [TOKEN]))
  const answer = await client.answer()
  expect(answer.status).toBe(200)
  expect(JSON.parse(answer.body.toString())).toEqual(before)
  client.socket.destroy()
})
