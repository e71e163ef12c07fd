/**
 * Names that lie: a name server that changes its answer, redirects that lead inwards, and endpoints that only look like
 * an upstream's. The judges are the sockets: what was connected to, and what it was told.
 */
import { describe, expect, test } from 'bun:test'
import { parseEgressAllow } from '../../src/domain/egress.ts'
import { generateKey, hashKey } from '../../src/domain/key/secret.ts'
import type { Upstream } from '../../src/domain/upstream.ts'
import { defaultSettings } from '../../src/domain/upstream.ts'
import { createRegistry } from '../../src/modules/upstreams/registry.ts'
import { createHandle } from '../../src/proxy/handle.ts'
import { createInFlight } from '../../src/proxy/in-flight.ts'
import { createKeyMemory } from '../../src/proxy/key-memory.ts'
import type { ResolveOptions } from '../../src/proxy/resolve.ts'
import { createBreakers } from '../../src/proxy/send/breakers.ts'
import { createEgressGuard } from '../../src/proxy/send/egress.ts'
import { createLeaving } from '../../src/proxy/send/leaving.ts'
import { type NameServer, startNameServer } from '../support/dns.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { addKey, openTestStore, used } from '../support/store.ts'
import { startUpstream } from '../support/upstream.ts'

/** A public address, which no test connects to. */
const PUBLIC = '93.184.215.14'
/** How long the guard keeps what it has found. */
const KEPT_MS = 10_000

type Sentinel = { readonly hosts: string[]; stop(): void }

/** Counts what reaches one address of this machine. */
function listen(hostname: string, port: number): Sentinel & { readonly port: number } {
  const hosts: string[] = []
  const server = Bun.serve({
    hostname,
    port,
    fetch(request) {
      hosts.push(request.headers.get('host') ?? '')
      return Response.json({ headers: Object.fromEntries(request.headers) })
    },
  })
  return { hosts, port: server.port ?? 0, stop: () => void server.stop(true) }
}

/** One port at two addresses: what is free at one may be taken at the other by somebody else. */
function listenTwice(one: string, other: string): [Sentinel & { readonly port: number }, Sentinel] {
  for (let tries = 1; ; tries++) {
    const first = listen(one, 0)
    try {
      return [first, listen(other, first.port)]
    } catch (error) {
      first.stop()
      if (tries === 20) throw error
    }
  }
}

/** The data path with a resolver that asks the test's own name server. */
async function startPath(
  names: NameServer,
  allow: string,
  upstreams: readonly Upstream[] = [],
): Promise<{
  call(endpoint: string): Promise<Response>
  used(): Promise<number>
  wait(ms: number): void
}> {
  const list = parseEgressAllow(allow)
  if (!list.ok) throw new Error(list.problem)
  const store = await openTestStore('SQLite in memory')
  const key = generateKey('trial_')
  const own = await addKey(store, [{ amount: 100 }], 0, { hash: hashKey(key) })
  let at = 0
  const rules: ResolveOptions = {
    guard: createEgressGuard({
      mode: 'public',
      allow: list.entries,
      resolve: names.resolve,
      now: () => at,
    }),
    chargeOn: 'answer',
    bodyBytesMax: 1_000_000,
    timeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    upstreams: await createRegistry({ list: async () => [...upstreams] }, null),
  }
  const leaving = createLeaving()
  const handle = createHandle({
    keys: createKeyMemory(store.find),
    ledger: store.ledger,
    inFlight: createInFlight(() => ({ callsMax: 100, bufferBytesMax: 1_000_000 }), leaving),
    clock: () => 0,
    rules: () => rules,
    breakers: createBreakers(() => {}),
    openSockets: { add: () => () => {} },
    leaving,
    onCredentialRejected: () => {},
    onUnknownUsage: () => {},
    report: () => {},
    tracer: null,
  })
  return {
    async call(endpoint) {
      const request = new Request('http://localhost/proxy', {
        method: 'POST',
        headers: { 'x-api-key': key },
        body: JSON.stringify({ endpoint }),
      })
      const sender = { ip: '127.0.0.1', requestId: 'req_1' }
      const response = await handle(
        { request, fields: request.headers.toJSON(), ingress: { kind: 'envelope' } },
        sender,
        () => false,
      )
      if (!response) throw new Error('no answer')
      return response
    },
    used: async () => (await used(store, own, 0))[0] ?? -1,
    wait(ms) {
      at += ms
    },
  }
}

