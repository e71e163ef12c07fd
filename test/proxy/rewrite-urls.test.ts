/** URLs in headers: each side reads its own, in requests where the upstream wants it; and none leads a key elsewhere. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { settled, usedOf } from '../support/books.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import {
  openClient,
  type RawAnswer,
  type RawRequest,
  type RawUpstream,
  startRawUpstream,
} from '../support/wire.ts'

const HOST = 'proxy.test:8787'
const NOTHING = 'Content-Length: 0'

/** The lines that the upstream puts into its next answer. */
let saying: readonly string[] = []
/** The body of a redirect, in the place of what was made. */
let answering: string | null = null
let upstream: RawUpstream
let server: TestServer
let key: string
let id: string

beforeAll(async () => {
  upstream = await startRawUpstream((socket) => {
    const [status, length] =
      answering === null
        ? ['201 Created', NOTHING]
        : ['307 X', `Content-Length: ${answering.length}`]
    socket.write([`HTTP/1.1 ${status}`, length, ...saying, '', answering ?? ''].join('\r\n'))
  })
  server = await startServer()
  ;({ key, id } = await issueKey(server, { quota: null }))
  const plain = { base_url: `${upstream.url}/base`, meter: { kind: 'none' } }
  const rewriting = { ...plain, rewrite_urls: true }
  for (const fields of [
    { ...rewriting, name: 'dav', mount: '/files' },
    { ...rewriting, name: 'root', mount: '/root', base_url: upstream.url },
    { ...rewriting, name: 'nested', mount: '/files/nested' },
    { ...rewriting, name: 'narrow', paths: ['/docs/**'] },
    { ...plain, name: 'plain', mount: '/plain' },
    { ...plain, name: 'open', mount: '/open', pass_locations: true },
    { ...plain, name: 'plain-narrow', paths: ['/docs/**'] },
    { ...plain, name: 'secret', credential: { secret: CREDENTIAL, query: 'k' } },
  ])
    await addUpstream(server, fields)
})

type Asked = { readonly as?: string; readonly host?: string; readonly method?: string }

async function ask(
  target: string,
  lines: readonly string[] = [],
  { as = key, host = HOST, method = 'MOVE' }: Asked = {},
): Promise<RawAnswer> {
  const client = await openClient(server.url)
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, `X-API-Key: ${as}`, NOTHING]
  client.write(Buffer.from(`${[...head, ...lines].join('\r\n')}\r\n\r\n`, 'latin1'))
  const answer = await client.answer(5_000, method)
  client.socket.destroy()
  return answer
}

/** What the upstream read in the place of the field that was sent. */
async function read(target: string, name: string, value: string, asked?: Asked): Promise<string> {
  const before = upstream.seen.length
  const { status, body } = await ask(target, [`${name}: ${value}`], asked)
  expect(`${status} ${body}`).toBe('201 ')
  return fieldOf(upstream.seen.slice(before), name)
}

function fieldOf(requests: readonly RawRequest[], name: string): string {
  const fields = requests.flatMap(({ headers }) => headers)
  return fields.find(([own]) => own === name.toLowerCase())?.[1] ?? ''
}

/** The code of a refusal that reached no upstream and cost nothing. */
async function refusalOf(target: string, line: string, asked?: Asked): Promise<string> {
  await settled(server)
  const before = [upstream.seen.length, await usedOf(server, id)]
  const answer = await ask(target, [line], asked)
  expect([upstream.seen.length, await usedOf(server, id)]).toEqual(before)
  return `${answer.status} ${JSON.parse(answer.body.toString()).error.code}`
}

/** What the client read in the place of the field that the upstream sent. */
async function told(target: string, name: string, value: string): Promise<string | null> {
  saying = [`${name}: ${value}`]
  const answer = await ask(target, [], { method: 'GET' })
  saying = []
  return answer.header(name.toLowerCase())
}

