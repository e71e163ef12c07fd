import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Upstream } from '../../src/domain/upstream.ts'
import { defaultSettings } from '../../src/domain/upstream.ts'
import { createRegistry, environmentUpstream } from '../../src/modules/upstreams/registry.ts'

function upstream(name: string, url: string, fields: Partial<Upstream> = {}): Upstream {
  const rest = { mount: null, enabled: true, secret: 'secret', prices: null, revision: null }
  const settings = defaultSettings(null)
  return { name, baseUrl: new URL(url), ...rest, settings, createdAt: 1, updatedAt: 1, ...fields }
}

const registry = (...all: Upstream[]) => createRegistry({ list: async () => all }, null)

function found(upstreams: Awaited<ReturnType<typeof registry>>, url: string): string | null {
  const match = upstreams.byUrl(new URL(url))
  return match && `${match.upstream.name} ${match.rest}`
}

test('what is disabled is found by nobody but the operator', async () => {
  const all = await registry(
    upstream('off', 'https://a.example', { enabled: false, mount: '/off' }),
    upstream('on', 'https://b.example', { mount: '/on' }),
  )
  expect(all.byName('off')).toBeNull()
  expect(all.byMount('/off/x')).toBeNull()
  expect(found(all, 'https://a.example/x')).toBeNull()
  expect(all.list().map(({ name }) => name)).toEqual(['on'])
  expect(all.all().map(({ name }) => name)).toEqual(['off', 'on'])
  expect(all.byName('on')?.name).toBe('on')
  expect(all.byName('constructor')).toBeNull()
})

test('a mount is found by whole segments, and the longest wins', async () => {
  const all = await registry(
    upstream('one', 'https://a.example', { mount: '/v1' }),
    upstream('inner', 'https://b.example', { mount: '/v1/inner' }),
  )
  const at = (path: string) => all.byMount(path)?.name ?? null
  expect(['/v1', '/v1/', '/v1/x/y', '/v1/innerx', '/v1//inner'].map(at)).toEqual(
    Array(5).fill('one'),
  )
  expect(['/v1/inner', '/v1/inner/', '/v1/inner/x'].map(at)).toEqual(Array(3).fill('inner'))
  expect(['/', '', '/v', '/v10', '/v1x/inner', '/V1', '/%76%31', '/x/v1'].map(at)).toEqual(
    Array(8).fill(null),
  )
})

const all = await registry(
  upstream('api', 'https://api.example/v1'),
  upstream('inner', 'https://api.example/v1/inner'),
  upstream('port', 'https://api.example:8443/'),
  upstream('root', 'http://root.example'),
)

for (const [url, expected] of [
  ['https://api.example/v1', 'api '],
  ['https://api.example/v1/', 'api /'],
  ['https://api.example/v1/chat/completions?a=1', 'api /chat/completions'],
  ['https://api.example:443/v1/a%20b//c', 'api /a%20b//c'],
  ['https://api.example/%761/chat', 'api /chat'],
  ['https://API.example/x/../v1/chat', 'api /chat'],
  ['https://api.example/v1/inner/x', 'inner /x'],
  ['https://api.example/v1/innerx', 'api /innerx'],
  ['https://api.example:8443/v1/x', 'port /v1/x'],
  ['http://root.example', 'root /'],
  ['http://root.example/a', 'root /a'],
  ['https://api.example/v1/..x/..', 'api /'],
] as const) {
  test(`${url} is under ${expected}`, () => {
    expect(found(all, url)).toBe(expected)
  })
}

for (const url of [
  'https://api.example/',
  'https://api.example/v10',
  'https://api.example/v1x/chat',
  'https://api.example/V1/chat',
  'http://api.example/v1/chat',
  'https://api.example:444/v1/chat',
  'https://api.example.evil/v1/chat',
  'https://xapi.example/v1/chat',
  'https://evil/https://api.example/v1/chat',
  'https://api.example/v1%2fchat',
  'https://api.example/v1/%2e%2e/admin',
  'https://api.example/v1/..%2fadmin',
  'https://api.example/v1/x%2f%2e%2e%2f..%2fadmin',
  'https://api.example/v1/%252e%252e/admin',
  'https://api.example/v1/%25252e%25252e%25252fadmin',
  'https://api.example/v1/..%5cadmin',
  'https://api.example/v1/..;/admin',
  'https://api.example/v1/..;x=1/admin',
  'https://api.example/%2576%2531/chat',
  'https://api.example/v1/..\\admin',
  'https://api.example//v1/chat',
]) {
  // biome-ignore format: a list
  test(`${url} is under no base URL`, () => {
    expect(found(all, url)).toBeNull()
  })
}

