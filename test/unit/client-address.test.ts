/** Whom the server takes for the client behind proxies: nobody can pass for somebody else by what they write. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { clientAddress, isTrusted } from '../../src/http/request/client-address.ts'
import { canonicalAddress, canonicalNetwork, subscriberOf } from '../../src/lib/network.ts'
import { exchange } from '../support/wire.ts'

const PROXIES = ['10.0.0.0/8', 'fd00::/8']
const CLIENT = '203.0.113.9'
const PROXY = '10.0.0.1'

function seen(peer: string, forwarded: string | readonly string[] | null, trusted = PROXIES) {
  const headers = new Headers({ 'x-real-ip': '192.0.2.1', forwarded: 'for=192.0.2.1' })
  for (const line of forwarded === null ? [] : [forwarded].flat())
    headers.append('x-forwarded-for', line)
  return clientAddress(peer, headers, trusted)
}

test('without a header the peer is the client, trusted or not', () => {
  expect(seen(PROXY, null)).toBe(PROXY)
  expect(seen(CLIENT, null)).toBe(CLIENT)
})

test('whoever is not a trusted proxy is the client, whatever they write', () => {
  const line = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom(PROXY, '127.0.0.1', CLIENT, ''))
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      expect(seen(CLIENT, lines)).toBe(CLIENT)
      expect(seen(PROXY, lines, [])).toBe(PROXY)
    }),
  )
})

test('what a client has written itself stands left of what the first proxy wrote, and is never reached', () => {
  const forged = fc.array(
    fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom(PROXY, 'fd00::1', '127.0.0.1', '', 'unknown', '::ffff:10.0.0.1', ', ,', '"'),
    ),
    { maxLength: 8 },
  )
  const proxies = fc.array(
    fc.constantFrom('10.1.2.3', 'fd00::2', '::ffff:10.9.9.9', '[fd00::3]:1'),
    {
      maxLength: 4,
    },
  )
  fc.assert(
    fc.property(forged, proxies, fc.boolean(), (lies, between, apart) => {
      const entries = [...lies, CLIENT, ...between]
      expect(seen(PROXY, apart ? entries : entries.join(', '))).toBe(CLIENT)
    }),
  )
})

test('several headers are one list, in their order', () => {
  expect(seen(PROXY, ['192.0.2.1', `192.0.2.2, ${CLIENT}`, '10.0.0.2'])).toBe(CLIENT)
})

test('what several header lines become on a real connection keeps their order', async () => {
  const listener = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, server) =>
      new Response(
        clientAddress(server.requestIP(request)?.address ?? '', request.headers, [
          '127.0.0.1',
          ...PROXIES,
        ]),
      ),
  })
  const lines = ['192.0.2.1', `192.0.2.2, ${CLIENT}`, '10.0.0.2']
  const head = ['GET / HTTP/1.1', 'Host: x', 'Connection: close']
  const fields = lines.map(
    (line, i) => `${i === 1 ? 'x-forwarded-for' : 'X-Forwarded-For'}: ${line}`,
  )
  const answer = await exchange(listener.url.href, [...head, ...fields, '', ''].join('\r\n'))
  await listener.stop(true)
  expect(answer.body.toString()).toBe(CLIENT)
})

test('when every entry is a trusted proxy, the farthest one is the client', () => {
  expect(seen(PROXY, '10.0.0.4, 10.0.0.3, fd00::7')).toBe('10.0.0.4')
})

test('reading stops at an entry that is no address: the last good one is the client', () => {
  const wrong = [
    '', 'unknown', '_hidden', 'localhost', '256.0.0.1', '010.0.0.1', '0x0a000001', '1.2.3', '[10.0.0.1]', '[fd00::1',
    'fd00::1]', '10.0.0.1:', '10.0.0.1:x', '10.0.0.1:123456', '[fd00::1]:', '[fd00::1]x', '10.0.0.1 10.0.0.2', '"10.0.0.1"',
    '10.0.0.0/8', 'for=10.0.0.1',
  ] // biome-ignore format: a list
  for (const entry of wrong) {
    expect({ entry, seen: seen(PROXY, `${CLIENT}, ${entry}`) }).toEqual({ entry, seen: PROXY })
    const client = seen(PROXY, `${CLIENT}, ${entry}, 10.0.0.5`)
    expect({ entry, client }).toEqual({ entry, client: '10.0.0.5' })
  }
})

test('ports, brackets, zones and letter case do not make another client', () => {
  const same: [string, string][] = [
    [`${CLIENT}:4711`, CLIENT],
    [`::ffff:${CLIENT}`, CLIENT],
    [`[::ffff:${CLIENT}]:1`, CLIENT],
    ['::FFFF:CB00:7109', CLIENT],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
  ]
  for (const [written, client] of same) {
    expect({ written, client: seen(PROXY, written) }).toEqual({ written, client })
    expect({ written, client: seen('::ffff:10.0.0.1', ` ${written}\t`) }).toEqual({
      written,
      client,
    })
  }
})

test('a peer has one spelling too, and one that is no address stays as it is and is not believed', () => {
  expect(seen(`::ffff:${CLIENT}`, null)).toBe(CLIENT)
  expect(seen('FE80::0001%eth0', null)).toBe('fe80::1')
  expect(seen('', CLIENT)).toBe('')
  expect(isTrusted('', PROXIES)).toBe(false)
  expect(isTrusted('::ffff:10.0.0.1', PROXIES)).toBe(true)
})

test('a spelling is the only one of its address, and is read back as itself', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (text, length) => {
      const address = canonicalAddress(text)
      if (address === null) throw new Error('an address was not read')
      expect(canonicalAddress(address)).toBe(address)
      expect(canonicalAddress(text.toUpperCase())).toBe(address)
      expect(canonicalNetwork(text)).toBe(address)
      const network = canonicalNetwork(`${address}/${length}`)
      if (network === null) return expect(length).toBeGreaterThan(32)
      expect(canonicalNetwork(network)).toBe(network)
      expect(isTrusted(text, [network])).toBe(true)
    }),
  )
})

test('a network is written without the bits that it leaves open, and what is no network is not one', () => {
  const table: [string, string | null][] = [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.0.2.1/32', '192.0.2.1'],
    ['2001:DB8::1/32', '2001:db8::/32'],
    ['::1/128', '::1'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3/95', null],
  ]
  for (const [text, network] of table)
    expect({ text, network: canonicalNetwork(text) }).toEqual({ text, network })
  const wrong = [
    '', '/', '/8', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0.0/255.0.0.0', '10/8',
    '10.0.0.0 /8', '::/129', 'fe80::1%eth0', '10.0.0.1-10.0.0.9', '*', 'example.com', '010.0.0.0/8', '[::1]', '10.0.0.1\n',
  ] // biome-ignore format: a list
  for (const text of wrong)
    expect({ text, network: canonicalNetwork(text) }).toEqual({ text, network: null })
})

test('all addresses of a /64 are one subscriber, and of any two of them none is another one', () => {
  const group = fc.integer({ min: 0, max: 0xffff })
  const text = (groups: readonly number[]) => groups.map((each) => each.toString(16)).join(':')
  const half = fc.tuple(group, group, group, group).filter(([first]) => first !== 0)
  fc.assert(
    fc.property(half, half, half, half, (network, other, one, two) => {
      const subscriber = subscriberOf(text([...network, ...one]))
      expect(subscriberOf(text([...network, ...two]))).toBe(subscriber)
      const isSame = text(network) === text(other)
      expect(subscriberOf(text([...other, ...one])) === subscriber).toBe(isSame)
    }),
  )
})

test('an IPv4 address is a subscriber, in whichever spelling', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), (one, two) => {
      expect(subscriberOf(`::ffff:${one}`)).toBe(subscriberOf(one))
      expect(subscriberOf(one) === subscriberOf(two)).toBe(one === two)
    }),
  )
  expect([subscriberOf('::1'), subscriberOf('fe80::1%eth0'), subscriberOf('')]).toEqual([
    '::/64',
    'fe80::/64',
    '',
  ])
})
