/** Named upstreams that fail: what the client is told, what it costs, and when nothing is sent any more. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect, createServer, type Socket } from 'node:net'
import { CHARGE_ON, type ChargeOn } from '../../src/domain/upstream.ts'
import { entries, holds, settled, until, usedOf } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import {
  freePort,
  openClient,
  type RawAnswer,
  type RawUpstream,
  startListener,
  startRawUpstream,
} from '../support/wire.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const LONG = 'z'.repeat(100_000)
const SIZED = `${OK}Content-Length: 200000\r\n\r\n${LONG}`
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** Writes without end, as fast as it is taken. */
function flood(socket: Socket, head: string, part: string): void {
  socket.write(head)
  const more = () => {
    while (!socket.destroyed) if (!socket.write(part)) return void socket.once('drain', more)
  }
  more()
}

function drip(socket: Socket, head: string, part: string): void {
  socket.write(head)
  const timer = setInterval(() => socket.write(part), 20)
  socket.on('close', () => clearInterval(timer))
}

/** Once the head has been passed on; before that the client may see no answer at all. */
function breakOff(socket: Socket, bytes: string, end: () => void): void {
  socket.write(bytes)
  setTimeout(end, 50)
}

type Expected = {
  readonly status: number
  /** Null where the answer is the upstream's own. */
  readonly code: string | null
  readonly outcome: string
  readonly costs: Readonly<Record<ChargeOn, number>>
}

const broken: Expected = {
  status: 502,
  code: 'upstream_error',
  outcome: 'upstream_error',
  costs: { attempt: 1, answer: 0, success: 0 },
}
const late: Expected = {
  ...broken,
  status: 504,
  code: 'upstream_timeout',
  outcome: 'upstream_timeout',
}
/** Part of it has been passed on: it ends as an error, and counts as an answer. */
const cut: Expected = {
  status: 200,
  code: null,
  outcome: 'upstream_truncated',
  costs: { attempt: 1, answer: 1, success: 0 },
}
const cutLate: Expected = { ...cut, outcome: 'upstream_timeout' }

