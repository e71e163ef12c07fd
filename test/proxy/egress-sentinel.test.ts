/**
 * The egress guard against real sockets: a sentinel listens on loopback and counts connections.
 * Below it, what the guard's promise takes from Bun: a pinned `fetch` checks the certificate against
 * the name, never shares a connection between names, and can be kept away from HTTP_PROXY.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { parseEgressAllow, parseEndpoint } from '../../src/domain/egress.ts'
import {
  createEgressGuard,
  type Destination,
  destinationOf,
  type EgressGuard,
} from '../../src/proxy/send/egress.ts'

type Sentinel = { port: number; connections: number; hosts: string[]; stop: () => void }

const PUBLIC = '93.184.215.14'

/** Answers any HTTP request with the number of the connection that it came over. */
function listen(hostname: string, port = 0, tls?: { key: string; cert: string }): Sentinel {
  const sentinel: Sentinel = { port, connections: 0, hosts: [], stop: () => {} }
  const listener = Bun.listen<number>({
    hostname,
    port,
    ...(tls === undefined ? {} : { tls }),
    socket: {
      open(socket) {
        sentinel.connections += 1
        socket.data = sentinel.connections
      },
      data(socket, bytes) {
        sentinel.hosts.push(/^host: *(.*)\r$/im.exec(bytes.toString())?.[1] ?? '')
        const body = String(socket.data)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      },
    },
  })
  sentinel.port = listener.port
  sentinel.stop = () => listener.stop(true)
  return sentinel
}

function listenIfPossible(hostname: string): Sentinel | undefined {
  try {
    return listen(hostname)
  } catch {
    return undefined
  }
}

/** Connects to the checked address, as the proxy does. */
async function pinnedFetch(
  { isSecure, authority, host, hostField }: Destination,
  init: BunFetchRequestInit = {},
): Promise<string> {
  const response = await fetch(`${isSecure ? 'https' : 'http'}://${authority}/`, {
    headers: { Host: hostField },
    tls: { serverName: host },
    redirect: 'manual',
    proxy: false,
    ...init,
  })
  return response.text()
}

const sentinel4 = listen('127.0.0.1')
const sentinel6 = listenIfPossible('::1')
const sentinels = sentinel6 === undefined ? [sentinel4] : [sentinel4, sentinel6]

beforeEach(() => {
  for (const sentinel of sentinels) {
    sentinel.connections = 0
    sentinel.hosts = []
  }
})
afterAll(() => {
  for (const sentinel of sentinels) sentinel.stop()
})

const connections = () => sentinels.reduce((sum, { connections }) => sum + connections, 0)

const HOSTS = `127.0.0.1 127.1 127.0.1 0x7f.1 0x7f000001 0X7F.0.0.0X1 0177.1 017700000001 2130706433
  0x7f.0.1 0177.0x0.1 127.0.0.1. 2130706433. 127.0.0.2 127.255.255.254 0.0.0.0 0 0x0 00.0 0x
  １２７.０.０.１ ①②⑦.⓪.⓪.① 127。0。0。1 127｡1 ¹²⁷.1 %31%32%37.%30.0.1 127%2e0%2e0%2e1
  [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0.0.0.1] [::] [::0] [::ffff:127.0.0.1] [::ffff:7f00:1]
  [::FFFF:7F00:0001] [0:0:0:0:0:ffff:7f00:1] [::127.0.0.1] [2002:7f00:1::] [64:ff9b::7f00:1]
  [64:ff9b:1::7f00:1] [2001:0:0:0:0:0:80ff:fffe] [::ffff:0:7f00:1]
  localhost LOCALHOST localhost. ⓛⓞⓒⓐⓛⓗⓞⓢⓣ loc%61lhost rebound.test`.split(/\s+/)

/** Every host with every decoration, aimed at a port. */
function spellings(port: number): string[] {
  return HOSTS.flatMap((host) => [
    `http://${host}:${port}/`,
    `HtTpS://${host}:${port}/x?y#z`,
    `http://public.test@${host}:${port}/`,
    `http://public.test\\@${host}:${port}/`,
    `http://${host}:${port}#@public.test/`,
    `http://${host}:${port}?@public.test/`,
    `http:\t//${host}:0${port}/`,
    `http:/${host}:${port}/\r\nHost: public.test`,
  ])
}