async function codeOf(response: Response): Promise<string> {
  const text = await response.text()
  const code = /"code":"(\w+)"/.exec(text)?.[1]
  return `${response.status} ${code ?? 'answered'}`
}

const REFUSED = '403 target_not_allowed'

describe('a name that changes its answer', () => {
  test('is connected to at the address that was checked, and asked again only when that is old', async () => {
    const answers = [['127.0.0.2'], ['127.0.0.1']]
    const names = await startNameServer(() => answers.shift() ?? ['127.0.0.1'])
    const [first, second] = listenTwice('127.0.0.2', '127.0.0.1')
    try {
      const name = `moving.test:${first.port}`
      const path = await startPath(names, name)
      for (let n = 0; n < 3; n++) {
        expect((await path.call(`http://${name}/`)).status).toBe(200)
        path.wait(KEPT_MS / 4)
      }
      expect(first.hosts).toEqual([name, name, name])
      expect(second.hosts).toEqual([])
      // One question for each kind of address, and none by whoever connects.
      expect(names.asked).toEqual(['A moving.test', 'AAAA moving.test'])

      path.wait(KEPT_MS)
      expect((await path.call(`http://${name}/`)).status).toBe(200)
      expect([first.hosts.length, second.hosts.length]).toEqual([3, 1])
    } finally {
      first.stop()
      second.stop()
    }
  })

  test.each([
    ['private from the beginning', ['127.0.0.1']],
    ['private beside a public one', [PUBLIC, '127.0.0.1']],
    ['private in IPv6', ['::1']],
    ['private in IPv6 beside a public one', [PUBLIC, '::1']],
    ['an IPv4 address written as IPv6', ['::ffff:127.0.0.1']],
    ['metadata', ['169.254.169.254']],
    ['unspecified', ['0.0.0.0']],
    ['nothing', []],
  ])('is refused and costs nothing if it is %s', async (_, addresses) => {
    const names = await startNameServer(() => addresses)
    const sentinel = listen('127.0.0.1', 0)
    try {
      const path = await startPath(names, '')
      expect(await codeOf(await path.call(`http://inner.test:${sentinel.port}/`))).toBe(REFUSED)
      expect(sentinel.hosts).toEqual([])
      expect(names.asked.length).toBeGreaterThan(0)
      expect(await path.used()).toBe(0)
    } finally {
      sentinel.stop()
    }
  })

  test('that was public at first is refused once it is private', async () => {
    const answers = [[PUBLIC], ['127.0.0.1']]
    const names = await startNameServer(() => answers.shift() ?? ['127.0.0.1'])
    const sentinel = listen('127.0.0.1', 0)
    try {
      let at = 0
      const { resolve } = names
      const guard = createEgressGuard({ mode: 'public', allow: [], resolve, now: () => at })
      const url = new URL(`http://rebound.test:${sentinel.port}/`)
      // Only asked, not called: nothing here may connect to a public address.
      for (let n = 0; n < 3; n++)
        expect(await guard.check(url)).toMatchObject({ destination: { address: PUBLIC } })
      at += KEPT_MS
      expect(await guard.check(url)).toMatchObject({ ok: false, reason: 'address' })
      expect(answers).toEqual([])
      expect(sentinel.hosts).toEqual([])
    } finally {
      sentinel.stop()
    }
  })
})