describe('Destination', () => {
  test('names this server to the client, and the upstream to the upstream', async () => {
    const base = `${upstream.url}/base`
    for (const [sent, arrived] of [
      [`http://${HOST}/files/a`, `${base}/a`],
      // The other way in leads to the same upstream, and a front may have taken TLS off.
      [`https://${HOST}/u/dav/a`, `${base}/a`],
      ['HTTP://PROXY.test:8787/files/a', `${base}/a`],
      [`//${HOST}/files/a`, `${base}/a`],
      ['/files/a/', `${base}/a/`],
      ['/files', base],
      // What is behind the base URL keeps its spelling.
      [`http://${HOST}/files/%41%2Fb%20%c3%a9/~'()?q=%2f`, `${base}/%41%2Fb%20%c3%a9/~'()?q=%2f`],
    ] as const) {
      expect(await read('/files/x', 'Destination', sent)).toBe(arrived)
      expect(await read('/u/dav/x', 'Destination', sent, { method: 'COPY' })).toBe(arrived)
    }
    expect(await read('/root/x', 'Destination', '/root')).toBe(`${upstream.url}/`)
    for (const host of ['proxy.test', 'proxy.test:80'])
      expect(await read('/files/x', 'Destination', 'http://proxy.test/files/a', { host })).toBe(
        `${base}/a`,
      )
    expect(
      await read('/files/x', 'Destination', 'https://proxy.test/files/a', {
        host: 'proxy.test:443',
      }),
    ).toBe(`${base}/a`)
  })

  test('that is not this upstream’s, at the address that was called, is refused for free', async () => {
    for (const elsewhere of [
      'http://other.test/files/a', 'http://proxy.test/files/a', `http://${HOST}8/files/a`, `${upstream.url}/base/a`,
      `http://u@${HOST}/files/a`, `http://u:p@${HOST}/files/a`, 'http:///files/a', '//other.test/files/a',
      `http://${HOST}`, `http://${HOST}/`, '/', '/filesx/a', '/FILES/a', '/%66iles/a', '//files/a', '/base/a', '/admin/keys',
      '/u/dav2/a', '/u/plain/a', '/plain/a', '/root/base/a', '/files/nested/a', '/proxy', '/u/', '/u/%64av/a',
    ]) // biome-ignore format: a list
      expect(`${elsewhere} ${await refusalOf('/files/x', `Destination: ${elsewhere}`)}`).toBe(
        `${elsewhere} 403 target_not_allowed`,
      )
  })

  test('that can be read in two ways, or is no URL, is refused for free', async () => {
    for (const step of [
      '/../b',
      '/./b',
      '/a/..',
      '/%2e%2e/b',
      '/a%2f..%2fb',
      '/..;/b',
      '/a\\..\\b',
    ])
      expect(`${step} ${await refusalOf('/files/x', `Destination: /files${step}`)}`).toMatch(
        / 403 path_not_allowed$/,
      )
    for (const text of ['a', '', 'files/a', 'ftp://proxy.test/files/a', '/files/a#b', '/files/a b', '/files/é', '?a',
      'file:///files/a', `http://${HOST}/files/a, http://${HOST}/files/b`, `http:\\\\${HOST}\\files\\a`, 'http:/files/a']) // biome-ignore format: a list
      expect(`${text} ${await refusalOf('/files/x', `Destination: ${text}`)}`).toBe(
        `${text} 422 invalid_request`,
      )
  })

  test('obeys the paths of the key and of the upstream, translated or not', async () => {
    const narrow = (await issueKey(server, { paths: ['/docs/**'] })).key
    for (const [target, inside, outside] of [
      ['/files/docs/x', '/files/docs/a', '/files/etc/a'],
      ['/plain/docs/x', '/base/docs/a', '/base/etc/a'],
      ['/plain/docs/x', `${upstream.url}/base/docs/a`, `${upstream.url}/base/etc/a`],
      ['/plain/docs/x', 'http://any.test/base/docs/a', 'http://any.test/docs/a'],
      ['/plain/docs/x', '/base/docs/a', '/basement/docs/a'],
      ['/plain/docs/x', '/base/docs/a', '/base/docs/../etc/a'],
      ['/plain/docs/x', '/base/docs/a', '/base/docs/%2e%2e/etc/a'],
    ] as const) {
      await read(target, 'Destination', inside, { as: narrow })
      const refused = await refusalOf(target, `Destination: ${outside}`, { as: narrow })
      expect(`${outside} ${refused}`).toBe(`${outside} 403 path_not_allowed`)
      const asked = `If: <${outside}> (["e"])`
      expect(await refusalOf(target, asked, { as: narrow })).toBe('403 path_not_allowed')
    }
    const enveloped = async (destination: string) => {
      const endpoint = `${upstream.url}/base/docs/x`
      const envelope = { endpoint, method: 'PUT', headers: { Destination: destination } }
      return (await server.call(narrow, envelope)).status
    }
    expect([await enveloped('/base/docs/a'), await enveloped('/base/etc/a')]).toEqual([201, 403])
    for (const [target, inside, outside] of [
      ['/u/narrow/docs/x', '/u/narrow/docs/a', '/u/narrow/etc/a'],
      ['/u/plain-narrow/docs/x', '/base/docs/a', '/base/etc/a'],
    ] as const) {
      await read(target, 'Destination', inside)
      expect(await refusalOf(target, `Destination: ${outside}`)).toBe('403 path_not_allowed')
    }
    expect(await refusalOf('/u/plain-narrow/docs/x', 'Destination: a b')).toBe(
      '422 invalid_request',
    )
  })
})