/** Runs one endpoint through the guard, and through the network only if it was allowed. */
async function call(guard: EgressGuard, raw: string): Promise<string> {
  const endpoint = parseEndpoint(raw)
  if (!endpoint.ok) return endpoint.reason
  const checked = await guard.check(endpoint.url)
  if (!checked.ok) return checked.reason
  try {
    return await pinnedFetch(checked.destination, { keepalive: false })
  } catch {
    return 'connected'
  }
}

function guardFor(allow: string, resolve?: (host: string) => Promise<string[]>) {
  const list = parseEgressAllow(allow)
  if (!list.ok) throw new Error(list.problem)
  const answer = resolve ?? (async () => ['127.0.0.1', '::1'])
  return createEgressGuard({
    mode: 'public',
    allow: list.entries,
    resolve: async (host) =>
      (await answer(host)).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  })
}

describe('a sentinel on loopback', () => {
  test('sees no connection, whatever the spelling', async () => {
    const guard = guardFor('')
    for (const { port } of sentinels) {
      for (const raw of spellings(port)) {
        expect(`${raw} ${await call(guard, raw)}`).toMatch(/ (address|userinfo|malformed)$/)
      }
    }
    expect(connections()).toBe(0)
  })

  test('would have seen them: without the guard, the same spellings do arrive', async () => {
    for (const { port } of sentinels) {
      for (const host of HOSTS) {
        const url = `http://${host}:${port}/`
        if (host.includes('rebound') || !URL.canParse(url)) continue
        const reachable = /^(127\.0\.0\.1|0\.0\.0\.0|localhost\.?|\[::1?\])$/i
        if (!reachable.test(new URL(url).hostname)) continue
        await fetch(url, { proxy: false, keepalive: false }).then(
          (response) => response.text(),
          () => 'the other family only',
        )
      }
    }
    expect(connections()).toBeGreaterThan(20)
  })

  test('sees exactly one connection for one call to a target that the operator listed', async () => {
    const guard = guardFor(`127.0.0.1:${sentinel4.port}`)
    expect(await call(guard, `http://0x7f.1:${sentinel4.port}/`)).toBe('1')
    expect(connections()).toBe(1)
    expect(sentinel4.hosts).toEqual([`127.0.0.1:${sentinel4.port}`])
    for (const host of ['127.0.0.2', '[::1]', '[::ffff:7f00:1]', '0.0.0.0', 'localhost']) {
      expect(await call(guard, `http://${host}:${sentinel4.port}/`)).toBe('address')
    }
    expect(connections()).toBe(1)
  })

  test('is out of reach for a name that is public when asked first and private afterwards', async () => {
    const answers = [[PUBLIC], ['127.0.0.1']]
    let at = 0
    const guard = createEgressGuard({
      mode: 'public',
      allow: [],
      resolve: async () =>
        (answers.shift() ?? ['127.0.0.1']).map((address) => ({ address, family: 4 })),
      now: () => at,
    })
    const url = new URL(`http://rebound.test:${sentinel4.port}/`)
    for (let turn = 0; turn < 3; turn += 1) {
      const checked = await guard.check(url)
      // The address that was judged comes back, so there is nothing left to ask DNS about.
      expect(checked.ok && checked.destination.address).toBe(PUBLIC)
    }
    at = 10_000
    expect(await guard.check(url)).toMatchObject({ ok: false, reason: 'address' })
    expect(connections()).toBe(0)
  })

  test('is what the call connects to when the name has moved elsewhere since the check', async () => {
    const moved = listen('127.0.0.2', sentinel4.port)
    try {
      const answers = [['127.0.0.1']]
      const name = `moving.test:${sentinel4.port}`
      const guard = guardFor(name, async () => answers.shift() ?? ['127.0.0.2'])
      const checked = await guard.check(new URL(`http://${name}/`))
      if (!checked.ok) throw new Error(checked.reason)
      expect(await pinnedFetch(checked.destination, { keepalive: false })).toBe('1')
      expect([sentinel4.connections, moved.connections]).toEqual([1, 0])
      expect(sentinel4.hosts).toEqual([name])
    } finally {
      moved.stop()
    }
  })
})

