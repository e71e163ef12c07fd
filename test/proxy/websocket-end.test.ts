/** How WebSockets end: by either side, by the operator's limits, by force; and that nothing is left of them. */
import { beforeAll, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { entries, holds, settled, until, usedOf } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  addSocketUpstream,
  bearer,
  closeFrame,
  joinSocket,
  openRawSocket,
  openWebSocket,
  type SocketUpstream,
  startSocketUpstream,
  switching,
} from '../support/sockets.ts'
import { startRawUpstream } from '../support/wire.ts'

const MiB = 1024 * 1024

let server: TestServer
let echo: SocketUpstream
beforeAll(async () => {
  echo = startSocketUpstream()
  server = await startServer()
  await add('echo', { base_url: echo.url, mount: '/v1' })
})

const add = (name: string, fields: Record<string, unknown>, to = server) =>
  addSocketUpstream(to, name, fields)
const join = (path = '/v1/x', upstream = echo, at = server) => joinSocket(at, upstream, path)

async function lastEntry() {
  await settled(server)
  return (await entries(server)).at(-1)
}

test.each([
  [1000, 'done'],
  [1001, 'leaving'],
  [1011, ''],
  [3000, 'x'.repeat(123)],
  [4999, 'ünïcode'],
])('what the client closes with, %p, the upstream is told', async (code, reason) => {
  const { client, far } = await join()
  client.socket.close(code, reason)
  expect(await far.closed).toEqual({ code, reason })
  expect(await client.closed).toEqual({ code, reason })
  await settled(server)
})

test.each([
  [1000, 'done'],
  [1001, 'leaving'],
  [1008, 'policy'],
  [1013, ''],
  [4000, 'x'.repeat(123)],
])('what the upstream closes with, %p, the client is told', async (code, reason) => {
  const { client, far } = await join()
  far.socket.close(code, reason)
  expect(await client.closed).toEqual({ code, reason })
  expect(await far.closed).toEqual({ code, reason })
  await settled(server)
})

test('a close without a code stays without one', async () => {
  const one = await join()
  one.client.socket.close()
  expect(await one.far.closed).toEqual({ code: 1005, reason: '' })
  const upstream = await startRawUpstream((socket, { headers }) => {
    socket.write(Buffer.concat([switching(headers), Buffer.from([0x88, 0])]))
  })
  await add('codeless', { base_url: upstream.url })
  const { key } = await issueKey(server)
  const client = await openWebSocket(`${server.url}/u/codeless/x`, bearer(key))
  expect(await client.closed).toEqual({ code: 1005, reason: '' })
  await settled(server)
})

test('a client that dies takes the upstream’s connection with it', async () => {
  const { key, id } = await issueKey(server)
  const { socket } = await openRawSocket(server.url, '/v1/x', bearer(key))
  const far = echo.connections.at(-1)
  socket.resetAndDestroy()
  expect(await far?.closed).toEqual({ code: 1001, reason: '' })
  expect(await usedOf(server, id)).toBe(1)
  expect(await lastEntry()).toMatchObject({ outcome: 'answered', requests_charged: 1 })
})

test('an upstream that dies takes the client’s connection with it', async () => {
  const { client, far, id } = await join()
  far.socket.terminate()
  expect(await client.closed).toEqual({ code: 1011, reason: '' })
  expect(await usedOf(server, id)).toBe(1)
})