test('If names resources as Destination does, and keeps its tokens and tags', async () => {
  const base = `${upstream.url}/base`
  for (const [sent, arrived] of [
    [`<http://${HOST}/files/a> (<urn:uuid:1>)`, `<${base}/a> (<urn:uuid:1>)`],
    ['(<urn:uuid:1> ["</files/a>"])', '(<urn:uuid:1> ["</files/a>"])'],
    // An entity tag has no escapes, and may hold what looks like the end of a list.
    ['(["a\\"]) </files/a> (["\\"])', `(["a\\"]) <${base}/a> (["\\"])`],
    [
      '</files/a> (Not <http://proxy.test:8787/files/b> ["x)<y"]) (["z"])  </u/dav/c>  (<DAV:no-lock>)',
      `<${base}/a> (Not <http://proxy.test:8787/files/b> ["x)<y"]) (["z"])  <${base}/c>  (<DAV:no-lock>)`,
    ],
    ['nonsense >< "', 'nonsense >< "'],
  ] as const)
    expect(await read('/files/x', 'If', sent, { method: 'PUT' })).toBe(arrived)
  expect(await refusalOf('/files/x', 'If: </files/a> (["e"]) <http://other.test/> (["e"])')).toBe(
    '403 target_not_allowed',
  )
})