/** A throw-away pair for these tests alone: self-signed, for a.test and b.test, 2020 to 2120. */
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVbRW1hq12IiTSDkY
CwVo48+ARp8yP5rFGQfnp0FehiGhRANCAARLYC+GX8LpQtacsKniAVIdpWqXADnF
4kGJNZddyDygPULrojzCwN0Ad61MW2KS4zXdX4APB2YF5p1uetViLgbL
-----END PRIVATE KEY-----`
const CERT = `-----BEGIN CERTIFICATE-----
MIIBYDCCAQagAwIBAgIBATAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZhLnRlc3Qw
IBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBExDzANBgNVBAMMBmEu
dGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEtgL4ZfwulC1pywqeIBUh2l
apcAOcXiQYk1l13IPKA9QuuiPMLA3QB3rUxbYpLjNd1fgA8HZgXmnW561WIuBsuj
TTBLMBkGA1UdEQQSMBCCBmEudGVzdIIGYi50ZXN0MA8GA1UdEwEB/wQFMAMBAf8w
HQYDVR0OBBYEFMZW1Br5Hehgf0JGz9IYOO4Uo5XSMAoGCCqGSM49BAMCA0gAMEUC
IQD5ygmXn2tNQDUFys00DbPv0d3sP2BxdaIrqZMywCQstwIgJsKGNLsZWyfLcvT6
9snnEZbZiTDwhILxPZ8OELwNJVI=
-----END CERTIFICATE-----`

describe('Bun’s fetch, pinned to an address', () => {
  // One listener a test: a connection that Bun kept from another test must not count in this one.
  let secure: Sentinel
  beforeEach(() => {
    secure = listen('127.0.0.1', 0, { key: KEY, cert: CERT })
  })
  afterEach(() => secure.stop())

  const to = (host: string) => {
    const url = new URL(`https://${host}:${secure.port}/`)
    return pinnedFetch(destinationOf(url, '127.0.0.1'), { tls: { serverName: host, ca: CERT } })
  }

  test('verifies the certificate against the name and not against the address', async () => {
    expect(await to('a.test')).toBe('1')
    await expect(to('c.test')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    await expect(to('127.0.0.1')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    const unsigned = fetch(`https://127.0.0.1:${secure.port}/`, {
      headers: { Host: 'a.test' },
      tls: { serverName: 'a.test' },
      proxy: false,
    })
    await expect(unsigned).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(secure.hosts).toEqual([`a.test:${secure.port}`])
  })

  test('keeps a connection for its own name: another name at the same address never rides on it', async () => {
    const first = await to('a.test')
    const second = await to('b.test')
    expect(second).not.toBe(first)
    // The pool was on: each name comes back to the connection that it made.
    expect([await to('a.test'), await to('b.test')]).toEqual([first, second])
    expect(secure.connections).toBe(2)
    // Nor does a name that the certificate lacks ride on a connection that was verified for one it has.
    await expect(to('c.test')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    expect(secure.hosts).not.toContain(`c.test:${secure.port}`)
  })

  test('goes past HTTP_PROXY and its like with `proxy: false`, and with nothing less', async () => {
    const proxy = listen('127.0.0.1')
    const names = [
      'HTTP_PROXY',
      'http_proxy',
      'HTTPS_PROXY',
      'https_proxy',
      'ALL_PROXY',
      'all_proxy',
    ]
    const before = new Map(
      [...names, 'NO_PROXY', 'no_proxy'].map((name) => [name, process.env[name]]),
    )
    try {
      for (const name of before.keys()) delete process.env[name]
      for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`
      const url = new URL(`http://a.test:${sentinel4.port}/`)
      const plain = destinationOf(url, '127.0.0.1')
      await pinnedFetch(plain, { keepalive: false })
      expect(await to('a.test')).toBe('1')
      expect([sentinel4.connections, secure.connections, proxy.connections]).toEqual([1, 1, 0])
      await pinnedFetch(plain, { keepalive: false, proxy: undefined })
      expect([sentinel4.connections, proxy.connections]).toEqual([1, 1])
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
      proxy.stop()
    }
  })
})
