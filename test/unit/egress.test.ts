/** What the egress guard decides, case by case; no socket is opened and no name leaves the machine. */
import { afterEach, describe, expect, jest, test } from 'bun:test'
import { type EgressMode, parseEgressAllow, parseEndpoint } from '../../src/domain/egress.ts'
import { createEgressGuard } from '../../src/proxy/send/egress.ts'
import { isPublicAddress } from '../../src/proxy/send/egress-address.ts'

type Found = { address: string; family: 4 | 6 }
const PUBLIC = '93.184.215.14'
const PUBLIC6 = '2606:2800:21f:cb07:6820:80da:af6b:8b2c'

const found = (...addresses: string[]): Found[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

function guard(
  options: {
    mode?: EgressMode
    allow?: string
    answer?: string[]
    own?: string[]
    resolve?: (host: string) => Promise<Found[]>
    now?: () => number
  } = {},
) {
  const allow = parseEgressAllow(options.allow ?? '')
  if (!allow.ok) throw new Error(allow.problem)
  return createEgressGuard({
    mode: options.mode ?? 'public',
    allow: allow.entries,
    resolve: options.resolve ?? (async () => found(...(options.answer ?? [PUBLIC]))),
    ownAddresses: () => options.own ?? [],
    ...(options.now === undefined ? {} : { now: options.now }),
  })
}

/** Both steps, as the proxy runs them; the outcome in one word. */
async function outcome(raw: string, subject = guard()): Promise<string> {
  const endpoint = parseEndpoint(raw)
  if (!endpoint.ok) return endpoint.reason
  const checked = await subject.check(endpoint.url)
  return checked.ok ? checked.destination.address : checked.reason
}

describe('isPublicAddress', () => {
  const forbidden: Record<string, string[]> = {
    '0/8': ['0.0.0.0', '0.0.0.1', '0.255.255.255'],
    '10/8': ['10.0.0.0', '10.255.255.255'],
    '100.64/10': ['100.64.0.0', '100.100.100.200', '100.127.255.255'],
    '127/8': ['127.0.0.0', '127.0.0.1', '127.255.255.255'],
    '169.254/16': ['169.254.0.0', '169.254.169.253', '169.254.169.254', '169.254.255.255'],
    '172.16/12': ['172.16.0.0', '172.31.255.255'],
    '192.0.0/24': ['192.0.0.0', '192.0.0.192', '192.0.0.255'],
    '192.0.2/24': ['192.0.2.0', '192.0.2.255'],
    '192.88.99/24': ['192.88.99.0', '192.88.99.255'],
    '192.168/16': ['192.168.0.0', '192.168.255.255'],
    '198.18/15': ['198.18.0.0', '198.19.255.255'],
    '198.51.100/24': ['198.51.100.0', '198.51.100.255'],
    '203.0.113/24': ['203.0.113.0', '203.0.113.255'],
    '224/4': ['224.0.0.0', '239.255.255.255'],
    '240/4': ['240.0.0.0', '255.255.255.254', '255.255.255.255'],
    'Azure WireServer': ['168.63.129.16'],
    'unspecified and loopback': ['::', '::1', '0:0:0:0:0:0:0:1'],
    'IPv4-compatible': ['::2', '::7f00:1', '::127.0.0.1', '::8.8.8.8'],
    'IPv4-mapped': ['::ffff:127.0.0.1', '::ffff:a9fe:a9fe', '::ffff:8.8.8.8'],
    'IPv4-translated': ['::ffff:0:7f00:1', '::ffff:0:8.8.8.8'],
    'NAT64 64:ff9b::/96': ['64:ff9b::', '64:ff9b::7f00:1', '64:ff9b::8.8.8.8'],
    'NAT64 64:ff9b:1::/48': ['64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
    'discard 100::/64': ['100::', '100::ffff:ffff:ffff:ffff'],
    'Teredo 2001::/32': ['2001::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff'],
    'benchmarking 2001:2::/48': ['2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff'],
    'ORCHID 2001:10::/28': ['2001:10::', '2001:1f:ffff:ffff:ffff:ffff:ffff:ffff'],
    'ORCHIDv2 2001:20::/28': ['2001:20::', '2001:2f:ffff:ffff:ffff:ffff:ffff:ffff'],
    'documentation 2001:db8::/32': ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
    'documentation 3fff::/20': ['3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
    '6to4 2002::/16': ['2002::', '2002:a9fe:a9fe::', '2002:808:808::', '2002:ffff::'],
    'unique local fc00::/7': ['fc00::', 'fd00:ec2::254', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    'link-local fe80::/10': ['fe80::', 'fe81::1', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    'site-local fec0::/10': ['fec0::', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    'multicast ff00::/8': ['ff00::', 'ff02::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    'outside 2000::/3': ['200::', '1fff:ffff::', '4000::', '5f00::1', 'a000::', 'fe00::'],
    'zone ids': ['fe80::1%eth0', '2606:4700::1%eth0', '2606:4700::1%1'],
    'not a literal': [
      '',
      'a.test',
      '127.1',
      '0177.0.0.1',
      '0x7f.0.0.1',
      '[2606:4700::1]',
      '1.2.3.4 ',
    ],
  }
  for (const [range, addresses] of Object.entries(forbidden)) {
    test(`${range} is not public`, () => {
      expect(addresses.filter(isPublicAddress)).toEqual([])
    })
  }

  test('the neighbours of every range are public', () => {
    const neighbours = `1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255
      128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
      191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
      198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
      223.255.255.255 2000:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2001:ffff:: 2003:: 2606:4700::1
      3ffe:ffff:: 3fff:1000:: ${PUBLIC} ${PUBLIC6}`.split(/\s+/)
    expect(neighbours.filter((address) => !isPublicAddress(address))).toEqual([])
  })
})

describe('a forbidden address is refused in every spelling', () => {
  const spellings: Record<string, string> = {
    decimal: '2130706433 2852039166 3232235521 0 1',
    octal: '0177.0.0.1 0177.0.0.01 017700000001 0251.0376.0251.0376 00000177.0.0.1',
    hex: '0x7f.0.0.1 0x7f000001 0X7F000001 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 0x 0x.0x.0x.0x',
    short: '127.1 127.0.1 10.1 192.168.1 169.254.43518 0x7f.1 0',
    mixed: '0x7f.0.1 0177.0x0.1 169.0376.0xa9fe 0xa9.254.0251.254',
    'trailing dot': '127.0.0.1. 169.254.169.254. 0x7f000001. 127.1.',
    'percent-encoded': '%31%32%37.0.0.1 127%2e0%2E0.1 %30x7f.1',
    'mapped and compatible': '[::ffff:a9fe:a9fe] [::ffff:127.0.0.1] [::127.0.0.1] [::FFFF:7F00:1]',
    embedded: '[2002:a9fe:a9fe::] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [2001:0:4136:e378::1]',
    'IPv6 forms':
      '[::] [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0.0.0.1] [fe80::1] [FEBF::1] [fd00:ec2::254]',
    'fullwidth digits': '１２７.０.０.１ １２７。０。０。１ ０ｘ７ｆ.１ 127．0．0．1',
    'enclosed alphanumerics': '①②⑦.⓪.⓪.① ①⑥⑨.②⑤④.①⑥⑨.②⑤④ 127｡0｡0｡1 ⓪x7f.1',
    'superscript digits': '¹²⁷.0.0.¹ 𝟏𝟐𝟕.𝟎.𝟎.𝟏',
  }
  for (const [kind, hosts] of Object.entries(spellings)) {
    test(kind, async () => {
      for (const host of hosts.split(' ')) {
        expect(`${host} ${await outcome(`http://${host}/`)}`).toBe(`${host} address`)
        expect(`${host} ${await outcome(`HTTPS://${host}:8443/x`)}`).toBe(`${host} address`)
      }
    })
  }

  test('a number that overflows or a broken literal is no host', async () => {
    const hosts = `4294967296 256.0.0.1 127.0.0.256 1.2.3.4.5 0x1ffffffff 08.0.0.1 127.0.0.0x100
      [::1 ::1 [::1%25eth0] [::1%eth0] [fe80::1%25lo] [1::2::3] [::127.1] [v1.fe80::a] [] [:]`
    for (const host of hosts.split(/\s+/)) {
      expect(`${host} ${await outcome(`http://${host}/`)}`).toBe(`${host} malformed`)
    }
  })

  test('an internationalised name is looked up in its ASCII form', async () => {
    const asked: string[] = []
    const subject = guard({
      resolve: async (host) => {
        asked.push(host)
        return found('10.0.0.1')
      },
    })
    for (const host of ['bücher.test', 'ＬＯＣＡＬＨＯＳＴ', 'ⓛⓞⓒⓐⓛ.test', 'local\u00adhost']) {
      expect(await outcome(`http://${host}/`, subject)).toBe('address')
    }
    expect(asked).toEqual(['xn--bcher-kva.test', 'localhost', 'local.test'])
  })
})

describe('parseEndpoint', () => {
  test('only http and https are accepted, in any case', async () => {
    for (const raw of `file:///etc/passwd FILE:///etc/passwd s3://bucket/key data:text/plain,x
      blob:http://a.test/1 ftp://a.test/ gopher://a.test/ ws://a.test/ wss://a.test/ WsS://a.test/
      javascript:alert(1) JavaScript:alert(1) unix:/run/x.sock http+unix://x/ about:blank
      mailto:a@a.test view-source:http://a.test jar:http://a.test!/x`.split(/\s+/)) {
      expect(`${raw} ${await outcome(raw)}`).toBe(`${raw} scheme`)
    }
    for (const raw of ['http://a.test', 'HTTP://a.test/', 'hTtPs://A.TEST/']) {
      expect(await outcome(raw)).toBe(PUBLIC)
    }
  })

  test('a URL without // or without a host is malformed', async () => {
    for (const raw of `http: http:/ http:// http:/// http:a.test http:/a.test http:///a.test
      https:127.0.0.1 http://? http://# http://: http://:80 //a.test a.test /x ? http://. http://..
      http://a..test http://.a.test http://a.test.. http://a$b.test http://*.a.test http://a,b.test
      http://a%2fb.test http://a%00.test http://a.test:65536 http://a.test:-1 http://a.test:x
      http://${'a'.repeat(254)} ${'x'.repeat(10)}`.split(/\s+/)) {
      expect(`${raw} ${await outcome(raw)}`).toBe(`${raw} malformed`)
    }
    expect(await outcome('')).toBe('malformed')
  })

  test('a user name or a password is refused, however it is hidden', async () => {
    for (const raw of `http://u@a.test/ http://u:p@a.test/ http://:p@a.test/ http://@a.test/
      http://:@a.test/ http://a.test@127.0.0.1/ http://127.0.0.1@a.test/ http://a.test:80@127.0.0.1/
      http://a.test%23@127.0.0.1/ http://a@b@a.test/ http://a.test&@127.0.0.1/`.split(/\s+/)) {
      expect(`${raw} ${await outcome(raw)}`).toBe(`${raw} userinfo`)
    }
  })

  test('whitespace, control characters and backslashes are refused wherever they stand', async () => {
    const strangers = ['\\', '\t', '\n', '\r\n', '\0', ' ', '\x0b', '\x1f', '\x7f', '\x85', '\xa0']
    for (const stranger of [...strangers, '\u2028', '\u3000', '\ufeff']) {
      for (const raw of [
        `${stranger}http://a.test/`,
        `ht${stranger}tp://a.test/`,
        `http:${stranger}//a.test/`,
        `http://a.test${stranger}@127.0.0.1/`,
        `http://a.test${stranger}.b.test/`,
        `http://a.test/x${stranger}Host: b`,
        `http://a.test/?q=${stranger}`,
        `http://a.test/#${stranger}`,
        `http://a.test/${stranger}`,
      ]) {
        expect(`${JSON.stringify(raw)} ${await outcome(raw)}`).toBe(
          `${JSON.stringify(raw)} malformed`,
        )
      }
    }
  })

  test('the host that is checked is the one before #, ? and /', async () => {
    for (const raw of [
      'http://a.test#@127.0.0.1/',
      'http://a.test?@127.0.0.1/',
      'http://a.test/@b',
    ]) {
      const endpoint = parseEndpoint(raw)
      expect(endpoint.ok && endpoint.url.hostname).toBe('a.test')
    }
    expect(await outcome('http://127.0.0.1#@a.test/')).toBe('address')
    expect(await outcome('http://127.0.0.1?@a.test/')).toBe('address')
  })

  test('8 KiB are read and one byte more is refused, in bytes and not in characters', () => {
    const raw = (tail: string) => `http://a.test/${tail}`
    expect(parseEndpoint(raw('x'.repeat(8192 - 14))).ok).toBe(true)
    expect(parseEndpoint(raw('x'.repeat(8192 - 13))).ok).toBe(false)
    expect(parseEndpoint(raw('é'.repeat(4096))).ok).toBe(false)
  })

  test('one trailing dot is taken off the host', () => {
    const endpoint = parseEndpoint('https://A.test.:8443/x?y')
    expect(endpoint.ok && endpoint.url.href).toBe('https://a.test:8443/x?y')
  })
})

describe('parseEgressAllow', () => {
  test('entries are canonicalised as the host of a URL is', () => {
    expect(
      parseEgressAllow(' A.Test. , db:5432,[0:0::1]:8080,[FD00::1],127.1:80,bücher.test '),
    ).toEqual({
      ok: true,
      entries: [
        { host: 'a.test' },
        { host: 'db', port: 5432 },
        { host: '::1', port: 8080 },
        { host: 'fd00::1' },
        { host: '127.0.0.1', port: 80 },
        { host: 'xn--bcher-kva.test' },
      ],
    })
    expect(parseEgressAllow(' ')).toEqual({ ok: true, entries: [] })
  })

  test('anything else is a problem that names the entry and does not repeat it', () => {
    for (const entry of `http://a.test a.test/x a.test?x a.test#x u@a.test *.a.test ::1 [::1 a.test:
      a.test:0 a.test:65536 a.test:123456 a.test:80:80 a.test:-1 10.0.0.0/8 a\\b . [fe80::1%25eth0]
      [] :80`.split(/\s+/)) {
      const parsed = parseEgressAllow(`ok.test,${entry}`)
      expect(`${entry} ${parsed.ok ? '' : parsed.problem}`).toStartWith(`${entry} entry 2 `)
    }
    expect(parseEgressAllow('a.test,').ok).toBe(false)
  })
})

describe('modes and the operator’s list', () => {
  test('off refuses every target, listed ones too, without a look-up', async () => {
    const resolve = jest.fn(async () => found(PUBLIC))
    const subject = guard({ mode: 'off', allow: 'a.test', resolve })
    expect(await outcome('https://a.test/', subject)).toBe('off')
    expect(resolve).not.toHaveBeenCalled()
  })

  test('listed allows what is named and looks nothing else up', async () => {
    const resolve = jest.fn(async () => found('10.0.0.1'))
    const subject = guard({ mode: 'listed', allow: 'db:5432,a.test', resolve })
    expect(await outcome('http://b.test/', subject)).toBe('not_listed')
    expect(await outcome('http://db/', subject)).toBe('not_listed')
    expect(resolve).not.toHaveBeenCalled()
    expect(await outcome('http://db:5432/', subject)).toBe('10.0.0.1')
    expect(await outcome('https://A.test.:9999/', subject)).toBe('10.0.0.1')
  })

  test('public allows a listed private target, on the listed port only', async () => {
    const subject = guard({ allow: '127.0.0.1:8080,[::1],db:80,api:443', answer: ['10.0.0.1'] })
    for (const raw of [
      'http://127.0.0.1:8080/',
      'http://0x7f.1:8080/',
      'http://２１３０７０６４３３:8080/',
    ]) {
      expect(await outcome(raw, subject)).toBe('127.0.0.1')
    }
    expect(await outcome('https://[0::0001]:1234/', subject)).toBe('::1')
    expect(await outcome('http://db/', subject)).toBe('10.0.0.1')
    expect(await outcome('https://api/', subject)).toBe('10.0.0.1')
    expect(await outcome('http://127.0.0.1:8081/', subject)).toBe('address')
    expect(await outcome('http://127.0.0.2:8080/', subject)).toBe('address')
    expect(await outcome('https://db/', subject)).toBe('address')
    expect(await outcome('http://api/', subject)).toBe('address')
    expect(await outcome('http://sub.db/', subject)).toBe('address')
  })

  test('a name that resolves to a listed address is not itself listed', async () => {
    const subject = guard({ allow: '127.0.0.1', answer: ['127.0.0.1'] })
    expect(await outcome('http://a.test/', subject)).toBe('address')
  })

  test('scheme and user names are checked for listed targets too', async () => {
    const subject = guard({ allow: 'a.test' })
    expect(await subject.check(new URL('ftp://a.test/'))).toMatchObject({ reason: 'scheme' })
    expect(await subject.check(new URL('http://u@a.test/'))).toMatchObject({ reason: 'userinfo' })
    expect(await subject.check(new URL('http://:p@a.test/'))).toMatchObject({ reason: 'userinfo' })
  })

  test('ports of other protocols are refused unless the operator names the port', async () => {
    const resolve = jest.fn(async () => found(PUBLIC))
    const subject = guard({ allow: 'any.test,mail.test:25', resolve })
    for (const port of [
      0, 1, 22, 25, 53, 143, 465, 587, 993, 2049, 4190, 6000, 6667, 6679, 10080,
    ]) {
      expect(`${port} ${await outcome(`http://a.test:${port}/`, subject)}`).toBe(`${port} port`)
      expect(`${port} ${await outcome(`http://any.test:${port}/`, subject)}`).toBe(`${port} port`)
    }
    expect(resolve).not.toHaveBeenCalled()
    expect(await outcome('http://mail.test:25/', subject)).toBe(PUBLIC)
    for (const port of [80, 443, 3000, 8000, 8080, 8443, 65535]) {
      expect(await outcome(`http://a.test:${port}/`, subject)).toBe(PUBLIC)
    }
  })
})

describe('resolved addresses', () => {
  test('one private address among many refuses the host', async () => {
    for (const answer of [
      [PUBLIC, '127.0.0.1'],
      ['10.0.0.1', PUBLIC],
      [PUBLIC, PUBLIC6, '::1'],
      [PUBLIC6, '::ffff:169.254.169.254'],
      ['fe80::1%eth0', PUBLIC],
    ]) {
      expect(await outcome('http://a.test/', guard({ answer }))).toBe('address')
    }
  })

  test('the first IPv4 address is used, else the first', async () => {
    expect(await outcome('http://a.test/', guard({ answer: [PUBLIC6, PUBLIC, '1.1.1.1'] }))).toBe(
      PUBLIC,
    )
    expect(await outcome('http://a.test/', guard({ answer: [PUBLIC6, '2606:4700::1'] }))).toBe(
      PUBLIC6,
    )
  })

  test('the proxy’s own addresses are refused in any spelling, unless listed', async () => {
    const own = [PUBLIC, '2606:4700:0:0::1%eth0']
    expect(await outcome(`http://${PUBLIC}/`, guard({ own }))).toBe('address')
    expect(await outcome('http://a.test/', guard({ own, answer: ['2606:4700::0001'] }))).toBe(
      'address',
    )
    expect(await outcome('http://a.test/', guard({ own, answer: ['1.1.1.1'] }))).toBe('1.1.1.1')
    expect(await outcome(`http://${PUBLIC}/`, guard({ own, allow: PUBLIC }))).toBe(PUBLIC)
  })

  test('a name that does not resolve is refused like a private one, in the same words', async () => {
    const failing = guard({ resolve: () => Promise.reject(new Error('ENOTFOUND secret.internal')) })
    const refusals = [
      await failing.check(new URL('http://secret.internal/')),
      await guard({ answer: [] }).check(new URL('http://secret.internal/')),
      await guard({ answer: ['not an address'] }).check(new URL('http://secret.internal/')),
      await guard({ answer: ['10.0.0.1'] }).check(new URL('http://secret.internal/')),
    ]
    const reasons = refusals.map((refusal) => (refusal.ok ? '' : refusal.reason))
    expect(reasons).toEqual(['unresolvable', 'unresolvable', 'unresolvable', 'address'])
    const messages = new Set(refusals.map((refusal) => (refusal.ok ? '' : refusal.message)))
    expect(messages.size).toBe(1)
    expect([...messages][0]).toContain('PROXY_EGRESS_ALLOW')
    expect([...messages][0]).not.toContain('secret')
  })

  test('an address that is private is called so, for whoever writes it knows it', async () => {
    const messageOf = async (url: string) => {
      const refusal = await guard({ answer: ['10.0.0.1'] }).check(new URL(url))
      return refusal.ok ? '' : refusal.message
    }
    for (const host of ['10.0.0.1', '[::1]', '127.1', '0x7f000001', '[::ffff:10.0.0.1]']) {
      const message = await messageOf(`http://${host}/`)
      expect(message).toStartWith('The address of the target is private')
      expect(message).toContain('PROXY_EGRESS_ALLOW')
    }
    expect(await messageOf('http://a.test/')).not.toContain('is private')
  })

  test('the destination holds the host that was checked, and changes to the input do not reach it', async () => {
    const url = new URL('https://A.test.:8443/x?y')
    const checking = guard().check(url)
    url.hostname = '127.0.0.1'
    const checked = await checking
    if (!checked.ok) throw new Error(checked.reason)
    expect(checked.destination).toMatchObject({
      host: 'a.test',
      port: 8443,
      address: PUBLIC,
      authority: `${PUBLIC}:8443`,
    })
    expect(checked.destination.hostField).toBe('a.test:8443')
    const literal = await guard().check(new URL(`https://[${PUBLIC6}]/`))
    expect(literal.ok && literal.destination).toMatchObject({
      host: PUBLIC6,
      port: 443,
      address: PUBLIC6,
      authority: `[${PUBLIC6}]:443`,
    })
  })
})

describe('look-ups', () => {
  afterEach(() => {
    jest.useRealTimers()
  })

  test('an answer is kept for 10 s and no longer', async () => {
    let at = 0
    const resolve = jest.fn(async () => found(PUBLIC))
    const subject = guard({ resolve, now: () => at })
    await outcome('http://a.test/', subject)
    at = 9999
    await outcome('https://a.test.:8443/', subject)
    expect(resolve).toHaveBeenCalledTimes(1)
    at = 10_000
    await outcome('http://a.test/', subject)
    expect(resolve).toHaveBeenCalledTimes(2)
  })

  test('a failure is not kept', async () => {
    const answers = [found(), found(PUBLIC)]
    const subject = guard({ resolve: async () => answers.shift() ?? [] })
    expect(await outcome('http://a.test/', subject)).toBe('unresolvable')
    expect(await outcome('http://a.test/', subject)).toBe(PUBLIC)
  })

  test('concurrent calls to one host share one look-up', async () => {
    const answer = Promise.withResolvers<Found[]>()
    const resolve = jest.fn(() => answer.promise)
    const subject = guard({ resolve })
    const calls = Array.from({ length: 100 }, () => outcome('http://a.test/', subject))
    answer.resolve(found(PUBLIC))
    expect(new Set(await Promise.all(calls))).toEqual(new Set([PUBLIC]))
    expect(resolve).toHaveBeenCalledTimes(1)
  })

  test('a thousand hosts are kept and the oldest gives way', async () => {
    const resolve = jest.fn(async (_host: string) => found(PUBLIC))
    const subject = guard({ resolve, now: () => 0 })
    for (let host = 0; host <= 1000; host += 1) await outcome(`http://h${host}.test/`, subject)
    await outcome('http://h1.test/', subject)
    await outcome('http://h1000.test/', subject)
    expect(resolve).toHaveBeenCalledTimes(1001)
    await outcome('http://h0.test/', subject)
    expect(resolve).toHaveBeenCalledTimes(1002)
  })

  test('a look-up without an answer is given up after 5 s', async () => {
    jest.useFakeTimers()
    const subject = guard({ resolve: () => new Promise(() => {}) })
    let settled = ''
    const call = outcome('http://a.test/', subject).then((word) => {
      settled = word
    })
    jest.advanceTimersByTime(4999)
    // A settled look-up needs a few turns of the microtask queue to reach `settled`.
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
    expect(settled).toBe('')
    jest.advanceTimersByTime(1)
    await call
    expect(settled).toBe('unresolvable')
  })

  test('at most 256 questions are open at once, and the place of an answered one is free again', async () => {
    const answers: (() => void)[] = []
    const subject = guard({
      resolve: () => new Promise((done) => answers.push(() => done(found(PUBLIC)))),
    })
    const calls = Array.from({ length: 256 }, (_, n) => outcome(`http://h${n}.test/`, subject))
    expect(await outcome('http://one-more.test/', subject)).toBe('unresolvable')
    for (const answer of answers) answer()
    await Promise.all(calls)
    const later = outcome('http://one-more.test/', subject)
    answers.at(-1)?.()
    expect(await later).toBe(PUBLIC)
  })

  test('the system resolver is asked when none is given', async () => {
    const subject = createEgressGuard({ mode: 'public', allow: [] })
    expect(await subject.check(new URL('http://localhost/'))).toMatchObject({ reason: 'address' })
  })
})