describe('Location, Content-Location and the targets of Link', () => {
  test('name the upstream to the upstream, and this server by the way that the client came', async () => {
    for (const [target, way] of [
      ['/files/x', '/files'],
      ['/u/dav/x', '/u/dav'],
    ] as const) {
      for (const [sent, arrived] of [
        [`${upstream.url}/base/a%2Fb?c=%64#d`, `${way}/a%2Fb?c=%64#d`],
        [`HTTP://${upstream.host}/base/`, `${way}/`],
        [`//${upstream.host}/base`, way],
        ['/base/a', `${way}/a`],
        ['/base?a', `${way}?a`],
      ] as const) {
        expect(await told(target, 'Location', sent)).toBe(arrived)
        expect(await told(target, 'Content-Location', sent)).toBe(arrived)
        const links = (url: string) =>
          `<${url}>; rel="next"; title="a \\"<${sent}>", <${url}>;rel=x`
        expect(await told(target, 'Link', links(sent))).toBe(links(arrived))
      }
    }
    expect(await told('/root/x', 'Location', upstream.url)).toBe('/root')
    expect(await told('/root/x', 'Location', `${upstream.url}/?a`)).toBe('/root/?a')
    expect(await told('/root/x', 'Location', '/a')).toBe('/root/a')
  })

  test('that are relative to what was asked for, and lead no higher, arrive as they were sent', async () => {
    for (const beside of ['a', 'b/../c', '?a', '#a', '', './a?x=/../b']) {
      if (beside !== '') expect(await told('/files/d/x', 'Location', beside)).toBe(beside)
      expect(await told('/files/d/x', 'Link', `<${beside}>; rel=a`)).toBe(`<${beside}>; rel=a`)
    }
    expect(await told('/files/d/x', 'Location', '../a')).toBe('../a')
    expect(await told('/files/x', 'Location', '../a')).toBe(null)
    expect(await told('/files', 'Location', 'a')).toBe(null)
  })

  test('that name the upstream by the scheme of before a front took TLS off lead here, too', async () => {
    expect(await told('/files/x', 'Location', `https://${upstream.host}/base/a`)).toBe('/files/a')
  })

  test('that lie elsewhere do not arrive: who follows one would take the key there', async () => {
    for (const elsewhere of ELSEWHERE) {
      for (const name of ['Location', 'Content-Location', 'Operation-Location'])
        expect(`${elsewhere} ${await told('/files/x', name, elsewhere)}`).toBe(`${elsewhere} null`)
      expect(await told('/files/x', 'Link', `<${elsewhere}>; rel=a`)).toBe(null)
      const beside = `<${elsewhere}>; rel=prev; title="a, <b>",  </base/n>; rel="next",<${elsewhere}>`
      expect(await told('/files/x', 'Link', beside)).toBe('</files/n>; rel="next"')
    }
    for (const broken of ['<', '<a', '"<', '">', '</base/a', `${'<'.repeat(4000)}`, '"\\'])
      expect(await told('/files/x', 'Link', broken)).toBe(null)
    expect(await told('/files/x', 'Refresh', '0; url=https://other.test/')).toBe(null)
  })

  test('arrive where the operator lets them, if their host may be public', async () => {
    for (const name of ['Location', 'Content-Location']) {
      expect(await told('/open/x', name, 'https://other.example/a?b')).toBe(
        'https://other.example/a?b',
      )
      expect(await told('/open/x', name, '//8.8.8.8:8080/a')).toBe('//8.8.8.8:8080/a')
      expect(await told('/open/x', name, `${upstream.url}/base/a`)).toBe('/open/a')
    }
    const links = '<https://docs.example.com/>; rel=help, <http://10.1.2.3/n>; rel=next'
    expect(await told('/open/x', 'Link', links)).toBe('<https://docs.example.com/>; rel=help')
    for (const inside of [
      'http://10.0.0.1/a', 'http://127.0.0.1:9/a', 'http://169.254.169.254/latest/meta-data/', 'http://[::1]/a',
      'http://[fd00::1]/a', 'http://2130706433/a', 'http://vllm:8000/a', 'http://api.internal/a', 'http://x.svc.cluster.local/',
      'http://localhost./a', 'https://u:p@other.example/', `${upstream.url}/other`, '/other', 'file:///etc/passwd',
    ]) // biome-ignore format: a list
      expect(`${inside} ${await told('/open/x', 'Location', inside)}`).toBe(`${inside} null`)
  })
})

const ELSEWHERE = [
  'https://other.test/base/a', 'http://10.0.0.7:8000/v1/x', 'http://127.0.0.1/base/a', 'http://u@127.0.0.1/base/a', '/other',
  '/base/../a', '/base/%2e%2e/a', '/basement', '/', '//other.test/base/a', '../a', 'urn:x:/base/a', 'javascript:alert(1)',
  '\\\\other.test\\a', '/\\other.test/a',
] // biome-ignore format: a list