test('an upstream may be private, since the operator has named it; nothing else at its name may', async () => {
  const names = await startNameServer(() => ['127.0.0.2'])
  const inner = listen('127.0.0.2', 0)
  const other = listen('127.0.0.2', 0)
  try {
    const named: Upstream = {
      name: 'inner',
      baseUrl: new URL(`http://inner.test:${inner.port}/api`),
      mount: null,
      enabled: true,
      secret: CREDENTIAL,
      settings: defaultSettings({ in: 'header', name: 'authorization', template: '{secret}' }),
      prices: null,
      revision: null,
      createdAt: 0,
      updatedAt: 0,
    }
    const path = await startPath(names, '', [named])
    const told = await (await path.call(`http://inner.test:${inner.port}/api/x`)).text()
    // The credential went there: the upstream says what it was sent.
    expect(told).toContain(CREDENTIAL)
    for (const endpoint of [
      `http://inner.test:${other.port}/api/x`,
      `http://inner.test:${inner.port}/other`,
      `http://inner.test:${inner.port}/apis`,
      `http://other.test:${inner.port}/api/x`,
      `https://inner.test:${inner.port}/api/x`,
    ])
      expect([endpoint, await codeOf(await path.call(endpoint))]).toEqual([endpoint, REFUSED])
    expect([inner.hosts.length, other.hosts.length]).toEqual([1, 0])
  } finally {
    inner.stop()
    other.stop()
  }
})

describe('a redirect', () => {
  const sentinel = startUpstream()
  const targets = [
    `${sentinel.url}/inner`,
    'http://169.254.169.254/latest/meta-data/',
    'file:///etc/passwd',
  ]
  const upstream = startUpstream((_, { path }) => {
    const [status, target] = path.split('/').slice(-2).map(Number)
    return new Response('moved', {
      status: status ?? 0,
      headers: { location: targets[target ?? 0] ?? '' },
    })
  })

  test('is passed on as it is and never followed, whichever way the call came in', async () => {
    const server = await startServer({ PROXY_EGRESS_ALLOW: '127.0.0.1' })
    await addUpstream(server, {
      ...{ name: 'api', base_url: `${upstream.url}/base`, mount: '/v1' },
      credential: { secret: CREDENTIAL },
    })
    const { key } = await issueKey(server)
    const call = (path: string) => {
      const endpoint = `${upstream.url}${path}`
      return server.call(key, { endpoint }, { redirect: 'manual' })
    }
    for (const status of [301, 302, 303, 307, 308]) {
      for (const [index, target] of targets.entries()) {
        const path = `/${status}/${index}`
        const headers = { authorization: `Bearer ${key}` }
        const answers = [
          await fetch(`${server.url}/v1${path}`, { headers, redirect: 'manual' }),
          await fetch(`${server.url}/u/api${path}`, {
            headers,
            redirect: 'manual',
            method: 'POST',
          }),
          await call(`/base${path}`),
          await call(`/elsewhere${path}`),
        ]
        for (const [i, answer] of answers.entries()) {
          expect([answer.status, answer.headers.get('location')]).toEqual([status, null])
          // Only a client that names addresses itself is told of one, and never of a private one.
          const shown = answer.headers.get('x-upstream-location')
          expect(shown).toBe(i >= 2 && index === 2 ? target : null)
          expect(await answer.text()).toBe('moved')
        }
      }
    }
    expect(upstream.seen).toHaveLength(5 * targets.length * 4)
    expect(sentinel.seen).toEqual([])
  })
})

