/**
 * Whatever the egress guard allows is public by a second opinion: ranges as numbers, written from
 * the IANA special-purpose registries, sharing no code with the guard and no library either.
 */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseEndpoint } from '../../src/domain/egress.ts'
import { createEgressGuard } from '../../src/proxy/send/egress.ts'
import { isPublicAddress } from '../../src/proxy/send/egress-address.ts'

const FORBIDDEN_4 = `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
  192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24
  203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32`.split(/\s+/)
const FORBIDDEN_6 = `0:0:0:0:0:0:0:0/3 2001:0:0:0:0:0:0:0/23 2001:db8:0:0:0:0:0:0/32
  2002:0:0:0:0:0:0:0/16 3fff:0:0:0:0:0:0:0/20 4000:0:0:0:0:0:0:0/2 8000:0:0:0:0:0:0:0/1`.split(
  /\s+/,
)

type Block = { first: bigint; last: bigint }

function toNumber(address: string): bigint {
  if (!address.includes(':')) {
    return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
  }
  const dotted = /(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const [, head = '', a, b, c, d] = dotted ?? []
  const hex = (high?: string, low?: string) => (Number(high) * 256 + Number(low)).toString(16)
  const whole = dotted === null ? address : `${head}${hex(a, b)}:${hex(c, d)}`
  const [left = '', right] = whole.split('::')
  const before = left === '' ? [] : left.split(':')
  const after = right === undefined || right === '' ? [] : right.split(':')
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce(
    (sum, part) => sum * 65_536n + BigInt(`0x${part}`),
    0n,
  )
}

function toBlock(cidr: string): Block {
  const [address = '', length = ''] = cidr.split('/')
  const first = toNumber(address)
  const size = 1n << BigInt((address.includes(':') ? 128 : 32) - Number(length))
  return { first, last: first + size - 1n }
}

const blocks4 = FORBIDDEN_4.map(toBlock)
const blocks6 = FORBIDDEN_6.map(toBlock)

function isForbidden(address: string): boolean {
  const value = toNumber(address)
  const blocks = address.includes(':') ? blocks6 : blocks4
  return blocks.some(({ first, last }) => first <= value && value <= last)
}

const dotted = (value: bigint) =>
  [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
const groups = (value: bigint) =>
  Array.from({ length: 8 }, (_, n) => ((value >> BigInt(112 - 16 * n)) & 0xffffn).toString(16))

const within = ({ first, last }: Block) =>
  fc.oneof(fc.constantFrom(first, last), fc.bigInt({ min: first, max: last }))
const forbidden4 = fc.constantFrom(...blocks4).chain(within)
const forbidden6 = fc.constantFrom(...blocks6).chain(within)

/** One number of an IPv4 host as WHATWG URL reads it: decimal, octal or hex, with leading zeros. */
const numeral = (value: bigint) =>
  fc.tuple(fc.constantFrom(10, 8, 16), fc.nat(4), fc.boolean()).map(([radix, zeros, upper]) => {
    if (radix === 10) return value.toString()
    const digits = '0'.repeat(zeros) + value.toString(radix)
    if (radix === 8) return `0${digits}`
    return upper ? `0X${digits.toUpperCase()}` : `0x${digits}`
  })

/** All the ways to write one IPv4 address in a URL: one to four parts, each in any base. */
const spelled4 = (value: bigint) =>
  fc.integer({ min: 1, max: 4 }).chain((parts) => {
    const split: bigint[] = []
    for (let part = 0; part < parts - 1; part += 1)
      split.push((value >> BigInt(24 - 8 * part)) & 255n)
    split.push(value & ((1n << BigInt(32 - 8 * (parts - 1))) - 1n))
    return fc.tuple(...split.map(numeral)).map((written) => written.join('.'))
  })

const FULLWIDTH = 0xff10
const CIRCLED = '⓪①②③④⑤⑥⑦⑧⑨'
const DOTS = ['.', '。', '．', '｡']

/** Swaps characters for others that IDNA or percent-decoding turns back into them. */
const disguised = (text: string) =>
  fc.array(fc.nat(9), { minLength: text.length, maxLength: text.length }).map((dice) =>
    [...text]
      .map((char, index) => {
        const die = dice[index] ?? 0
        if (char === '.') return DOTS[die] ?? '.'
        if (die === 1) return `%${char.charCodeAt(0).toString(16)}`
        if (die === 2 && /\d/.test(char)) return String.fromCodePoint(FULLWIDTH + Number(char))
        if (die === 3 && /\d/.test(char)) return CIRCLED[Number(char)] ?? char
        return char
      })
      .join(''),
  )

const spelled6 = (value: bigint) =>
  fc
    .tuple(fc.constantFrom('full', 'short', 'padded', 'mixed'), fc.boolean())
    .map(([form, upper]) => {
      const parts = groups(value)
      const low = dotted(value & 0xffffffffn)
      const text = {
        full: parts.join(':'),
        short: parts.join(':').replace(/(^|:)0(:0)+(:|$)/, '::'),
        padded: parts.map((part) => part.padStart(4, '0')).join(':'),
        mixed: `${parts.slice(0, 6).join(':')}:${low}`,
      }[form]
      return `[${upper ? text.toUpperCase() : text}]`
    })

/** Prefixes under which an IPv4 address is carried inside an IPv6 one, and where it stands. */
const EMBEDDINGS: ((value: bigint) => bigint)[] = [
  (value) => value,
  (value) => (0xffffn << 32n) | value,
  (value) => (0xffffn << 48n) | value,
  (value) => (0x64ff9bn << 96n) | value,
  (value) => (0x64ff9b0001n << 80n) | value,
  (value) => (0x2002n << 112n) | (value << 80n),
  (value) => (0x20010000n << 96n) | (value ^ 0xffffffffn),
]

const forbiddenHost = fc.oneof(
  forbidden4.chain(spelled4).chain(disguised),
  forbidden4.chain(spelled4).map((host) => `${host}.`),
  forbidden6.chain(spelled6),
  fc
    .tuple(forbidden4, fc.constantFrom(...EMBEDDINGS))
    .chain(([value, embed]) => spelled6(embed(value))),
)

const url = (host: fc.Arbitrary<string>) =>
  fc
    .tuple(
      fc.constantFrom('http', 'https', 'HTTP', 'hTTpS'),
      host,
      fc.constantFrom('', ':', ':80', ':8080', ':00443', ':65535'),
      fc.constantFrom(
        '',
        '/',
        '/x',
        '?q',
        '#f',
        '/@b.test',
        '?@b.test',
        '#@b.test',
        '/..//',
        '/%2e',
      ),
    )
    .map(([scheme, name, port, tail]) => `${scheme}://${name}${port}${tail}`)

describe('the egress guard', () => {
  test('refuses every spelling of every forbidden address', async () => {
    const guard = createEgressGuard({
      mode: 'public',
      allow: [],
      resolve: () => Promise.reject(new Error('a literal is never looked up')),
      ownAddresses: () => [],
    })
    let read = 0
    await fc.assert(
      fc.asyncProperty(url(forbiddenHost), async (raw) => {
        const endpoint = parseEndpoint(raw)
        if (!endpoint.ok) return
        read += 1
        expect(await guard.check(endpoint.url)).toMatchObject({ ok: false, reason: 'address' })
      }),
      { numRuns: 5000 },
    )
    // Were most spellings refused as unreadable, the address check would hardly have been tried.
    expect(read).toBeGreaterThan(4500)
  })

  test('allows only public addresses, of the very host that goes into Host', async () => {
    const address = fc.oneof(
      {
        weight: 1,
        arbitrary: fc.oneof(
          forbidden4.map(dotted),
          forbidden6.map((v) => groups(v).join(':')),
        ),
      },
      { weight: 9, arbitrary: fc.oneof(fc.ipV4(), fc.ipV6()) },
      { weight: 9, arbitrary: fc.constantFrom('8.8.8.8', '1.1.1.1', '2606:4700::1111') },
    )
    const host = fc.oneof(
      fc.domain(),
      fc.constantFrom(
        'localhost',
        'a.test.',
        'A.Test',
        'bücher.test',
        'a_b',
        'ａ.test',
        'a%2etest',
      ),
      fc.webAuthority({
        withIPv4: true,
        withIPv6: true,
        withIPv4Extended: true,
        withUserInfo: true,
      }),
      fc.string({ unit: fc.constantFrom(...'a1.:@[]%\\/#?0x _-é。①'), maxLength: 20 }),
      fc.tuple(fc.domain(), forbiddenHost).map(([a, b]) => `${a}@${b}`),
      fc.tuple(forbiddenHost, fc.domain()).map(([a, b]) => `${a}.${b}`),
      address.map((literal) => (literal.includes(':') ? `[${literal}]` : literal)),
    )
    const seen = { allowed: 0, refused: 0 }
    await fc.assert(
      fc.asyncProperty(
        url(host),
        fc.array(address, { minLength: 1, maxLength: 4 }),
        async (raw, answer) => {
          const asked: string[] = []
          const guard = createEgressGuard({
            mode: 'public',
            allow: [],
            resolve: async (name) => {
              asked.push(name)
              return answer.map((found) => ({
                address: found,
                family: found.includes(':') ? 6 : 4,
              }))
            },
            ownAddresses: () => [],
          })
          const endpoint = parseEndpoint(raw)
          const checked = endpoint.ok ? await guard.check(endpoint.url) : endpoint
          seen[checked.ok ? 'allowed' : 'refused'] += 1
          if (!checked.ok) return
          const { destination } = checked
          expect(isForbidden(destination.address)).toBe(false)
          if (asked.length > 0) expect(answer.filter(isForbidden)).toEqual([])
          // The name that was judged (looked up, or the literal itself) is the one that is sent.
          expect(asked.length > 0 ? asked : [destination.address]).toEqual([destination.host])
          // Read again, as the far end of a `fetch` would, it is still that host and that port.
          const scheme = destination.isSecure ? 'https' : 'http'
          const again = new URL(`${scheme}://${destination.hostField}`)
          expect(again.hostname.replace(/^\[|\]$/g, '')).toBe(destination.host)
          expect(Number(again.port || (destination.isSecure ? 443 : 80))).toBe(destination.port)
        },
      ),
      { numRuns: 5000 },
    )
    expect(Math.min(seen.allowed, seen.refused)).toBeGreaterThan(500)
  })

  test('calls no address public that lies in a forbidden range', () => {
    const any = fc.oneof(
      forbidden4.map(dotted),
      forbidden6.map((value) => groups(value).join(':')),
      fc.ipV4(),
      fc.ipV6(),
    )
    fc.assert(
      fc.property(any, (address) => !(isPublicAddress(address) && isForbidden(address))),
      { numRuns: 10_000 },
    )
  })

  test('never throws and never answers with a part of the input', async () => {
    const guard = createEgressGuard({ mode: 'public', allow: [], resolve: async () => [] })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.string({ unit: 'binary' }), url(fc.string({ unit: 'grapheme' }))),
        async (tail) => {
          const raw = `${tail}CANARY`
          const endpoint = parseEndpoint(raw)
          const checked = endpoint.ok ? await guard.check(endpoint.url) : endpoint
          expect(checked.ok).toBe(false)
          expect(JSON.stringify(checked).toUpperCase()).not.toContain('CANARY')
        },
      ),
      { numRuns: 2000 },
    )
  })
})
