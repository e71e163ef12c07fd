/** Streams through a named upstream, too long or too slow to be held: passed on at once, and never piled up. */
import { beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { entries, settled, until } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { openClient, startListener } from '../support/wire.ts'

const MIB = 1024 * 1024
const BLOCK = Buffer.alloc(256 * 1024, 'x')
const STREAM =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** What the kernel may hold of one connection, on both sides: what it holds is no memory of ours. */
const SOCKET_BYTES_MAX = ['wmem', 'rmem']
  .map((name) => Number(readFileSync(`/proc/sys/net/ipv4/tcp_${name}`, 'utf8').split('\t')[2]))
  .reduce((sum, bytes) => sum + bytes)

/** The upstream's side of the newest call to each path. */
const sides = new Map<string, Socket>()
/** Bytes that the upstream has written, or has read, in all. */
let written = 0
let taken = 0

let server: TestServer
let key: string
let startAnew = async () => {}

beforeAll(async () => {
  // A connection is used again: what begins like a request is one, the rest is the body of an upload.
  const serve = (socket: Socket) => {
    let swallows = false
    socket.on('data', (data: Buffer) => {
      const begins = data.subarray(0, 5).toString('latin1')
      if (begins !== 'GET /' && begins !== 'POST ') {
        if (swallows) taken += data.byteLength
        return
      }
      const target = data.toString('latin1').split(' ')[1] ?? ''
      const [, kind, size] = target.split('/')
      sides.set(target, socket)
      swallows = kind === 'swallow'
      if (swallows) taken += data.byteLength - data.indexOf('\r\n\r\n') - 4
      if (kind === 'pour') pour(socket, Number(size))
      else if (kind === 'deaf') socket.pause()
    })
  }
  const authority = await createAuthority()
  const plain = await startListener(serve)
  const tls = await startListener(serve, await authority.issue('DNS:localhost'))
  const patient = { timeouts: { idle_ms: 60_000, first_byte_ms: 60_000 } }
  startAnew = async () => {
    await server?.stop('SIGKILL')
    server = await startServer({
      ...authority.env,
      PROXY_IDLE_TIMEOUT_MS: '300',
      PROXY_BODY_BYTES_MAX: '1GiB',
    })
    key = (await issueKey(server, { quota: null })).key
    await addUpstream(server, { name: 'plain', base_url: plain.url })
    await addUpstream(server, { name: 'tls', base_url: tls.url })
    await addUpstream(server, { name: 'patient', base_url: plain.url, ...patient })
    await addUpstream(server, { name: 'patient-tls', base_url: tls.url, ...patient })
  }
  await startAnew()
})

/** Writes as fast as it is read. */
function pour(socket: Socket, length: number): void {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
  let left = length
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      const part = BLOCK.subarray(0, left)
      left -= part.byteLength
      written += part.byteLength
      if (!socket.write(part)) return void socket.once('drain', more)
    }
  }
  more()
}

const head = (method: string, target: string, ...lines: string[]) =>
  `${[`${method} ${target} HTTP/1.1`, 'Host: x', `X-API-Key: ${key}`, ...lines].join('\r\n')}\r\n\r\n`

/** The upstream's side of a call, once it has arrived there. */
async function sideOf(path: string): Promise<Socket> {
  await until(() => sides.has(path))
  const side = sides.get(path)
  if (!side) throw new Error('unreachable')
  return side
}

/** A client that keeps nothing of what it reads. */
async function connectTo(bytes: string, onData: (data: Buffer) => void): Promise<Socket> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.on('data', onData)
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.write(bytes)
  return socket
}

function residentMib(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/**
 * The most memory that the server holds while something goes on, above what it held before; of three times the least. When
 * garbage is collected is chance, but what is piled up is piled up each time.
 */
async function growthMib(during: () => Promise<void>): Promise<number> {
  const before = residentMib()
  const peaks: number[] = []
  for (let i = 0; i < 3; i++) {
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, residentMib())
    }, 20)
    await during()
    clearInterval(timer)
    peaks.push(Math.max(most, residentMib()))
  }
  return Math.min(...peaks) - before
}

describe.each(['plain', 'tls'])(
  'server-sent events over an upstream’s %s connection',
  (upstream) => {
    test('arrive one by one, and their silence is cut by no timer of ours', async () => {
      const path = `/open/${upstream}`
      const client = await openClient(server.url)
      let text = ''
      client.socket.on('data', (data) => (text += data.toString()))
      client.write(head('GET', `/u/${upstream}${path}`))
      const side = await sideOf(path)
      side.write(STREAM)
      for (const event of ['data: one\n\n', ': ping\n\n', 'data: é'.slice(0, -1), '\n\n']) {
        side.write(chunk(event))
        await until(() => text.endsWith(chunk(event)))
      }
      // Three times what any other answer may be silent for.
      await Bun.sleep(1_000)
      expect([client.socket.destroyed, side.destroyed]).toEqual([false, false])
      side.write(`${chunk('data: [DONE]\n\n')}0\r\n\r\n`)
      const answer = await client.answer()
      expect([answer.status, answer.whole]).toEqual([200, true])
      expect(answer.body.toString()).toEndWith('data: [DONE]\n\n')
      client.socket.destroy()
    })

    test('are the only answers that may be so silent', async () => {
      const path = `/open/other-${upstream}`
      const client = await openClient(server.url)
      client.write(head('GET', `/u/${upstream}${path}`))
      const side = await sideOf(path)
      side.write(STREAM.replace('text/event-stream', 'text/plain') + chunk('some'))
      const answer = await client.answer()
      expect([answer.status, answer.whole, answer.body.toString()]).toEqual([200, false, 'some'])
      await until(() => side.destroyed, 1_000)
    })

    test('end at the upstream within a second when their client leaves, in the middle or in silence', async () => {
      for (const events of [0, 1, 500]) {
        await settled(server)
        const count = (await entries(server)).length
        const path = `/open/left-${upstream}-${events}`
        const client = await openClient(server.url)
        client.write(head('GET', `/u/${upstream}${path}`))
        const side = await sideOf(path)
        side.write(STREAM)
        for (let i = 0; i < events; i++) side.write(chunk(`data: ${i}\n\n`))
        await Bun.sleep(100)
        client.socket.destroy()
        await until(() => side.destroyed, 1_000)
        await settled(server)
        const ended = (await entries(server)).slice(count)
        expect(ended).toMatchObject([{ outcome: 'client_aborted', requests_charged: 1 }])
      }
    })
  },
)