test('frames that break the rules end the connection and not the server', async () => {
  const upstream = await startRawUpstream((socket, { headers, target }) => {
    const bad = {
      '/masked': Buffer.from([0x81, 0x82, 1, 2, 3, 4, 5, 6]),
      '/reserved': Buffer.from([0xf1, 1, 65]),
      '/not-utf8': Buffer.from([0x81, 2, 0xff, 0xfe]),
      '/endless': Buffer.from([0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
      '/code-999': closeFrame(999, ''),
    }[target]
    socket.write(Buffer.concat([switching(headers), bad ?? Buffer.alloc(0)]))
  })
  await add('rude', { base_url: upstream.url })
  const { key } = await issueKey(server)
  for (const path of ['masked', 'reserved', 'not-utf8', 'endless', 'code-999']) {
    const client = await openWebSocket(`${server.url}/u/rude/${path}`, bearer(key))
    const { code } = await client.closed
    expect(`${path} ${[1002, 1007, 1009, 1011].includes(code)} ${code}`).toStartWith(`${path} true`)
    await settled(server)
  }
  await until(() => upstream.sockets.size === 0)
})

test('a message of more than 16 MiB ends the connection, whoever sends it', async () => {
  const big = new Uint8Array(16 * MiB + 1)
  const one = await join()
  one.client.socket.send(big)
  expect((await one.client.closed).code).toBe(1009)
  expect((await one.far.closed).code).toBe(1001)
  expect(one.far.messages).toEqual([])
  const other = await join()
  other.far.socket.send(big)
  expect((await other.client.closed).code).toBe(1009)
  expect((await other.far.closed).code).toBe(1009)
  expect(other.client.messages).toEqual([])
  await settled(server)
})

test('its life ends when the operator says, on both sides', async () => {
  await add('brief', { base_url: echo.url, websocket_seconds_max: 1 })
  const startedMs = performance.now()
  const { client, far, id } = await join('/u/brief/x')
  const over = { code: 1001, reason: 'its longest life is over' }
  expect(await client.closed).toEqual(over)
  expect(await far.closed).toEqual(over)
  expect(performance.now() - startedMs).toBeGreaterThan(900)
  expect(await usedOf(server, id)).toBe(1)
  expect(await lastEntry()).toMatchObject({ outcome: 'answered', status: 101 })
})

test('an upstream that ignores the close is cut off', async () => {
  const deaf = await startRawUpstream((socket, { headers }) => {
    socket.write(switching(headers))
  })
  await add('deaf', { base_url: deaf.url })
  const { key } = await issueKey(server)
  const client = await openWebSocket(`${server.url}/u/deaf/x`, bearer(key))
  client.socket.close(1000, 'done')
  expect(await client.closed).toEqual({ code: 1000, reason: 'done' })
  await until(() => deaf.sockets.size === 0, 6_000)
  await settled(server)
}, 15_000)

test('a client that does not read ends the connection instead of filling the memory', async () => {
  const before = memoryOf(server)
  const part = new Uint8Array(MiB)
  const upstream = startSocketUpstream({
    opened({ socket }) {
      const pour = setInterval(() => {
        if (socket.readyState !== WebSocket.OPEN) clearInterval(pour)
        else for (let n = 0; n < 4; n++) socket.send(part)
      }, 5)
    },
  })
  await add('flood', { base_url: upstream.url })
  const { key } = await issueKey(server)
  const { socket } = await openRawSocket(server.url, '/u/flood/x', bearer(key))
  const far = upstream.connections[0]
  expect((await far?.closed)?.code).toBe(1013)
  // What it holds besides is what fits into the buffers of the sockets.
  expect(memoryOf(server) - before).toBeLessThan(64 * MiB)
  const entry = await lastEntry()
  expect(entry?.bytes_out).toBeLessThan(32 * MiB)
  socket.destroy()
}, 15_000)

test('an upstream that does not read ends the connection instead of filling the memory', async () => {
  const deaf = await startRawUpstream((socket, { headers }) => {
    socket.write(switching(headers))
    socket.pause()
  })
  await add('unread', { base_url: deaf.url })
  const { key } = await issueKey(server)
  const client = await openWebSocket(`${server.url}/u/unread/x`, bearer(key))
  const part = new Uint8Array(MiB)
  const pour = setInterval(() => {
    if (client.socket.readyState === WebSocket.OPEN) client.socket.send(part)
  }, 2)
  expect((await client.closed).code).toBe(1013)
  clearInterval(pour)
  const entry = await lastEntry()
  expect(entry?.bytes_in).toBeLessThan(32 * MiB)
  await until(() => {
    for (const socket of deaf.sockets) socket.resume()
    return deaf.sockets.size === 0
  }, 6_000)
}, 15_000)

test('a server that stops lets connections run on for its grace, then ends and settles them', async () => {
  const stopping = await startServer({ SHUTDOWN_GRACE_MS: '500' })
  await add('echo', { base_url: echo.url }, stopping)
  const { client, far, key } = await join('/u/echo/x', echo, stopping)
  const stopped = stopping.stop()
  await until(() => stopping.logs().includes('stopping'))
  client.socket.send('still here')
  expect(await client.next()).toBe('still here')
  expect(await stopped).toBe(0)
  expect((await client.closed).code).toBe(1001)
  expect((await far.closed).code).toBe(1001)
  expect(await holds(stopping)).toBe(0)
  expect(await entries(stopping)).toMatchObject([
    { outcome: 'answered', requests_charged: 1, bytes_in: 10 },
  ])
  expect(key).toBeTruthy()
}, 15_000)

/** Resident memory, as the kernel counts it. */
function memoryOf({ pid }: TestServer): number {
  const kB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kB) * 1024
}
