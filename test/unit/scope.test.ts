/** What the scope of a key lets through. Whatever cannot be told of a call counts as not allowed. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Scope } from '../../src/domain/key.ts'
import { ERRORS } from '../../src/errors.ts'
import { modelRefusal, type ScopedCall, scopeRefusal } from '../../src/proxy/request/scope.ts'

const CALL: ScopedCall = { upstream: 'main', method: 'POST', path: '/chat', ip: '192.0.2.7' }

function code(scope: Scope | null, call: Partial<ScopedCall> = {}): string | null {
  return scopeRefusal(scope, { ...CALL, ...call })?.code ?? null
}

const allows = (scope: Scope, call: Partial<ScopedCall>) => code(scope, call) === null
const allowsPath = (glob: string, path: string) => allows({ paths: [glob] }, { path })
const allowsModel = (glob: string, model: string) =>
  modelRefusal({ models: [glob] }, model) === null

const calls = fc.record<ScopedCall>({
  upstream: fc.option(fc.string()),
  method: fc.string(),
  path: fc.webPath(),
  ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
})

test('a key without restrictions may do everything', () => {
  fc.assert(
    fc.property(calls, fc.option(fc.string()), (call, model) => {
      for (const scope of [null, {}]) {
        expect(scopeRefusal(scope, call)).toBeNull()
        expect(modelRefusal(scope, model)).toBeNull()
      }
    }),
  )
})

test('an empty list allows nothing, and says of which kind', () => {
  fc.assert(
    fc.property(calls, fc.option(fc.string()), (call, model) => {
      expect(code({ upstreams: [] }, call)).toBe('target_not_allowed')
      expect(code({ methods: [] }, call)).toBe('method_not_allowed_for_key')
      expect(code({ paths: [] }, call)).toBe('path_not_allowed')
      expect(code({ ipAllow: [] }, call)).toBe('ip_not_allowed')
      expect(modelRefusal({ models: [] }, model)?.code).toBe('model_not_allowed')
    }),
  )
})

test('every list must let the call through, and one entry of it is enough', () => {
  const scope = {
    upstreams: ['other', 'main'],
    methods: ['GET', 'POST'],
    paths: ['/models', '/ch*'],
    ipAllow: ['2001:db8::/32', '192.0.2.0/24'],
  }
  expect(code(scope)).toBeNull()
  expect(code(scope, { upstream: 'third' })).toBe('target_not_allowed')
  expect(code(scope, { method: 'PUT' })).toBe('method_not_allowed_for_key')
  expect(code(scope, { path: '/files' })).toBe('path_not_allowed')
  expect(code(scope, { ip: '192.0.3.7' })).toBe('ip_not_allowed')
})

test('who calls from elsewhere is told nothing but that', () => {
  const scope = { upstreams: [], methods: [], paths: [], ipAllow: ['10.0.0.0/8'] }
  expect(code(scope)).toBe('ip_not_allowed')
})

test('a refusal is a 403 that no retry helps, says what to do, and repeats no more of the call than its model', () => {
  const canary = 'zQ7canaryX'
  const call = { upstream: canary, method: canary, path: `/${canary}`, ip: canary }
  const kinds: Scope[] = [{ upstreams: [] }, { methods: [] }, { paths: [] }, { ipAllow: [] }]
  const refusals = [
    ...kinds.map((scope) => scopeRefusal(scope, call)),
    modelRefusal({ models: [] }, 'gpt'),
  ]
  for (const refusal of refusals) {
    if (!refusal) throw new Error('it was let through')
    const { status, type, retry } = ERRORS[refusal.code]
    expect({ status, type, retry }).toEqual({ status: 403, type: 'permission_error', retry: false })
    expect(refusal.message).toContain('ask the operator')
    expect(JSON.stringify(refusal)).not.toContain(canary)
  }
})

describe('upstreams', () => {
  test('an endpoint that is no upstream is refused as soon as there is a list', () => {
    expect(code({ upstreams: ['main'] }, { upstream: null })).toBe('target_not_allowed')
    expect(code({ upstreams: ['null', ''] }, { upstream: null })).toBe('target_not_allowed')
    expect(code({ methods: ['POST'] }, { upstream: null })).toBeNull()
  })

  test('a name is the whole name', () => {
    for (const upstream of ['mai', 'main2', 'MAIN', '', 'main ', '*'])
      expect(code({ upstreams: ['main'] }, { upstream })).toBe('target_not_allowed')
  })
})

describe('methods', () => {
  test('HEAD is allowed where GET is, or by its own name', () => {
    expect(allows({ methods: ['GET'] }, { method: 'HEAD' })).toBe(true)
    expect(allows({ methods: ['HEAD'] }, { method: 'HEAD' })).toBe(true)
    expect(allows({ methods: ['HEAD'] }, { method: 'GET' })).toBe(false)
    expect(allows({ methods: ['POST'] }, { method: 'HEAD' })).toBe(false)
  })

  test('a method is compared by its letters, as HTTP does', () => {
    for (const method of ['get', 'Get', 'GETS', '', 'GE'])
      expect(allows({ methods: ['GET'] }, { method })).toBe(false)
  })
})

describe('paths', () => {
  const segment = fc.stringMatching(/^[a-z.\-%\\ äß🔑]{1,8}$/u)

  test('a path without signs allows itself and nothing else', () => {
    const literal = fc.stringMatching(/^[a-z0-9.-]{1,8}$/)
    fc.assert(
      fc.property(literal, segment, (name, other) => {
        expect(allowsPath(`/${name}`, `/${name}`)).toBe(true)
        expect(allowsPath(`/${name}`, `/${other}`)).toBe(name === other)
        for (const path of [`/${name}/`, `/${name}/${other}`, `//${name}`, name, `/${name}?x`])
          expect(allowsPath(`/${name}`, path)).toBe(false)
      }),
    )
  })

  test('one star stays within a segment, two cross them', () => {
    fc.assert(
      fc.property(fc.array(segment, { minLength: 2, maxLength: 5 }), (segments) => {
        const below = `/chat/${segments.join('/')}`
        expect(allowsPath('/chat/**', below)).toBe(true)
        expect(allowsPath('/chat/*', below)).toBe(false)
        expect(allowsPath('/chat/*', `/chat/${segments[0]}`)).toBe(true)
        expect(allowsPath('/**', below)).toBe(true)
        expect(allowsPath('/*', below)).toBe(false)
        expect(allowsPath('/files/**', below)).toBe(false)
      }),
    )
  })

  test('the tables of the documentation hold', () => {
    const table: [string, string, boolean][] = [
      ['/**', '/', true],
      ['/chat/**', '/chat/', true],
      ['/chat/**', '/chat', false],
      ['/chat/**', '/chats/1', false],
      ['/chat*', '/chat/1', false],
      ['/chat**', '/chat/1', false],
      ['/{chat,models}/**', '/models/a/b', true],
      ['/files/?', '/files/a', true],
      ['/files/?', '/files//', false],
      ['/v[12]/x', '/v2/x', true],
      ['/**/content', '/files/1/content', true],
      ['/a/*', '/a/.hidden', true],
      ['/Chat', '/chat', false],
    ]
    for (const [glob, path, allowed] of table)
      expect({ glob, path, allowed: allowsPath(glob, path) }).toEqual({ glob, path, allowed })
  })

  test('no glob allows all but something, and one that cannot be read allows nothing', () => {
    for (const glob of ['!/admin', '!!/chat', '!', '/[ab', '/{chat,b', ''])
      expect({ glob, allowed: allowsPath(glob, '/chat') }).toEqual({ glob, allowed: false })
  })
})

