/** Which calls go to the upstream over a connection that another call has used, and what that may cost. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { callsOf, settled, until } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startRawUpstream } from '../support/wire.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'

/** How many connections three calls take, one after the other. */
async function connectionsOf(name: string, method: string): Promise<number> {
  let opened = 0
  const seen = new WeakSet<object>()
  const upstream = await startRawUpstream((socket, { method: asked }) => {
    if (!seen.has(socket)) opened++
    seen.add(socket)
    socket.write(asked === 'HEAD' ? OK : `${OK}ok`)
  })
  const fields = { base_url: upstream.url, meter: { kind: 'none' } }
  await addUpstream(server, { name, ...fields, resend_safe: !name.startsWith('closing') })
  const { key } = await issueKey(server)
  for (let i = 0; i < 3; i++) {
    const answer = await fetch(`${server.url}/u/${name}/x`, {
      method,
      headers: { 'x-api-key': key },
    })
    expect([answer.status, await answer.text()]).toEqual([200, method === 'HEAD' ? '' : 'ok'])
  }
  return opened
}

test('GET, HEAD, OPTIONS and POST use a connection again; PUT and DELETE never do', async () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST'])
    expect([method, await connectionsOf(`kept-${method.toLowerCase()}`, method)]).toEqual([
      method,
      1,
    ])
  for (const method of ['PUT', 'DELETE'])
    expect([method, await connectionsOf(`new-${method.toLowerCase()}`, method)]).toEqual([
      method,
      3,
    ])
})

test('with resend_safe off, no call that could be sent again uses a connection again', async () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS'])
    expect([method, await connectionsOf(`closing-${method.toLowerCase()}`, method)]).toEqual([
      method,
      3,
    ])
})

/** Answers the first request of each connection, and dies of the second without a word. */
async function startMortal() {
  const used = new WeakSet<object>()
  return await startRawUpstream((socket) => {
    if (used.has(socket)) return void socket.destroy()
    used.add(socket)
    socket.write(`${OK}ok`)
  })
}

test('a GET whose kept connection dies is sent once more and charged once', async () => {
  const upstream = await startMortal()
  await addUpstream(server, { name: 'mortal', base_url: upstream.url, charge_on: 'attempt' })
  const { key, id } = await issueKey(server)
  const ask = (method: string) =>
    fetch(`${server.url}/u/mortal/x`, { method, headers: { 'x-api-key': key } })
  expect((await ask('GET')).status).toBe(200)
  expect((await ask('GET')).status).toBe(200)
  expect(upstream.seen.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET'])
  await settled(server)
  const calls = await callsOf(server, id)
  expect(calls.map(({ requests }) => requests.charged)).toEqual([1, 1])
})

test('a POST whose kept connection dies is never sent again', async () => {
  const upstream = await startMortal()
  await addUpstream(server, { name: 'once', base_url: upstream.url, charge_on: 'attempt' })
  const { key, id } = await issueKey(server)
  const ask = () =>
    fetch(`${server.url}/u/once/x`, { method: 'POST', body: 'x', headers: { 'x-api-key': key } })
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 502])
  await until(() => upstream.seen.length >= 2)
  expect(upstream.seen).toHaveLength(2)
  await settled(server)
  expect((await callsOf(server, id)).map(({ requests }) => requests.charged)).toEqual([1, 1])
})