test('a redirect’s own words about where it leads go with its Location', async () => {
  const asked = async (location: string, body: string) => {
    saying = [`Location: ${location}`, 'Content-Type: text/html']
    answering = body
    const answer = await ask('/plain/x', [], { method: 'GET' })
    ;[saying, answering] = [[], null]
    return [answer.status, answer.header('location'), answer.body.toString(), answer.header('content-type')]
  }
  const at = upstream.host
  expect(await asked(`http://${at}/base/a`, `<a href="http://${at}/base/a">`)).toEqual([307, '/plain/a', '', null])
  expect(await asked('http://10.0.0.1/a', 'Redirecting to http://10.0.0.1/a')).toEqual([307, null, '', null])
  expect(await asked('http://10.0.0.1/a', 'Moved.')).toEqual([307, null, 'Moved.', 'text/html'])
  expect(await asked('/base/a', 'See /base/a')).toEqual([307, '/plain/a', 'See /base/a', 'text/html'])
}) // biome-ignore format: lines of a table

test('without the setting, and in an envelope, every URL of a request passes as it was written', async () => {
  const moved = [`http://${HOST}/plain/a`, `${upstream.url}/base/a`, 'a b#c', 'http://other.test/']
  for (const text of moved) {
    expect(await read('/plain/x', 'Destination', text)).toBe(text)
    expect(await read('/plain/x', 'If', `<${text}> (["e"])`)).toBe(`<${text}> (["e"])`)
  }
  expect(await told('/plain/x', 'Location', `${upstream.url}/base/a`)).toBe('/plain/a')

  saying = [`Location: ${upstream.url}/base/a`]
  const headers = { destination: `${upstream.url}/base/b` }
  const answer = await server.call(key, { endpoint: `${upstream.url}/base/x`, headers })
  saying = []
  expect(answer.headers.get('location')).toBe(`${upstream.url}/base/a`)
  expect(fieldOf(upstream.seen.slice(-1), 'Destination')).toBe(`${upstream.url}/base/b`)
})

describe('a credential of the client’s own', () => {
  const own = [
    'Authorization: Basic dXNlcjpwYXNz', 'api-key: theirs', 'X-Goog-Api-Key: theirs-too-0123456789',
  ] // biome-ignore format: a list

  test('reaches an upstream for which the operator has none', async () => {
    const before = upstream.seen.length
    await ask('/plain/x', own)
    const seen = upstream.seen.slice(before)
    expect([fieldOf(seen, 'authorization'), fieldOf(seen, 'api-key'), fieldOf(seen, 'x-goog-api-key')]).toEqual([
      'Basic dXNlcjpwYXNz', 'theirs', 'theirs-too-0123456789',
    ]) // biome-ignore format: two lists
    expect(fieldOf(seen, 'x-api-key')).toBe('')
  })

  test('reaches no upstream that is called on the operator’s account, in whatever way', async () => {
    await ask('/u/secret/x', own)
    const headers = { Authorization: 'Basic dXNlcjpwYXNz', 'X-API-Key': 'theirs' }
    const other = (await issueKey(server, { upstreams: ['secret'] })).key
    await server.admin('PATCH', '/admin/upstreams/secret', { base_url: `${upstream.url}/base/s` })
    await server.call(other, { endpoint: `${upstream.url}/base/s/x`, headers })
    const seen = upstream.seen.slice(-2)
    expect(seen.map(({ target }) => target)).toEqual([
      `/base/x?k=${CREDENTIAL}`,
      `/base/s/x?k=${CREDENTIAL}`,
    ])
    for (const name of ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'])
      expect(fieldOf(seen, name)).toBe('')
  })

  test('stays here if it holds the key, in base64 too', async () => {
    const basic = (text: string) => Buffer.from(text).toString('base64')
    const before = upstream.seen.length
    for (const line of [
      `Authorization: Bearer ${key}`, `Authorization: Basic ${basic(`user:${key}`)}`, `Authorization: Basic ${basic(key)}`,
      `Authorization: Digest username="${key}"`, `api-key: v1.${basic(`{"key":"${key}"}`)}.x`, `x-goog-api-key: ${key}, theirs`,
    ]) // biome-ignore format: a list
      await ask('/plain/x', [line])
    const seen = upstream.seen.slice(before)
    expect(seen.length).toBe(6)
    for (const name of ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'])
      expect(fieldOf(seen, name)).toBe('')
  })
})
