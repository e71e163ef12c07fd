/** Long answers: relayed as they come, with bounded memory, ended by whoever ends first, and never cut in silence. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { callsOf, entries, holds, settled, until } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { callBytes, openClient, type RawUpstream, startRawUpstream } from '../support/wire.ts'

const CHUNKED = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n'
const BLOCK = Buffer.alloc(64 * 1024, 'x')
const FRAME = Buffer.concat([Buffer.from('10000\r\n'), BLOCK, Buffer.from('\r\n')])
const MIB = 1024 * 1024

/** The upstream's side of the newest call to each path. */
const sides = new Map<string, Socket>()
/** Bytes that the upstream has written of its endless answers. */
let produced = 0

let upstream: RawUpstream
let server: TestServer
let key: string

beforeAll(async () => {
  upstream = await startRawUpstream((socket, { target }) => {
    sides.set(target, socket)
    const [, kind, size] = target.split('/')
    if (kind === 'endless') pour(socket, FRAME, 500e6)
    else if (kind === 'liar')
      pour(socket, FRAME, 500e6, CHUNKED.replace('\r\n', '\r\nContent-Length: 9\r\n'))
    else if (kind === 'sized') pour(socket, BLOCK, Number(size), sized(Number(size)))
    else if (kind === 'open') socket.write(CHUNKED)
    else if (kind === 'brief') socket.write(sized(8))
    else if (kind === 'events')
      socket.write(
        CHUNKED.replace('\r\n', `\r\nContent-Type: ${decodeURIComponent(size ?? '')}\r\n`),
      )
  })
  server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host, PROXY_BODY_BYTES_MAX: '64KiB' })
  key = (await issueKey(server, { quota: null })).key
})

/** Whatever was done to it, the server took none of it for a fault of its own. */
afterAll(() => {
  const faults = server
    .logs()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"level":"info"'))
  expect(faults).toEqual([])
})