/** Reads an answer of so many bytes to its end, and keeps nothing of it. */
async function download(upstream: string, size: number): Promise<void> {
  let bytes = 0
  const client = await connectTo(head('GET', `/u/${upstream}/pour/${size}`), (data) => {
    bytes += data.byteLength
  })
  await until(() => bytes >= size, 40_000)
  client.destroy()
}

/** Sends so many bytes and waits until the upstream has all of them. */
async function upload(upstream: string, size: number): Promise<void> {
  const path = `/swallow/${upstream}/${size}`
  const line = `Content-Length: ${size}`
  const client = await connectTo(head('POST', `/u/${upstream}${path}`, line), () => {})
  taken = 0
  for (let sent = 0; sent < size; sent += BLOCK.byteLength) {
    if (!client.write(BLOCK)) await new Promise((resolve) => client.once('drain', resolve))
  }
  await until(() => taken === size, 20_000)
  sides.get(path)?.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
  await settled(server)
  client.destroy()
}

/** Resolves when a number has stopped growing. */
async function stopped(read: () => number): Promise<void> {
  for (let before = -1; before < read(); ) {
    before = read()
    await Bun.sleep(500)
  }
}

describe.each(['patient', 'patient-tls'])('through the upstream %s', (upstream) => {
  const size = upstream === 'patient' ? 1024 * MIB : 256 * MIB

  // What one test has left in memory must not hide what the next one takes.
  beforeEach(() => startAnew())

  test(`a download of ${size / MIB} MiB takes little memory, and is counted to the byte`, async () => {
    const growth = await growthMib(() => download(upstream, size))
    expect(growth).toBeLessThan(64)
    await settled(server)
    expect((await entries(server)).at(-1)).toMatchObject({ outcome: 'answered', bytes_out: size })
  }, 45_000)

  test(`an upload of ${size / 2 / MIB} MiB takes little memory, and is counted to the byte`, async () => {
    const growth = await growthMib(() => upload(upstream, size / 2))
    expect(growth).toBeLessThan(64)
    expect((await entries(server)).at(-1)).toMatchObject({
      outcome: 'answered',
      bytes_in: size / 2,
    })
  }, 30_000)

  test('what a client does not read is not read from the upstream: each holds less than 4 MiB', async () => {
    // What a process holds after its first stream is not the price of a stream.
    await download(upstream, 128 * MIB)
    await settled(server)
    const before = residentMib()
    written = 0
    const request = head('GET', `/u/${upstream}/pour/${1024 * MIB}`)
    const clients = await Promise.all(
      Array.from({ length: 32 }, () => connectTo(request, () => {})),
    )
    for (const client of clients) client.once('data', () => client.pause())
    await until(() => written > 32 * MIB)
    await stopped(() => written)
    const growth = residentMib() - before
    for (const client of clients) client.destroy()
    expect(growth).toBeLessThan(32 * 4)
    expect(written).toBeLessThan(32 * (2 * SOCKET_BYTES_MAX + 4 * MIB))
    await settled(server)
  }, 20_000)

  test('what the upstream does not read is not taken from the client, who may leave all the same', async () => {
    await upload(upstream, 64 * MIB)
    await settled(server)
    const count = (await entries(server)).length
    const before = residentMib()
    const path = `/deaf/${upstream}`
    const line = `Content-Length: ${512 * MIB}`
    const client = await connectTo(head('POST', `/u/${upstream}${path}`, line), () => {})
    let sent = 0
    const more = () => {
      do sent += BLOCK.byteLength
      while (client.write(BLOCK) && sent < 512 * MIB)
    }
    client.on('drain', more)
    more()
    await stopped(() => sent)
    expect(sent).toBeLessThan(2 * SOCKET_BYTES_MAX + 16 * MIB)
    expect(residentMib() - before).toBeLessThan(16)
    // A mere end would wait behind the bytes that nobody reads: see docs/request-path.md.
    client.resetAndDestroy()
    const side = await sideOf(path)
    side.resume()
    await until(() => side.destroyed, 1_000)
    await settled(server)
    expect((await entries(server)).slice(count)).toMatchObject([{ outcome: 'not_sent' }])
  }, 20_000)
})

test('an upload that the upstream does not read ends by its time limit, though its client has left unnoticed', async () => {
  await settled(server)
  const count = (await entries(server)).length
  const client = await connectTo(
    head('POST', '/u/plain/deaf/left', `Content-Length: ${512 * MIB}`),
    () => {},
  )
  for (let i = 0; i < 200; i++) client.write(BLOCK)
  await sideOf('/deaf/left')
  client.destroy()
  await settled(server)
  expect((await entries(server)).slice(count)).toHaveLength(1)
})