describe('an endpoint that only looks like an upstream’s', () => {
  const near = startUpstream()
  const upstream = startUpstream()
  const port = upstream.host.split(':')[1]
  const other = near.host.split(':')[1]

  /** The base URL is `http://localhost:{port}/base`. */
  const LOOKALIKES = [
    `http://localhost:${other}/base/x`,
    `http://localhost/base/x`,
    `https://localhost:${port}/base/x`,
    `http://localhost..:${port}/base/x`,
    `http://127.0.0.1:${port}/base/x`,
    `http://[::1]:${port}/base/x`,
    `http://[::ffff:127.0.0.1]:${port}/base/x`,
    `http://2130706433:${port}/base/x`,
    `http://user@localhost:${port}/base/x`,
    `http://user:pass@localhost:${port}/base/x`,
    `http://@localhost:${port}/base/x`,
    `http://localhost:${port}@127.0.0.1:${other}/base/x`,
    `http://127.0.0.1:${other}#@localhost:${port}/base/x`,
    `http://127.0.0.1:${other}?@localhost:${port}/base/x`,
    `http://127.0.0.1:${other}/http://localhost:${port}/base/x`,
    `http://localhost:${port}\\@127.0.0.1:${other}/base/x`,
    `http://sub.localhost:${port}/base/x`,
    `http://localhost.localdomain:${port}/base/x`,
    // Cyrillic letters that look like Latin ones.
    `http://l\u043ecalh\u043est:${port}/base/x`,
    `http://xn--lcalhst-5ufd:${port}/base/x`,
    `http://localhost:${port}/bases`,
    `http://localhost:${port}/BASE/x`,
    `http://localhost:${port}/base/../x`,
    `http://localhost:${port}/base/%2e%2e/x`,
    `http://localhost:${port}/base/..%2fx`,
    `http://localhost:${port}/x/base`,
    `http://localhost:${port}//base/x`,
  ]

  /** Other spellings of the very same URL. */
  const SAME = [
    `http://localhost:${port}/base/x`,
    `HTTP://LOCALHOST:${port}/base/x`,
    `http://LocalHost:0${port}/base/x`,
    // The same name to DNS; the dot is taken away before anything is decided.
    `http://localhost.:${port}/base/x`,
    `http://\u24dbocalhost:${port}/base/x`,
    `http://loc%61lhost:${port}/%62ase/x`,
    `http://localhost:${port}/./base/a/../x`,
  ]

  async function start(env: Record<string, string>): Promise<{ server: TestServer; key: string }> {
    const server = await startServer(env)
    await addUpstream(server, {
      ...{ name: 'api', base_url: `http://localhost:${port}/base` },
      credential: { secret: CREDENTIAL },
    })
    return { server, key: (await issueKey(server)).key }
  }

  test('has none of its privileges: it is refused like any private target', async () => {
    const before = near.seen.length + upstream.seen.length
    const { server, key } = await start({})
    for (const endpoint of LOOKALIKES) {
      const told = await codeOf(await server.call(key, { endpoint }))
      expect([endpoint, told]).toEqual([endpoint, REFUSED])
    }
    expect(near.seen.length + upstream.seen.length).toBe(before)
  })

  test('gets none of its credential where such targets are allowed', async () => {
    const before = [near.seen.length, upstream.seen.length] as const
    const { server, key } = await start({
      PROXY_EGRESS_ALLOW: 'localhost,127.0.0.1,[::1],[::ffff:127.0.0.1],sub.localhost',
    })
    for (const endpoint of LOOKALIKES) {
      const answer = await server.call(key, { endpoint, timeout_ms: 2_000 })
      expect([endpoint, (await answer.text()).includes(CREDENTIAL)]).toEqual([endpoint, false])
    }
    const reached = [...near.seen.slice(before[0]), ...upstream.seen.slice(before[1])]
    expect(reached.length).toBeGreaterThan(5)
    expect(JSON.stringify(reached.map(({ path, headers }) => [path, ...headers]))).not.toContain(
      CREDENTIAL,
    )
  })

  test('and one that is the same, spelled in another way, is the upstream’s', async () => {
    const { server, key } = await start({})
    for (const endpoint of SAME) {
      const answer = await server.call(key, { endpoint })
      const { headers, path } = (await answer.json()) as {
        headers: Record<string, string>
        path: string
      }
      expect([
        endpoint,
        headers['authorization'],
        headers['host'],
        decodeURIComponent(path),
      ]).toEqual([endpoint, `Bearer ${CREDENTIAL}`, `localhost:${port}`, '/base/x'])
    }
  })
})