describe('models', () => {
  const name = fc.stringMatching(/^[a-z0-9:./-]{1,20}$/)

  test('a star stands for anything, slashes too', () => {
    fc.assert(
      fc.property(name, name, (vendor, model) => {
        expect(allowsModel('*', `${vendor}/${model}`)).toBe(true)
        expect(allowsModel(`${vendor}/*`, `${vendor}/${model}`)).toBe(true)
        expect(allowsModel(`*/${model}`, `${vendor}/${model}`)).toBe(true)
        expect(allowsModel(`${vendor}/*`, vendor)).toBe(false)
        expect(allowsModel(model, model)).toBe(true)
        expect(allowsModel(model, `${model}x`)).toBe(false)
      }),
    )
  })

  test('a name that only looks like one with a slash is not that one', () => {
    for (const character of ['\u0001', '\\', '\u2044', '\uff0f', '\0'])
      expect(allowsModel('openai/gpt', `openai${character}gpt`)).toBe(false)
  })

  test('no model named is not any model', () => {
    expect(modelRefusal({ models: ['*'] }, null)?.code).toBe('model_not_allowed')
  })

  test('no glob allows all but something', () => {
    expect(allowsModel('!gpt-4', 'other')).toBe(false)
  })
})

describe('addresses', () => {
  const within = (network: string, ip: string) => allows({ ipAllow: [network] }, { ip })

  test('an address that cannot be read is in no network', () => {
    for (const ip of ['', 'unknown', 'localhost', '192.0.2', '192.0.2.007', '0xc0000207', '192.0.2.7:80', '3221225991'])
      for (const network of ['0.0.0.0/0', '::/0', '192.0.2.7']) {
        expect({ ip, network, allowed: within(network, ip) }).toEqual({ ip, network, allowed: false })
      } // biome-ignore format: one loop in another
  })

  test('an IPv4 address is the same one when it is written as IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        expect(within(ip, `::ffff:${ip}`)).toBe(true)
        expect(within(`::ffff:${ip}`, ip)).toBe(true)
        expect(within('0.0.0.0/0', `::ffff:${ip}`)).toBe(true)
        expect(within('::/0', `::ffff:${ip}`)).toBe(false)
      }),
    )
  })

  test('a network holds what begins with its bits, and nothing else', () => {
    const bits = (ip: string) =>
      ip
        .split('.')
        .map((byte) => Number(byte).toString(2).padStart(8, '0'))
        .join('')
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (a, b, length) => {
        const same = bits(a).slice(0, length) === bits(b).slice(0, length)
        expect(within(`${a}/${length}`, b)).toBe(same)
      }),
    )
    expect(within('2001:db8::/33', '2001:db8:7fff::1')).toBe(true)
    expect(within('2001:db8::/33', '2001:db8:8000::1')).toBe(false)
    expect(within('fe80::/10', 'fe80::1%eth0')).toBe(true)
  })
})
