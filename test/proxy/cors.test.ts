/** Pages of other origins: what a browser is told, and that nobody is told anything unless the operator says so. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { entries, settled, usedOf } from '../support/books.ts'
import { failStore } from '../support/failing-store.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const PAGE = 'https://app.example.com'
const OTHER = 'https://other.example.com'

let server: TestServer
let upstream: Upstream
beforeAll(async () => {
  // It says things of its own to browsers, which must not count.
  upstream = startUpstream(
    () =>
      new Response('answer', {
        headers: {
          'access-control-allow-origin': OTHER,
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'X-Secret',
          vary: 'Accept',
        },
      }),
  )
  server = await startServer()
  await add(server, 'closed', {})
  await add(server, 'page', { cors_origins: [PAGE, 'http://localhost:3000'] })
  await add(server, 'app', { cors_origins: APPS })
  await add(server, 'any', { cors_origins: ['*'] })
})

function add(to: TestServer, name: string, fields: Record<string, unknown>): Promise<void> {
  const credential = { secret: CREDENTIAL }
  return addUpstream(to, { name, base_url: upstream.url, mount: `/${name}`, credential, ...fields })
}

/** A request as a browser sends it for a page. */
function send(path: string, origin: string | null, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  if (origin !== null) headers.set('origin', origin)
  return fetch(server.url + path, { ...init, headers })
}

function ask(path: string, origin: string | null, at = server): Promise<Response> {
  return fetch(at.url + path, {
    method: 'OPTIONS',
    headers: {
      ...(origin !== null && { origin }),
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,x-stainless-os',
    },
  })
}

/** What of an answer is for the browser. */
function said({ headers }: Response): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')))
}

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })

const APPS = ['app://obsidian.md', 'tauri://localhost', 'safari-web-extension://8C22564E-1A2B']

const EXPOSED =
  'Retry-After, Via, X-Request-Id, X-Upstream-Request-Id, X-Should-Retry, RateLimit, RateLimit-Policy, X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens, X-Quota-Limit, X-Quota-Remaining, X-Quota-Reset, X-Quota-Cost, X-Quota-Charge-Id, X-Quota-Error, Retry-After-Ms, Request-Id'

describe('unless the operator names an origin', () => {
  test('no answer says anything to browsers, not even what the upstream has said', async () => {
    const { key } = await issueKey(server)
    for (const path of ['/closed/x', '/u/closed/x', '/page/x', '/u/page/x']) {
      const answer = await send(path, OTHER, bearer(key))
      expect(await answer.text()).toBe('answer')
      expect(said(answer)).toEqual({})
    }
    expect(said(await send('/closed/x', null, bearer(key)))).toEqual({})
  })

  test('a preflight is a call like any other: it needs a key, is charged and reaches the upstream', async () => {
    const before = upstream.seen.length
    for (const [path, origin] of [
      ['/closed/x', PAGE],
      ['/page/x', OTHER],
      ['/page/x', `${PAGE}.evil.example`],
      ['/page/x', 'http://app.example.com'],
      ['/page/x', 'null'],
      ['/any/x', null],
    ] as const) {
      const refused = await ask(path, origin)
      expect([path, origin, refused.status, said(refused)]).toEqual([path, origin, 401, {}])
    }
    expect(upstream.seen).toHaveLength(before)

    const { key, id } = await issueKey(server)
    const passed = await send('/closed/x', PAGE, {
      method: 'OPTIONS',
      headers: { ...bearer(key).headers, 'access-control-request-method': 'POST' },
    })
    expect([passed.status, said(passed)]).toEqual([200, {}])
    expect(upstream.seen.at(-1)?.method).toBe('OPTIONS')
    expect(await usedOf(server, id)).toBe(1)
  })

  test('the envelope, the admin API and the holder’s own routes are for no page', async () => {
    const { key } = await issueKey(server)
    for (const path of ['/proxy', '/admin/keys', '/me', '/healthz', '/u/nobody/x']) {
      expect([path, said(await ask(path, PAGE))]).toEqual([path, {}])
      expect([path, said(await send(path, PAGE, bearer(key)))]).toEqual([path, {}])
    }
  })
})

