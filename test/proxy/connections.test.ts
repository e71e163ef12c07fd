/** What a client may do on its connection: it gets an answer, or is charged nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import { callsOf, settled, until, usedOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { exchange, openClient, type RawUpstream, startRawUpstream } from '../support/wire.ts'

const LIMITS = [{ name: 'tokens', unit: 'tokens', amount: 1_000_000, window: 'lifetime' }]

let server: TestServer
let upstream: RawUpstream
/** Those that the upstream has not answered yet. */
let waiting: Socket[] = []
let answers = true

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { method, target }) => {
    if (!answers) return void waiting.push(socket)
    if (target.includes('unknown-length')) {
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
      socket.end(method === 'HEAD' ? '' : 'done')
    } else if (target.includes('304')) socket.end('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n')
    else socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok')
  })
  server = await startServer()
  await addUpstream(server, {
    ...{ name: 'api', base_url: upstream.url, mount: '/v1' },
    ...{ meter: { kind: 'tokens' }, charge_on: 'attempt' },
  })
  await addUpstream(server, { name: 'below', base_url: `${upstream.url}/base` })
})

afterAll(() => server.stop())

const head = (method: string, target: string, key: string, lines: readonly string[] = []) =>
  `${[`${method} ${target} HTTP/1.1`, 'Host: x', `X-API-Key: ${key}`, ...lines].join('\r\n')}\r\n\r\n`
const chat = '{"model":"m","messages":[],"max_tokens":100}'
const post = (target: string, key: string, body = chat) =>
  head('POST', target, key, ['Content-Type: application/json', `Content-Length: ${body.length}`]) +
  body

/** Everything that the server says on one connection until it closes it. */
async function closing(text: string): Promise<string> {
  const client = await openClient(server.directUrl)
  const said: Buffer[] = []
  client.socket.on('data', (data: Buffer) => said.push(data))
  const closed = new Promise((resolve) => client.socket.once('close', resolve))
  client.write(Buffer.from(text, 'latin1'))
  await closed
  return Buffer.concat(said).toString('latin1')
}

/** Nothing was charged, whatever the policy and the unit, and nothing is held. */
async function expectFree(id: string): Promise<void> {
  await settled(server)
  expect(await usedOf(server, id)).toBe(0)
  for (const call of await callsOf(server, id))
    expect([call.requests.charged, call.tokens.charged]).toEqual([0, 0])
}

describe('what follows a request in the same packet', () => {
  for (const [what, more] of [
    ['a second request', (key: string) => head('GET', '/v1/b', key)],
    ['a second request with a body', (key: string) => post('/v1/b', key)],
    ['an empty line', () => '\r\n'],
    ['what is no request', () => 'rubbish rubbish\r\n\r\n'],
  ] as const) {
    for (const [which, first] of [
      ['a GET', (key: string) => head('GET', '/v1/a', key)],
      ['a POST', (key: string) => post('/v1/a', key)],
      [
        'a streamed POST',
        (key: string) =>
          `${head('POST', '/v1/files', key, ['Transfer-Encoding: chunked'])}2\r\nab\r\n0\r\n\r\n`,
      ],
      [
        'a streamed POST whose beginning is looked at',
        (key: string) =>
          `${head('POST', '/v1/a', key, ['Transfer-Encoding: chunked'])}2\r\nab\r\n0\r\n\r\n`,
      ],
    ] as const) {
      test(`${what} after ${which} closes the connection and costs nothing`, async () => {
        // A key with such limits may not send what cannot be read.
        const { key, id } = await issueKey(
          server,
          /looked at/.test(which) ? {} : { limits: LIMITS },
        )
        const before = upstream.seen.length
        expect(await closing(first(key) + more(key))).not.toContain('200 OK')
        await expectFree(id)
        expect(upstream.seen.length).toBe(before)
      })
    }
  }

  test('trailers close the connection and cost nothing, and the upstream gets no whole request', async () => {
    for (const size of [2, 200_000]) {
      const { key, id } = await issueKey(server, { limits: LIMITS })
      const before = upstream.seen.length
      const body = `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n0\r\nX-Sum: 1\r\n\r\n`
      const lines = ['Transfer-Encoding: chunked', 'Trailer: X-Sum']
      expect(await closing(head('POST', '/v1/files', key, lines) + body)).not.toContain('200 OK')
      await expectFree(id)
      expect(upstream.seen.length).toBe(before)
    }
  })

  test('an empty line before a request is refused and costs nothing', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    expect(await closing(`\r\n${head('GET', '/v1/a', key)}`)).toStartWith('HTTP/1.1 400 ')
    await expectFree(id)
  })
})

test('requests that wait for their answers are answered one after the other on one connection', async () => {
  const { key, id } = await issueKey(server, { limits: LIMITS })
  const client = await openClient(server.directUrl)
  for (let n = 1; n <= 3; n++) {
    client.write(n % 2 ? head('GET', '/v1/a', key) : post('/v1/a', key))
    expect((await client.answer()).status).toBe(200)
  }
  client.socket.destroy()
  expect(await usedOf(server, id)).toBe(3)
})

