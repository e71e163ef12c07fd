/** Whose a WebSocket is: the key in a sub-protocol, as browsers send it, and what becomes of a socket whose key goes. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { entries, settled, usedOf } from '../support/books.ts'
import { CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  addSocketUpstream,
  bearer,
  openRawSocket,
  openWebSocket,
  type SocketUpstream,
  startSocketUpstream,
  upgradeBytes,
} from '../support/sockets.ts'
import { exchange } from '../support/wire.ts'

let server: TestServer
let echo: SocketUpstream
beforeAll(async () => {
  echo = startSocketUpstream()
  server = await startServer()
  await addSocketUpstream(server, 'echo', { base_url: echo.url, mount: '/v1' })
  await addSocketUpstream(server, 'open', { base_url: echo.url, credential: undefined })
})

const offered = () => echo.seen.at(-1)?.headers.get('sec-websocket-protocol') ?? null

async function refusedAs(fields: Record<string, string>, path = '/v1/realtime'): Promise<string> {
  const answer = await exchange(server.url, upgradeBytes(path, fields))
  const { error } = JSON.parse(answer.body.toString()) as { error: { code: string } }
  return `${answer.status} ${error.code}`
}

describe('a key among the sub-protocols', () => {
  test.each(['openai-insecure-api-key.', 'quota-proxy-key.'])(
    'opens the socket after %p, is answered with another name, and goes nowhere',
    async (prefix) => {
      const { key, id } = await issueKey(server)
      const names = ['realtime', `${prefix}${key}`, 'openai-beta.realtime-v1']
      const client = await openWebSocket(`${server.url}/v1/realtime?model=x`, {}, names)
      expect(client.socket.protocol).toBe('realtime')
      client.socket.send('hello')
      expect(await client.next()).toBe('hello')
      client.socket.close()
      await client.closed
      expect(offered()).toBe('realtime, openai-beta.realtime-v1')
      const request = echo.seen.at(-1)
      expect(JSON.stringify([...(request?.headers ?? [])])).not.toContain(key)
      expect(request?.headers.get('authorization')).toBe(`Bearer ${CREDENTIAL}`)
      expect(await usedOf(server, id)).toBe(1)
      expect(JSON.stringify(server.events())).not.toContain(key)
    },
  )

  test('is not said back in the answer to the handshake', async () => {
    const { key } = await issueKey(server)
    const list = `openai-insecure-api-key.${key}, realtime`
    const { head, socket } = await openRawSocket(server.url, '/v1/x', {
      'sec-websocket-protocol': list,
    })
    expect(head).toMatch(/^sec-websocket-protocol: realtime\r$/im)
    expect(head).not.toContain(key)
    socket.destroy()
    await settled(server)
  })

  test('counts beside a credential of somebody else in a header', async () => {
    const { key } = await issueKey(server)
    const client = await openWebSocket(
      `${server.url}/v1/realtime`,
      { authorization: 'Bearer sk-somebody-else' },
      ['realtime', `openai-insecure-api-key.${key}`],
    )
    client.socket.close()
    await client.closed
  })

  test('of somebody else beside a key in a header is no second credential for the upstream', async () => {
    const { key } = await issueKey(server)
    const names = ['realtime', 'openai-insecure-api-key.sk-someother']
    const client = await openWebSocket(`${server.url}/v1/realtime`, bearer(key), names)
    client.socket.close()
    await client.closed
    expect(offered()).toBe('realtime')
  })

  test('of the client’s own passes where the upstream is called without one of the operator', async () => {
    const { key } = await issueKey(server)
    const names = ['realtime', 'openai-insecure-api-key.sk-my-own', 'quota-proxy-key.other']
    const client = await openWebSocket(`${server.url}/u/open/realtime`, { 'x-api-key': key }, names)
    client.socket.close()
    await client.closed
    expect(offered()).toBe('realtime, openai-insecure-api-key.sk-my-own')
  })

  test.each([
    ['an unknown key', 'realtime, openai-insecure-api-key.trial_nobody', '401 invalid_api_key'],
    ['no key at all', 'realtime', '401 missing_api_key'],
    ['an empty key', 'realtime, openai-insecure-api-key.', '401 missing_api_key'],
    ['a name that only ends like one', 'x-openai-insecure-api-key.a', '401 missing_api_key'],
  ])('%s is refused before the upstream', async (_, list, told) => {
    const before = echo.seen.length
    expect(await refusedAs({ 'sec-websocket-protocol': list })).toBe(told)
    expect(echo.seen).toHaveLength(before)
  })

  test('two different keys of ours are refused, one of them in a header or not', async () => {
    const one = await issueKey(server)
    const other = await issueKey(server)
    const list = `openai-insecure-api-key.${one.key}`
    const both = `${list}, quota-proxy-key.${other.key}`
    expect(await refusedAs({ 'sec-websocket-protocol': both })).toBe('400 ambiguous_api_key')
    const fields = { ...bearer(other.key), 'sec-websocket-protocol': list }
    expect(await refusedAs(fields)).toBe('400 ambiguous_api_key')
  })

  test('opens nothing but a handshake, and stays refused in the URL', async () => {
    const { key } = await issueKey(server)
    const list = `openai-insecure-api-key.${key}`
    const plain = await fetch(`${server.url}/v1/x`, { headers: { 'sec-websocket-protocol': list } })
    expect(plain.status).toBe(401)
    const fields = { 'sec-websocket-protocol': list }
    expect(await refusedAs(fields, `/v1/x?key=${key}`)).toBe('422 invalid_request')
    expect(await refusedAs({}, `/v1/x?key=${key}`)).toBe('401 missing_api_key')
  })
})

describe('a socket whose key may no longer be used', () => {
  const patch = (id: string, body: object) => server.admin('PATCH', `/admin/keys/${id}`, body)

  test.each([
    ['disabled', 'api_key_disabled', (id: string) => patch(id, { enabled: false })],
    [
      'expired',
      'api_key_expired',
      (id: string) => patch(id, { expires_at: '2020-01-01T00:00:00Z' }),
    ],
    ['deleted', 'invalid_api_key', (id: string) => server.admin('DELETE', `/admin/keys/${id}`)],
    [
      'replaced',
      'invalid_api_key',
      (id: string) => server.admin('POST', `/admin/keys/${id}/rotate`, {}),
    ],
  ])('that is %s ends within a second, and says so', async (_, code, change) => {
    const { key, id } = await issueKey(server)
    const other = await issueKey(server)
    const client = await openWebSocket(`${server.url}/v1/x`, bearer(key))
    const stays = await openWebSocket(`${server.url}/v1/x`, bearer(other.key))
    const far = echo.connections.at(-2)
    await change(id)
    const startedMs = performance.now()
    const end = await client.closed
    // A loaded machine may be late; the look itself comes twice a second.
    expect(performance.now() - startedMs).toBeLessThan(2_000)
    expect(end.code).toBe(1008)
    expect(end.reason).toStartWith(`${code}: `)
    expect((await far?.closed)?.code).toBe(1001)
    stays.socket.send('still here')
    expect(await stays.next()).toBe('still here')
    stays.socket.close()
    await stays.closed
    await settled(server)
    expect((await entries(server)).at(-1)).toMatchObject({
      outcome: 'answered',
      requests_charged: 1,
    })
  })

  test('by time alone ends when the key does', async () => {
    const ends = new Date(Date.now() + 2_000).toISOString()
    const { key } = await issueKey(server, { expires_at: ends })
    const client = await openWebSocket(`${server.url}/v1/x`, bearer(key))
    expect((await client.closed).reason).toStartWith('api_key_expired: ')
  })

  test('goes on through a change that leaves the key usable, and through the grace of a rotation', async () => {
    const { key, id } = await issueKey(server)
    const client = await openWebSocket(`${server.url}/v1/x`, bearer(key))
    await patch(id, { name: 'renamed' })
    const rotated = await server.admin('POST', `/admin/keys/${id}/rotate`, { grace_seconds: 3 })
    expect(rotated.status).toBe(200)
    await Bun.sleep(1_200)
    expect(client.socket.readyState).toBe(WebSocket.OPEN)
    expect((await client.closed).code).toBe(1008)
  })

  test('ends when its upstream is disabled, moved, deleted or gets another credential', async () => {
    const changes: [string, (name: string) => Promise<Response>][] = [
      ['one', (name) => server.admin('PATCH', `/admin/upstreams/${name}`, { enabled: false })],
      [
        'two',
        (name) =>
          server.admin('PATCH', `/admin/upstreams/${name}`, { credential: { secret: 'sk-new-1' } }),
      ],
      ['three', (name) => server.admin('DELETE', `/admin/upstreams/${name}`)],
      [
        'four',
        (name) =>
          server.admin('PATCH', `/admin/upstreams/${name}`, { websocket_seconds_max: null }),
      ],
    ]
    for (const [name, change] of changes) {
      await addSocketUpstream(server, name, { base_url: echo.url })
      const { key } = await issueKey(server)
      const client = await openWebSocket(`${server.url}/u/${name}/x`, bearer(key))
      expect((await change(name)).ok).toBe(true)
      const { code, reason } = await client.closed
      expect(`${name} ${code}`).toBe(`${name} 1001`)
      expect(reason).toStartWith('the upstream ')
    }
  })
})

describe('a key that is meant for some models', () => {
  const MODELS = { models: ['gpt-realtime*', 'gemini-live'] }
  const opened = async () => {
    const { key } = await issueKey(server, MODELS)
    return openWebSocket(`${server.url}/v1/realtime?model=gpt-realtime`, bearer(key))
  }

  test.each([
    ['another', '{"type":"response.create","model":"o3"}'],
    ['another for a session', '{"type":"session.update","session":{"model":"o3"}}'],
    [
      'another for transcriptions',
      '{"session":{"audio":{"input":{"transcription":{"model":"whisper-1"}}}}}',
    ],
    ['another twice', '{"model":"o3","model":"gpt-realtime"}'],
    ['another in capitals', '{"MODEL":"o3"}'],
    ['another by an escape', '{"m\\u006fdel":"o3"}'],
    ['another in bytes', Buffer.from('{"setup":{"model":"models/gemini-2"}}')],
  ])('may not name %s in a message, which the upstream never gets', async (_, message) => {
    const client = await opened()
    const far = echo.connections.at(-1)
    client.socket.send(message)
    const { code, reason } = await client.closed
    expect(code).toBe(1008)
    expect(reason).toStartWith('model_not_allowed: ')
    await far?.closed
    expect(far?.messages).toEqual([])
  })

  test('may name its own, and say what it likes', async () => {
    const client = await opened()
    for (const message of [
      '{"type":"session.update","session":{"model":"gpt-realtime-mini"}}',
      '{"setup":{"model":"models/gemini-live"}}',
      JSON.stringify({ text: 'the "model": "o3"', schema: { model: { type: 'string' } } }),
      '{"text":"\\u00e9","type":"x"}',
    ]) {
      client.socket.send(message)
      expect(await client.next()).toBe(message)
    }
    client.socket.close()
    await client.closed
  })
})