const sized = (length: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`

/** Writes as fast as it is read. */
function pour(socket: Socket, block: Buffer, bytesMax: number, head = CHUNKED): void {
  let left = bytesMax
  socket.write(head)
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      const part = block.subarray(0, left)
      left -= part.byteLength
      produced += part.byteLength
      if (!socket.write(part)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** Starts a call on a connection of its own. */
async function start(path: string, extra: object = {}, at = server, with_ = key) {
  const client = await openClient(at.url)
  client.write(callBytes({ 'X-API-Key': with_ }, { endpoint: upstream.url + path, ...extra }))
  return client
}

/** The upstream's side of a call, once it has arrived there. */
async function sideOf(path: string): Promise<Socket> {
  await until(() => sides.has(path))
  const side = sides.get(path)
  if (!side) throw new Error('unreachable')
  return side
}

function residentMib({ pid }: TestServer): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** The most memory that the server holds while something goes on, above what it held before. */
async function growthMib(during: () => Promise<void>): Promise<number> {
  const before = residentMib(server)
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, residentMib(server))
  }, 20)
  await during()
  clearInterval(timer)
  return most - before
}

/** Waits until one more call is in the books than there were, and returns it. */
async function nextEntry(count: number, at = server) {
  await until(async () => (await entries(at)).length > count)
  expect((await entries(at)).length).toBe(count + 1)
  return (await entries(at)).at(-1)
}

describe('a stream', () => {
  test('is forwarded as it comes: each event before the next one exists', async () => {
    const client = await start('/open/sse')
    const side = await sideOf('/open/sse')
    let text = ''
    client.socket.on('data', (data) => {
      text += data.toString()
    })
    for (const event of ['data: one\n\n', 'data: two\n\n', 'data: [DONE]\n\n']) {
      side.write(chunk(event))
      await until(() => text.includes(event))
    }
    side.write('0\r\n\r\n')
    const answer = await client.answer()
    expect([answer.status, answer.whole]).toEqual([200, true])
    expect(answer.body.toString()).toBe('data: one\n\ndata: two\n\ndata: [DONE]\n\n')
    client.socket.destroy()
  })

  test('that is silent for longer than any server’s default is not cut', async () => {
    const client = await start('/open/quiet')
    const side = await sideOf('/open/quiet')
    side.write(chunk('before'))
    const silent = await start('/mute')
    const unanswered = await sideOf('/mute')
    // Bun cuts after 10 s if it is not told otherwise.
    await Bun.sleep(12_000)
    side.end(`${chunk('after')}0\r\n\r\n`)
    unanswered.end(`${sized(4)}late`)
    const [first, second] = await Promise.all([client.answer(), silent.answer()])
    expect([first.whole, first.body.toString()]).toEqual([true, 'beforeafter'])
    expect([second.whole, second.body.toString()]).toEqual([true, 'late'])
  }, 20_000)

  test('of 256 MiB passes through little memory, and is counted to the byte', async () => {
    await settled(server)
    const count = (await entries(server)).length
    const size = 256 * MIB
    let bytes = 0
    const growth = await growthMib(async () => {
      const response = await server.call(key, { endpoint: `${upstream.url}/sized/${size}` })
      for await (const part of response.body ?? []) bytes += part.byteLength
    })
    expect(bytes).toBe(size)
    expect(growth).toBeLessThan(64)
    expect(await nextEntry(count)).toMatchObject({ outcome: 'answered', bytes_out: size })
  }, 20_000)

  test('that its client does not read is not read from the upstream either', async () => {
    // The second says of itself that it is short.
    for (const path of ['/endless/stalled', '/liar/stalled']) {
      produced = 0
      const growth = await growthMib(async () => {
        const client = await start(path)
        client.socket.once('data', () => client.socket.pause())
        await until(() => produced > MIB)
        await Bun.sleep(1_000)
        client.socket.destroy()
      })
      // What the sockets on both sides hold, and no more of the 500 MB that there were.
      expect(produced).toBeLessThan(64 * MIB)
      expect(growth).toBeLessThan(32)
    }
  })
})

describe('a client that leaves', () => {
  test('ends the upstream’s work within a second, and the call stands in the books once', async () => {
    await settled(server)
    const phases: [string, (side: Socket) => void][] = [
      ['/mute/before', () => {}],
      ['/open/headers', () => {}],
      ['/open/middle', (side) => side.write(chunk('some'))],
      ['/endless/full', () => {}],
      ['/short', (side) => side.write(`${sized(10)}five.`)],
    ]
    for (const [path, act] of phases) {
      const count = (await entries(server)).length
      const client = await start(path)
      const side = await sideOf(path)
      act(side)
      await Bun.sleep(50)
      expect(await holds(server)).toBe(1)
      client.socket.destroy()
      await until(() => side.destroyed, 1_000)
      const entry = await nextEntry(count)
      expect([path, entry?.outcome, entry?.requests_charged]).toEqual([path, 'client_aborted', 1])
      expect(await holds(server)).toBe(0)
    }
    const { cost } = server.events().findLast(({ msg }) => msg === 'call') ?? {}
    expect(cost).toBe(1)
  })

  test('at any instant of its call leaves nothing held behind', async () => {
    const paths = ['/sized/10', '/sized/200000', '/open/race', '/mute/race', '/endless/race']
    const one = async (i: number) => {
      const client = await start(paths[i % paths.length] ?? '')
      // From before the call has been read to long after its answer has begun.
      await Bun.sleep((i % 40) / 4)
      if (i % 2) client.socket.destroy()
      else client.socket.resetAndDestroy()
    }
    for (let i = 0; i < 400; i += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, j) => one(i + j)))
    }
    await settled(server)
    expect(await holds(server)).toBe(0)
    await until(
      () =>
        upstream.sockets.size === 0 ||
        [...upstream.sockets].every(({ bytesWritten }) => bytesWritten > 0),
    )
  })

  test('before its request is whole costs nothing and reaches nobody', async () => {
    // Of its own, since calls of other tests may end meanwhile.
    const own = await issueKey(server)
    const client = await openClient(server.url)
    const bytes = callBytes({ 'X-API-Key': own.key }, { endpoint: `${upstream.url}/unfinished` })
    client.write(bytes.subarray(0, bytes.byteLength - 1))
    await Bun.sleep(50)
    client.socket.destroy()
    await Bun.sleep(100)
    expect(await callsOf(server, own.id)).toEqual([])
    expect(upstream.seen.filter(({ target }) => target.startsWith('/unfinished'))).toEqual([])
  })
})

describe('an upstream that breaks off', () => {
  const long = 'z'.repeat(100_000)
  const cuts: [string, string, (side: Socket) => void][] = [
    ['resets within a Content-Length', sized(200_000) + long, (side) => side.resetAndDestroy()],
    ['closes within a Content-Length', sized(200_000) + long, (side) => side.end()],
    ['resets between chunks', CHUNKED + chunk(long), (side) => side.resetAndDestroy()],
    ['closes between chunks', CHUNKED + chunk(long), (side) => side.end()],
    ['closes within a chunk', `${CHUNKED}fffff\r\n${long}`, (side) => side.end()],
    ['sends a chunk size that is none', CHUNKED + chunk(long), (side) => side.write('what\r\n')],
  ]
  for (const [what, bytes, cut] of cuts) {
    test(`and ${what} looks cut off to the client, and so it stands in the books`, async () => {
      await settled(server)
      const count = (await entries(server)).length
      const path = `/cut/${what.replaceAll(' ', '-')}`
      const client = await start(path)
      const side = await sideOf(path)
      side.write(bytes)
      const closed = new Promise((resolve) => client.socket.once('close', resolve))
      await Bun.sleep(50)
      cut(side)
      const answer = await client.answer()
      expect([answer.status, answer.whole]).toEqual([200, false])
      await closed
      const entry = await nextEntry(count)
      expect(entry).toMatchObject({
        outcome: 'upstream_truncated',
        status: 200,
        requests_charged: 1,
      })
    })
  }

  test('within a short announced body is answered with a 502, since nothing has been sent yet', async () => {
    const client = await start('/cut/short')
    const side = await sideOf('/cut/short')
    side.end(`${sized(100)}only this`)
    const answer = await client.answer()
    expect([answer.status, answer.header('x-quota-cost')]).toEqual([502, '0'])
    client.socket.destroy()
  })
})

describe('a deadline', () => {
  test('that passes before the answer is a 504', async () => {
    const client = await start('/mute/late', { timeout_ms: 100 })
    const side = await sideOf('/mute/late')
    const answer = await client.answer()
    expect([answer.status, JSON.parse(answer.body.toString()).error.code]).toEqual([
      504,
      'upstream_timeout',
    ])
    expect(answer.header('x-quota-cost')).toBe('0')
    await until(() => side.destroyed, 1_000)
    client.socket.destroy()
  })

  test('for the whole call cuts an answer that goes on for longer, however lively', async () => {
    await settled(server)
    const count = (await entries(server)).length
    const client = await start('/open/lively', { timeout_ms: 300 })
    const side = await sideOf('/open/lively')
    const timer = setInterval(() => side.write(chunk('x')), 20)
    const answer = await client.answer()
    clearInterval(timer)
    expect([answer.status, answer.whole]).toEqual([200, false])
    expect(answer.body.toString()).toMatch(/^x{3,15}$/)
    await until(() => side.destroyed, 1_000)
    expect(await nextEntry(count)).toMatchObject({
      outcome: 'upstream_timeout',
      requests_charged: 1,
    })
  })

  test('ends a call whose client does not read, too', async () => {
    await settled(server)
    const count = (await entries(server)).length
    const client = await start('/endless/unread', { timeout_ms: 300 })
    client.socket.once('data', () => client.socket.pause())
    const entry = await nextEntry(count)
    expect(entry).toMatchObject({ outcome: 'upstream_timeout', requests_charged: 1 })
    client.socket.destroy()
  })

  test('for silence spares events of either form, which may be quiet for as long as a call may take', async () => {
    const impatient = await startServer({
      PROXY_EGRESS_ALLOW: upstream.host,
      PROXY_IDLE_TIMEOUT_MS: '300',
    })
    const own = (await issueKey(impatient)).key
    const types = ['text/event-stream; charset=utf-8', 'application/vnd.amazon.eventstream']
    const calls = types.map(async (type) => {
      const path = `/events/${encodeURIComponent(type)}`
      const client = await start(path, {}, impatient, own)
      const side = await sideOf(path)
      side.write(chunk('a'))
      await Bun.sleep(900)
      side.end(`${chunk('b')}0\r\n\r\n`)
      const { status, whole, body } = await client.answer()
      return [status, whole, body.toString()]
    })
    expect(await Promise.all(calls)).toEqual([
      [200, true, 'ab'],
      [200, true, 'ab'],
    ])
    expect(await impatient.stop()).toBe(0)
  })

  test('for silence cuts a silent answer, and spares a slow one', async () => {
    const impatient = await startServer({
      PROXY_EGRESS_ALLOW: upstream.host,
      PROXY_IDLE_TIMEOUT_MS: '400',
    })
    const own = (await issueKey(impatient)).key
    const mute = await start('/mute/idle', {}, impatient, own)
    const slow = await start('/open/slow', {}, impatient, own)
    const short = await start('/brief/slow', {}, impatient, own)
    const side = await sideOf('/open/slow')
    // Short enough to be read whole before it is passed on.
    const shortSide = await sideOf('/brief/slow')
    for (let i = 0; i < 8; i++) {
      side.write(chunk('x'))
      shortSide.write('y')
      await Bun.sleep(100)
    }
    const refusal = await mute.answer()
    expect([refusal.status, JSON.parse(refusal.body.toString()).error.code]).toEqual([
      504,
      'upstream_timeout',
    ])
    const answer = await slow.answer()
    expect([answer.status, answer.whole, answer.body.toString()]).toEqual([200, false, 'xxxxxxxx'])
    const whole = await short.answer()
    expect([whole.status, whole.whole, whole.body.toString()]).toEqual([200, true, 'yyyyyyyy'])
    await settled(impatient)
    // Whoever came first: they were sent together.
    const ended = (await entries(impatient)).map(({ outcome, status }) => `${outcome} ${status}`)
    expect(ended.toSorted()).toEqual([
      'answered 200',
      'upstream_timeout 200',
      'upstream_timeout null',
    ])
  })
})

describe('a request body', () => {
  const head = (...lines: string[]) =>
    ['POST /proxy HTTP/1.1', 'Host: localhost', `X-API-Key: ${key}`, ...lines, '', ''].join('\r\n')

  async function refusal(bytes: string, at = server) {
    const client = await openClient(at.url)
    client.write(bytes)
    const answer = await client.answer()
    client.socket.destroy()
    return [answer.status, JSON.parse(answer.body.toString()).error.code]
  }

  test('that announces more than the limit is refused before a byte of it', async () => {
    const tooLarge = [413, 'request_too_large']
    expect(await refusal(head('Content-Length: 65537'))).toEqual(tooLarge)
    expect(await refusal(head('Content-Length: 1000000000'))).toEqual(tooLarge)
  })

  test('that turns out larger than the limit is refused as soon as it does', async () => {
    const chunked = `${head('Transfer-Encoding: chunked')}10001\r\n${'x'.repeat(65_537)}\r\n`
    expect(await refusal(chunked)).toEqual([413, 'request_too_large'])
  })

  test('that goes on after it was refused is not kept', async () => {
    const growth = await growthMib(async () => {
      for (const framing of ['Transfer-Encoding: chunked', 'Content-Length: 100000000']) {
        const client = await openClient(server.url)
        client.write(head(framing))
        for (let i = 0; i < 1_500 && !client.socket.destroyed; i++) {
          if (client.write(FRAME)) continue
          await Promise.race([client.drained(), Bun.sleep(50)])
        }
        client.socket.destroy()
      }
    })
    expect(growth).toBeLessThan(32)
  })

  test('of exactly the limit is taken, in either framing', async () => {
    const envelope = (length: number) => {
      const start = `{"endpoint":"${upstream.url}/sized/0","body":"`
      return `${start}${'x'.repeat(length - start.length - 2)}"}`
    }
    const plain = await openClient(server.url)
    plain.write(callBytes({ 'X-API-Key': key }, envelope(65_536)))
    expect((await plain.answer()).status).toBe(200)
    plain.write(`${head('Transfer-Encoding: chunked')}10000\r\n${envelope(65_536)}\r\n0\r\n\r\n`)
    expect((await plain.answer()).status).toBe(200)
    plain.write(callBytes({ 'X-API-Key': key }, envelope(65_537)))
    expect((await plain.answer()).status).toBe(413)
    plain.socket.destroy()
  })

  test('that does not arrive in time is a 408, even if it trickles, and costs nothing', async () => {
    const impatient = await startServer({ PROXY_IDLE_TIMEOUT_MS: '300' })
    const { key: own } = await issueKey(impatient)
    const late = [408, 'request_timeout']
    const mine = (line: string) => head(line).replace(key, own)
    expect(await refusal(`${mine('Content-Length: 100')}{`, impatient)).toEqual(late)
    expect(await refusal(`${mine('Transfer-Encoding: chunked')}1\r\n{\r\n`, impatient)).toEqual(
      late,
    )
    const client = await openClient(impatient.url)
    client.write(mine('Content-Length: 1000'))
    const timer = setInterval(() => client.write(' '), 50)
    expect((await client.answer()).status).toBe(408)
    clearInterval(timer)
    client.socket.destroy()
    expect(await entries(impatient)).toEqual([])
  })
})