/** What the upstream does when a request has arrived, and what becomes of that. */
const FAULTS: Record<string, [expected: Expected, act: (socket: Socket) => void]> = {
  'reset before the answer': [broken, (socket) => socket.resetAndDestroy()],
  'closed before the answer': [broken, (socket) => socket.end()],
  'no answer': [late, () => {}],
  'half a head, then silence': [late, (socket) => socket.write(`${OK}X-Half: `)],
  'half a head, then the end': [broken, (socket) => socket.end(`${OK}X-Half: `)],
  'a head that never ends, drop by drop': [late, (socket) => drip(socket, OK, 'X: 1\r\n')],
  'a header without end': [broken, (socket) => flood(socket, `${OK}X: `, LONG)],
  'headers without end': [broken, (socket) => flood(socket, OK, 'X-More: 1\r\n'.repeat(1_000))],
  'interim answers without end': [
    late,
    (socket) => drip(socket, '', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(50)),
  ],
  'another protocol': [broken, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
  noise: [broken, (socket) => socket.end('\0\x01\xff\r\n\r\n')],
  'a status that is none': [
    broken,
    (socket) => socket.end('HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n'),
  ],
  'a length that is none': [broken, (socket) => socket.end(`${OK}Content-Length: -5\r\n\r\nfive.`)],
  'two lengths': [
    broken,
    (socket) => socket.end(`${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nfive.`),
  ],
  'a short body cut off': [broken, (socket) => socket.end(`${OK}Content-Length: 9\r\n\r\nfive.`)],
  'a short body that stalls': [
    late,
    (socket) => socket.write(`${OK}Content-Length: 9\r\n\r\nfive.`),
  ],
  'a long body cut off': [cut, (socket) => breakOff(socket, SIZED, () => socket.end())],
  'a long body reset': [cut, (socket) => breakOff(socket, SIZED, () => socket.resetAndDestroy())],
  'chunks cut off between two': [
    cut,
    (socket) => breakOff(socket, CHUNKED + chunk('some'), () => socket.end()),
  ],
  'chunks cut off within one': [
    cut,
    (socket) => breakOff(socket, `${CHUNKED}ff\r\nsome`, () => socket.end()),
  ],
  'a chunk size that is none': [
    cut,
    (socket) => breakOff(socket, CHUNKED + chunk('some'), () => socket.end('what\r\n')),
  ],
  'chunks that stall': [cutLate, (socket) => socket.write(CHUNKED + chunk('some'))],
  'a long body that stalls': [
    cutLate,
    (socket) => socket.write(`${OK}Content-Length: 200000\r\n\r\n${LONG}`),
  ],
  'a body without end': [cutLate, (socket) => drip(socket, CHUNKED, chunk('x'))],
  'a body without end, as fast as it goes': [
    cutLate,
    (socket) => flood(socket, CHUNKED, chunk(LONG)),
  ],
}

/** Only the time that the fault takes is short, and the server's own are far off. */
function timeoutsFor(what: string): Record<string, number> {
  const far = { first_byte_ms: 60_000, idle_ms: 60_000, total_ms: 60_000 }
  if (what.includes('without end')) return { ...far, total_ms: 1_000 }
  return what.includes('stall') ? { ...far, idle_ms: 600 } : { ...far, first_byte_ms: 600 }
}

let server: TestServer
/** Name of an upstream, by what it does; for each way of charging there is one more, with that behind a dash. */
const upstreams = new Map<string, { readonly name: string; readonly expected: Expected }>()
const ends: (() => void)[] = []
afterAll(() => {
  for (const end of ends) end()
})

beforeAll(async () => {
  const authority = await createAuthority()
  const tls = await startRawUpstream(
    (socket) => socket.end(OK),
    await authority.issue('DNS:localhost'),
  )
  const mute = await startListener(() => {})
  const plain = await startListener((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')),
  )
  const urls: [what: string, expected: Expected, url: string][] = [
    ['nobody listens', broken, `http://127.0.0.1:${await freePort()}`],
    ['nobody accepts', late, await startDeaf()],
    ['TLS from nobody known', broken, tls.url],
    ['TLS to a plain port', broken, plain.url.replace('http:', 'https:')],
    ['plain to a TLS port', broken, `http://${tls.host}`],
    ['TLS without an answer', late, `https://${mute.host}`],
  ]
  for (const [what, [expected, act]] of Object.entries(FAULTS)) {
    urls.push([what, expected, (await startRawUpstream(act)).url])
  }
  server = await startServer()
  for (const [i, [what, expected, base_url]] of urls.entries()) {
    const name = `fault-${i}`
    upstreams.set(what, { name, expected })
    for (const charge_on of CHARGE_ON) {
      await addUpstream(server, {
        name: `${name}-${charge_on}`,
        base_url,
        charge_on,
        timeouts: timeoutsFor(what),
      })
    }
  }
})

/** The URL of a listener that is stopped, and whose queue is full: not even a connection can be made. */
async function startDeaf(): Promise<string> {
  const script = `const server = require('node:net').createServer()
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'ignore' })
  const { value } = await child.stdout.getReader().read()
  const port = Number(new TextDecoder().decode(value))
  child.kill('SIGSTOP')
  const waiting: Socket[] = []
  ends.push(() => {
    for (const socket of waiting) socket.destroy()
    child.kill('SIGKILL')
  })
  for (let isFull = false; !isFull; ) {
    const more = Array.from({ length: 64 }, () => connect(port, '127.0.0.1'))
    waiting.push(...more)
    await Bun.sleep(100)
    isFull = more.some((socket) => socket.connecting)
  }
  return `http://127.0.0.1:${port}`
}

async function call(
  key: string,
  target: string,
  lines: readonly string[] = [],
  body = '',
  at = server,
): Promise<RawAnswer> {
  const client = await openClient(at.url)
  const method = body === '' ? 'GET' : 'POST'
  const head = [`${method} ${target} HTTP/1.1`, 'Host: x', `X-API-Key: ${key}`, ...lines]
  client.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  const answer = await client.answer()
  client.socket.destroy()
  return answer
}

const codeOf = ({ body }: RawAnswer) => JSON.parse(body.toString()).error.code

for (const chargeOn of CHARGE_ON) {
  test(`with charge_on ${chargeOn}, each failure has its status, its code, its price and its place in the books`, async () => {
    const one = async (what: string, name: string, expected: Expected) => {
      const { key, id } = await issueKey(server, { quota: 10 })
      const answer = await call(key, `/u/${name}-${chargeOn}/x`)
      const { status, code, outcome, costs } = expected
      const cost = costs[chargeOn]
      expect({ what, status: answer.status, whole: answer.whole }).toEqual({
        what,
        status,
        whole: code !== null,
      })
      if (code === null) {
        expect(answer.body.toString()).toMatch(/^(?:some|[zx]+)$/)
      } else {
        const { error } = JSON.parse(answer.body.toString())
        expect({ what, code: error.code }).toEqual({ what, code })
        // Neither where it is nor what is the matter with it.
        expect(error.message).toMatch(/^The upstream [a-z ]+\.$/)
        expect([answer.header('x-quota-cost'), answer.header('x-should-retry')]).toEqual([
          String(cost),
          'true',
        ])
      }
      expect({ what, used: await usedOf(server, id) }).toEqual({ what, used: cost })
      const { data } = (await (await server.admin('GET', `/admin/calls?key=${id}`)).json()) as {
        data: unknown[]
      }
      const upstreamStatus = code === null ? 200 : null
      expect({ what, data }).toMatchObject({
        what,
        data: [{ outcome, status: upstreamStatus, requests: { charged: cost } }],
      })
      expect(data).toHaveLength(1)
    }
    await Promise.all([...upstreams].map(([what, { name, expected }]) => one(what, name, expected)))
    expect(await holds(server)).toBe(0)
  }, 20_000)
}

test('a name that has no address is a failure of the upstream, and free', async () => {
  // A label of 64 characters: the resolver refuses it without asking anybody.
  const base_url = `http://${'a'.repeat(64)}.invalid`
  await addUpstream(server, { name: 'nowhere', base_url, charge_on: 'attempt' })
  const { key, id } = await issueKey(server)
  const answer = await call(key, '/u/nowhere/x')
  expect([answer.status, codeOf(answer), answer.body.includes('.invalid')]).toEqual([
    502,
    'upstream_error',
    false,
  ])
  expect(await usedOf(server, id)).toBe(0)
})

describe('an upload', () => {
  let reached = 0
  beforeAll(async () => {
    const sink = await startRawUpstream((socket) => {
      reached++
      socket.write(`${OK}Content-Length: 2\r\n\r\nok`)
    })
    const hasty = await startListener((socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge'),
      ),
    )
    await addUpstream(server, {
      name: 'small',
      base_url: sink.url,
      body_bytes_max: 100_000,
      charge_on: 'attempt',
    })
    await addUpstream(server, { name: 'hasty', base_url: hasty.url })
    await addUpstream(server, {
      ...{ name: 'waiting', base_url: sink.url, charge_on: 'attempt' },
      timeouts: { first_byte_ms: 300 },
    })
  })

  const framings: [string, (length: number) => [line: string, body: string]][] = [
    ['announced', (length) => [`Content-Length: ${length}`, 'x'.repeat(length)]],
    [
      'chunked',
      (length) => ['Transfer-Encoding: chunked', `${chunk('x'.repeat(length))}0\r\n\r\n`],
    ],
  ]
  for (const [name, framed] of framings) {
    test(`of exactly the upstream’s limit passes, and one byte more is 413 and free, if ${name}`, async () => {
      const { key, id } = await issueKey(server)
      const [line, body] = framed(100_000)
      expect((await call(key, '/u/small/x', [line], body)).status).toBe(200)
      expect(await usedOf(server, id)).toBe(1)
      const before = [reached, (await entries(server)).length]
      const [longer, more] = framed(100_001)
      const answer = await call(key, '/u/small/x', [longer], more)
      expect([answer.status, codeOf(answer)]).toEqual([413, 'request_too_large'])
      expect(await usedOf(server, id)).toBe(1)
      // What says so itself is refused before anything is reserved or sent; of the other some has been sent by then.
      const begun = name === 'announced' ? 0 : 1
      expect([reached, (await entries(server)).length - begun]).toEqual(before)
    })
  }

  test('that is answered before it is over has its answer at once', async () => {
    for (const line of ['Content-Length: 1000000', 'Transfer-Encoding: chunked']) {
      const { key } = await issueKey(server)
      const answer = await call(key, '/u/hasty/x', [line], chunk(LONG))
      expect([answer.status, answer.whole, answer.body.toString()]).toEqual([413, true, 'large'])
    }
  })

  test('that goes on is not taken for a slow upstream, and one that stops ends the call', async () => {
    const { key } = await issueKey(server)
    const client = await openClient(server.url)
    client.write(
      `POST /u/waiting/x HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    for (let i = 0; i < 8; i++) {
      client.write(chunk('some'))
      await Bun.sleep(100)
    }
    client.write('0\r\n\r\n')
    expect((await client.answer()).status).toBe(200)
    const stopped = await call(key, '/u/waiting/x', ['Content-Length: 100000'], 'some')
    expect([stopped.status, codeOf(stopped)]).toEqual([504, 'upstream_timeout'])
    client.socket.destroy()
  })

  test('that its clients break off is never held against the upstream', async () => {
    const { key } = await issueKey(server)
    await settled(server)
    const count = (await entries(server)).length
    for (let i = 0; i < 12; i++) {
      const client = await openClient(server.url)
      const line = i % 2 ? 'Transfer-Encoding: chunked' : 'Content-Length: 99999'
      client.write(
        `POST /u/small/x HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n${line}\r\n\r\n${chunk('some')}`,
      )
      await until(async () => (await holds(server)) > 0)
      // A chunk that is none makes the listener break off.
      if (i % 2) client.write('no chunk\r\n')
      else if (i % 4) client.socket.resetAndDestroy()
      else client.socket.destroy()
      await settled(server)
    }
    const outcomes = (await entries(server)).slice(count).map(({ outcome }) => outcome)
    // None of them was a whole request.
    expect(new Set(outcomes)).toEqual(new Set(['not_sent']))
    expect((await call(key, '/u/small/x')).status).toBe(200)
  })
})

describe('a refused connection', () => {
  /** Calls where nobody listens, until somebody does. */
  async function callEarly(name: string, retry_connect: boolean, method: string, body = '') {
    const port = await freePort()
    await addUpstream(server, { name, base_url: `http://127.0.0.1:${port}`, retry_connect })
    const { key } = await issueKey(server)
    const answer = fetch(`${server.url}/u/${name}/x`, {
      method,
      headers: { 'x-api-key': key },
      ...(body !== '' && { body }),
    })
    await Bun.sleep(40)
    let requests = 0
    const listener = createServer((socket) => {
      socket.once('data', () => {
        requests++
        socket.end(`${OK}Content-Length: 2\r\n\r\nok`)
      })
    })
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve))
    const { status } = await answer
    await Bun.sleep(150)
    await new Promise((resolve) => listener.close(resolve))
    return { status, requests }
  }

  test('is tried once more where the operator has asked for it, and only there', async () => {
    expect(await callEarly('again-get', true, 'GET')).toEqual({ status: 200, requests: 1 })
    expect(await callEarly('again-post', true, 'POST', 'x')).toEqual({ status: 200, requests: 1 })
    expect(await callEarly('once', false, 'GET')).toEqual({ status: 502, requests: 0 })
  })

  test('is the only thing that is: whatever else fails, the upstream sees one request', async () => {
    for (const [what, [, act]] of Object.entries(FAULTS).slice(0, 2)) {
      const fickle = await startRawUpstream(act)
      const name = what.replaceAll(' ', '-')
      await addUpstream(server, { name, base_url: fickle.url, retry_connect: true })
      const { key } = await issueKey(server)
      for (const method of ['GET', 'PUT', 'DELETE', 'POST']) {
        const before = fickle.seen.length
        const response = await fetch(`${server.url}/u/${name}/x`, {
          method,
          headers: { 'x-api-key': key },
        })
        await Bun.sleep(150)
        expect([method, response.status, fickle.seen.length - before]).toEqual([method, 502, 1])
      }
    }
  })
})

describe('a credential that the upstream refuses', () => {
  const secretText = `Incorrect API key provided: ${CREDENTIAL}, organisation org-acme`
  for (const status of [401, 403]) {
    test(`with a ${status} is a 502 that costs nothing, is logged loudly, and says nothing of what the upstream said`, async () => {
      for (const [i, length] of [0, 20_000].entries()) {
        const text = secretText + ' '.repeat(length * 10)
        const refusing = await startRawUpstream((socket) =>
          socket.write(
            `HTTP/1.1 ${status} No\r\nX-Org: org-acme\r\nWWW-Authenticate: Bearer org-acme\r\nContent-Length: ${text.length + length}\r\n\r\n${text}`,
          ),
        )
        const name = `refusing-${status}-${i}`
        await addUpstream(server, {
          name,
          base_url: refusing.url,
          credential: { secret: CREDENTIAL },
        })
        const { key, id } = await issueKey(server)
        const answer = await call(key, `/u/${name}/x`)
        expect([answer.status, codeOf(answer)]).toEqual([502, 'upstream_credential_rejected'])
        expect([answer.header('x-quota-cost'), answer.header('x-should-retry')]).toEqual([
          '0',
          'false',
        ])
        expect(JSON.stringify([answer.headers, answer.body.toString()])).not.toMatch(
          /acme|sk-operator/,
        )
        expect(await usedOf(server, id)).toBe(0)
        await settledLogs(server)
        expect(server.events()).toContainEqual(
          expect.objectContaining({ level: 'error', upstream: name, status }),
        )
        expect(server.logs()).not.toMatch(/acme|sk-operator/)
        // Nobody waits for the rest of a body. A connection that has given all of it is kept for the next call.
        if (length > 0) await until(() => refusing.sockets.size === 0)
      }
    })
  }

  test('is not meant where the operator has set none: then the answer is the upstream’s own', async () => {
    const refusing = await startRawUpstream((socket) =>
      socket.write('HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nlogin'),
    )
    await addUpstream(server, { name: 'open', base_url: refusing.url })
    const { key } = await issueKey(server)
    const answer = await call(key, '/u/open/x')
    expect([answer.status, answer.body.toString(), answer.header('www-authenticate')]).toEqual([
      401,
      'login',
      'Basic',
    ])
  })
})

describe('an upstream that fails ten calls in a row', () => {
  let down: RawUpstream
  let isDown = true
  beforeAll(async () => {
    down = await startRawUpstream((socket) => {
      if (isDown) socket.resetAndDestroy()
      else socket.write(`${OK}Content-Length: 2\r\n\r\nok`)
    })
    const well = await startRawUpstream((socket) => socket.end(`${OK}Content-Length: 0\r\n\r\n`))
    await addUpstream(server, { name: 'neighbour', base_url: well.url })
    await addUpstream(server, {
      name: 'down',
      base_url: down.url,
      mount: '/down',
      charge_on: 'attempt',
    })
  })

  const circuit = async () => {
    const response = await fetch(`${server.url}/readyz?verbose`)
    const { upstreams: all } = (await response.json()) as {
      upstreams: { name: string; circuit: string }[]
    }
    return `${response.status} ${all.find(({ name }) => name === 'down')?.circuit}`
  }

  test('is left alone for five seconds: 503, free, shown to probes; and is called again when it is back', async () => {
    const { key, id } = await issueKey(server)
    const others = [await issueKey(server), await issueKey(server)]
    // One key alone opens no circuit by calls that may have failed for what it sent.
    for (let i = 0; i < 20; i++) expect((await call(key, '/u/down/x')).status).toBe(502)
    for (const other of others) {
      for (let i = 0; i < 3; i++) {
        expect(await circuit()).toBe('200 closed')
        const way = i % 2 ? '/u/down/x' : '/down/x'
        expect((await call(other.key, way)).status).toBe(502)
      }
    }
    expect(await circuit()).toBe('200 open')
    const openedAt = performance.now()
    const sent = down.seen.length
    for (const way of ['/u/down/x', '/down/x']) {
      const answer = await call(key, way)
      expect([answer.status, codeOf(answer)]).toEqual([503, 'upstream_unavailable'])
      expect([answer.header('retry-after'), answer.header('x-quota-cost')]).toEqual(['5', '0'])
    }
    // By the envelope it is the same upstream, and others are not concerned.
    const enveloped = await server.call(key, { endpoint: `${down.url}/x` })
    expect(enveloped.status).toBe(503)
    expect((await call(key, '/u/neighbour/x')).status).toBe(200)
    expect([down.seen.length, await usedOf(server, id)]).toEqual([sent, 21])
    await settledLogs(server)
    expect(server.events()).toContainEqual(
      expect.objectContaining({ level: 'warn', upstream: 'down', circuit: 'open' }),
    )

    isDown = false
    await Bun.sleep(5_050 - (performance.now() - openedAt))
    expect((await call(key, '/down/x')).status).toBe(200)
    expect(await circuit()).toBe('200 closed')
    await settledLogs(server)
    expect(server.events()).toContainEqual(
      expect.objectContaining({ upstream: 'down', circuit: 'closed' }),
    )
  }, 15_000)
})

test('an upstream takes no more calls at once than its limit: the next one is 429 and free, over all keys and ways', async () => {
  const sides: Socket[] = []
  const busy = await startRawUpstream((socket) => sides.push(socket))
  await addUpstream(server, { name: 'busy', base_url: busy.url, mount: '/busy', concurrency: 2 })
  const [first, second] = await Promise.all([issueKey(server), issueKey(server)])
  const running = [call(first.key, '/u/busy/x'), call(second.key, '/busy/x')]
  await until(() => sides.length === 2)
  const refused = await call(second.key, '/u/busy/x')
  expect([refused.status, codeOf(refused), refused.header('retry-after')]).toEqual([
    429,
    'concurrency_limit_exceeded',
    '1',
  ])
  expect(busy.seen.length).toBe(2)
  for (const side of sides) side.write(`${OK}Content-Length: 2\r\n\r\nok`)
  expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200])
  expect(await usedOf(server, second.id)).toBe(1)
  const next = call(second.key, '/u/busy/x')
  await until(() => sides.length === 3)
  sides[2]?.write(`${OK}Content-Length: 2\r\n\r\nok`)
  expect((await next).status).toBe(200)
})