test('whatever is found under a base URL is sent to its origin and below its path', () => {
  const piece = fc.constantFrom(
    'v1',
    'inner',
    '..',
    '.',
    '%2e',
    '%2E%2e',
    '%252e',
    '%2f',
    '%5c',
    ';',
    '/',
    '\\',
    'x',
    '%',
    '',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const url = new URL(`https://api.example/v1/${pieces.join('')}`)
      const match = all.byUrl(url)
      if (!match) return
      const { origin, pathname } = match.upstream.baseUrl
      expect(url.origin).toBe(origin)
      expect(url.pathname).toBe(pathname + match.rest)
      // However often something on the way decodes the path and takes its steps, it stays below.
      let path = url.pathname
      for (let i = 0; i < 4; i++) {
        path = new URL(path.replaceAll('%5c', '/').replace(/%2f/gi, '/'), origin).pathname
        expect(path === pathname || path.startsWith(`${pathname}/`)).toBe(true)
        path = path.replaceAll('%25', '%')
      }
    }),
    { numRuns: 2000 },
  )
})

test('a change is known after a reload, and one that cannot be read changes nothing', async () => {
  let stored = [upstream('a', 'https://a.example')]
  const changing = await createRegistry(
    {
      async list() {
        if (stored.length === 0) throw new Error('the credential cannot be opened')
        return stored
      },
    },
    null,
  )
  stored = [upstream('b', 'https://b.example')]
  expect(changing.byName('b')).toBeNull()
  await changing.reload()
  expect(changing.list().map(({ name }) => name)).toEqual(['b'])
  stored = []
  await expect(changing.reload()).rejects.toThrow('cannot be opened')
  expect(changing.byName('b')?.name).toBe('b')
})

test('three settings make an upstream, and its credential goes where its API looks for it', () => {
  const config = { upstreamApiKey: 'sk-abc', upstreamMount: '/v1' }
  const made = (upstreamBaseUrl: string) =>
    environmentUpstream({ ...config, upstreamBaseUrl })?.settings.credential
  expect(environmentUpstream({ ...config, upstreamBaseUrl: undefined })).toBeNull()
  expect(made('https://api.openai.com/v1')).toEqual({
    in: 'header', name: 'authorization', template: 'Bearer {secret}',
  }) // biome-ignore format: one credential
  expect(made('https://api.anthropic.com')).toMatchObject({
    name: 'x-api-key',
    template: '{secret}',
  })
  expect(made('https://api.anthropic.com.evil.example')).toMatchObject({ name: 'authorization' })
  const open = environmentUpstream({
    ...config,
    upstreamApiKey: undefined,
    upstreamBaseUrl: 'http://127.0.0.1:1',
  })
  expect(open).toMatchObject({
    name: 'default',
    mount: '/v1',
    secret: null,
    settings: { credential: null },
  })
})

test('the upstream of the environment stands beside the others, and is never taken for one of them', async () => {
  const config = {
    upstreamBaseUrl: 'https://a.example',
    upstreamApiKey: undefined,
    upstreamMount: '/v1',
  }
  const environment = environmentUpstream(config)
  const create = (...stored: Upstream[]) =>
    createRegistry({ list: async () => stored }, environment)
  const both = await create(upstream('a', 'https://b.example'))
  expect(both.list().map(({ name }) => name)).toEqual(['a', 'default'])
  for (const twin of [
    upstream('default', 'https://b.example'),
    upstream('b', 'https://b.example', { mount: '/v1', enabled: false }),
  ])
    await expect(create(twin)).rejects.toThrow(/Start without UPSTREAM_BASE_URL/)
})