describe('a page that may call', () => {
  test('is answered its preflight without a key, without a charge and without the upstream', async () => {
    await settled(server)
    const [seen, calls] = [upstream.seen.length, (await entries(server)).length]
    for (const path of ['/page/x', '/u/page/x', '/page', '/any/x']) {
      const answer = await ask(path, PAGE)
      expect([path, answer.status, await answer.text(), said(answer)]).toEqual([
        path,
        204,
        '',
        {
          'access-control-allow-origin': PAGE,
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'authorization,content-type,x-stainless-os',
          'access-control-expose-headers': EXPOSED,
          'access-control-max-age': '7200',
        },
      ])
      expect(answer.headers.get('vary')).toBe('Origin')
    }
    expect([upstream.seen.length, (await entries(server)).length]).toEqual([seen, calls])
  })

  test('may read the answer, its quota and its name; cookies and credentials are never allowed', async () => {
    const limits = [{ unit: 'tokens', amount: 9_000, window: 'day' }]
    const { key } = await issueKey(server, { quota: 10, window: 'day', limits })
    const answer = await send('/page/x', PAGE, bearer(key))
    expect(await answer.text()).toBe('answer')
    expect(said(answer)).toEqual({
      'access-control-allow-origin': PAGE,
      'access-control-expose-headers': EXPOSED,
    })
    expect(answer.headers.get('vary')).toBe('Accept, Origin')
    const exposed = EXPOSED.toLowerCase().split(', ')
    const quota = [...answer.headers.keys()].filter((name) =>
      /quota|ratelimit|request-id/.test(name),
    )
    expect(quota.length).toBeGreaterThan(8)
    expect(quota.filter((name) => !exposed.includes(name))).toEqual([])
  })

  test('may be an app with a scheme of its own', async () => {
    for (const origin of APPS)
      expect(said(await ask('/app/x', origin))['access-control-allow-origin']).toBe(origin)
    for (const other of [
      PAGE,
      'app://other.md',
      'tauri://localhost:1',
      'safari-web-extension://8c22564e-1a2b',
      'null',
    ])
      expect(said(await ask('/app/x', other))).toEqual({})
  })

  test('by a list is the one that asks, by * is every one', async () => {
    const { key } = await issueKey(server)
    const allowed = async (path: string, origin: string) =>
      said(await send(path, origin, bearer(key)))['access-control-allow-origin']
    expect(await allowed('/page/x', 'http://localhost:3000')).toBe('http://localhost:3000')
    for (const origin of [PAGE, OTHER, 'http://127.0.0.1:5173', 'null'])
      expect(await allowed('/any/x', origin)).toBe(origin)
  })

  test('may read why it was refused', async () => {
    const used = await issueKey(server, { quota: 0 })
    const told: string[] = []
    for (const init of [{}, bearer('trial_nobody'), bearer(used.key)]) {
      const answer = await send('/page/x', PAGE, init)
      expect(said(answer)['access-control-allow-origin']).toBe(PAGE)
      const { error } = (await answer.json()) as { error: { code: string } }
      told.push(`${answer.status} ${error.code}`)
    }
    expect(told).toEqual(['401 missing_api_key', '401 invalid_api_key', '429 insufficient_quota'])
  })

  test('may read that the upstream failed, and that the database fails', async () => {
    const other = await startServer()
    await addUpstream(other, { name: 'down', base_url: 'http://127.0.0.1:1', cors_origins: [PAGE] })
    const { key } = await issueKey(other)
    const told = async () => {
      const init = { headers: { ...bearer(key).headers, origin: PAGE } }
      const answer = await fetch(`${other.url}/u/down/x`, init)
      const { error } = (await answer.json()) as { error: { code: string } }
      return `${answer.status} ${error.code} ${answer.headers.get('access-control-allow-origin')}`
    }
    expect(await told()).toBe(`502 upstream_error ${PAGE}`)
    const heal = await failStore(other)
    try {
      expect(await told()).toBe(`503 storage_unavailable ${PAGE}`)
    } finally {
      await heal()
    }
  }, 20_000)
})