test('a client that has left before its call is let through pays nothing, and one that leaves later does', async () => {
  const { key, id } = await issueKey(server, { limits: LIMITS })
  answers = false
  const client = await openClient(server.directUrl)
  client.write(head('GET', '/v1/a', key))
  await until(() => waiting.length === 1)
  client.socket.destroy()
  await until(() => waiting.every(({ destroyed }) => destroyed))
  answers = true
  waiting = []
  expect(await usedOf(server, id)).toBe(1)
  // Both ends of its connection are closed in the packet that follows the request.
  const half = await openClient(server.directUrl)
  const closed = new Promise((resolve) => half.socket.once('close', resolve))
  half.socket.end(head('GET', '/v1/a', key))
  await closed
  await settled(server)
  for (const { outcome, requests } of await callsOf(server, id))
    expect([outcome, requests.charged]).toEqual([outcome, outcome === 'not_sent' ? 0 : 1])
})

describe('the length', () => {
  test('of an answer to HEAD is not made up: the upstream says it, or nobody does', async () => {
    const { key } = await issueKey(server)
    const ask = async (target: string) => {
      const client = await openClient(server.directUrl)
      client.write(head('HEAD', target, key))
      const answer = await client.answer(5_000, 'HEAD')
      // The connection is still in step.
      client.write(head('GET', '/v1/a', key))
      expect((await client.answer()).body.toString()).toBe('ok')
      client.socket.destroy()
      return [answer.status, answer.header('content-length'), answer.header('transfer-encoding')]
    }
    expect(await ask('/v1/a')).toEqual([200, '2', null])
    expect(await ask('/v1/unknown-length')).toEqual([200, null, 'chunked'])
    expect(await ask('/v1/304')).toEqual([304, null, null])
  })

  test('of a request, sent twice, is refused and opens no circuit', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    for (let n = 0; n < 30; n++) {
      const twice = head('POST', '/v1/a', key, ['Content-Length: 2', 'Content-Length: 2'])
      expect((await exchange(server.directUrl, `${twice}ab`)).status).toBe(400)
    }
    await expectFree(id)
    const other = await issueKey(server)
    expect((await exchange(server.directUrl, head('GET', '/v1/a', other.key))).status).toBe(200)
  })
})

describe('a target', () => {
  const codeOf = async (target: string, key: string, lines: readonly string[] = []) => {
    const bytes = Buffer.from(head('DELETE', target, key, lines), 'latin1')
    const answer = await exchange(server.directUrl, bytes)
    if (answer.status === 200) return '200'
    return `${answer.status} ${JSON.parse(answer.body.toString()).error.code}`
  }

  test('that would name another resource at the upstream is refused, and costs nothing', async () => {
    const { key, id } = await issueKey(server, { limits: LIMITS })
    const before = upstream.seen.length
    for (const target of [
      '/v1/dav/a#x', '/v1/a?b#c', '/v1/#', '/u/api//a', '/u/api///a/b', '/v1/\xe9', '/v1/a?q=\xff', '/v1/\xc3\x28',
    ]) {
      expect([target, await codeOf(target, key)]).toEqual([target, '400 malformed_request'])
    } // biome-ignore format: a table
    expect([upstream.seen.length, await usedOf(server, id)]).toEqual([before, 0])
  })

  test('passes as it was sent: empty segments, encoded bytes of any encoding, encoded marks', async () => {
    const { key } = await issueKey(server)
    for (const [target, seen] of [
      ['/v1/a//b///c', '/a//b///c'],
      ['/u/below//a', '/base//a'],
      ['/v1/%E9?q=%ff', '/%E9?q=%ff'],
      ['/v1/%23%3f%00%0a', '/%23%3f%00%0a'],
      ['/v1/%zz%', '/%zz%'],
      ['/v1/caf\xc3\xa9', '/caf%C3%A9'],
    ]) {
      expect([target, await codeOf(String(target), key)]).toEqual([target, '200'])
      expect(upstream.seen.at(-1)?.target).toBe(seen)
    }
  })

  test('that no rule can read is refused exactly where a rule has to read it', async () => {
    for (const fields of [{ paths: ['/**'] }, { models: ['*'] }]) {
      const { key } = await issueKey(server, fields)
      for (const target of ['/v1/%E9', '/v1/%00', '/v1/%zz'])
        expect(await codeOf(target, key)).toBe('403 path_not_allowed')
    }
    const { key } = await issueKey(server)
    const opened = { name: 'opened', base_url: upstream.url, paths: ['/**'] }
    const costly = { name: 'costly', base_url: upstream.url, costs: [{ path: '/x', requests: 5 }] }
    for (const fields of [opened, costly]) {
      await addUpstream(server, fields)
      expect(await codeOf(`/u/${fields.name}/%E9`, key)).toBe('403 path_not_allowed')
      expect(await codeOf(`/u/${fields.name}/a`, key)).toBe('200')
    }
  })

  test('and header fields have limits, which are answered with a code', async () => {
    const { key, id } = await issueKey(server)
    const fields = (n: number, size = 1) =>
      Array.from({ length: n }, (_, i) => `X-${i}: ${'v'.repeat(size)}`)
    expect(await codeOf(`/v1/${'a'.repeat(16_000)}`, key)).toBe('200')
    expect(await codeOf(`/v1/${'a'.repeat(17_000)}`, key)).toBe('414 uri_too_long')
    expect(await codeOf('/v1/a', key, fields(140))).toBe('200')
    expect(await codeOf('/v1/a', key, fields(160))).toBe('431 header_fields_too_large')
    expect(await codeOf('/v1/a', key, fields(9, 5_000))).toBe('200')
    expect(await codeOf('/v1/a', key, fields(11, 5_000))).toBe('431 header_fields_too_large')
    expect(await usedOf(server, id)).toBe(3)
  })
})
