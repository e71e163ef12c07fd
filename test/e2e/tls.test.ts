/** HTTPS of our own: served with the certificate that the files hold, and with a new one as soon as they hold that. */
import { beforeAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { until } from '../support/books.ts'
import { type Authority, createAuthority } from '../support/certificate.ts'
import { runCommand } from '../support/command.ts'
import { addUpstream } from '../support/named-upstream.ts'
import {
  COMMAND,
  issueKey,
  startServer,
  type TestServer,
  temporaryDirectory,
} from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

type Pair = { readonly cert: string; readonly key: string }

let authority: Authority
let first: Pair
let second: Pair
let ca: string

beforeAll(async () => {
  authority = await createAuthority()
  first = await authority.issue('IP:127.0.0.1')
  second = await authority.issue('IP:127.0.0.1')
  ca = await Bun.file(authority.env.NODE_EXTRA_CA_CERTS).text()
}, 20_000)

const directory = temporaryDirectory()
const ENV = { TLS_CERT_FILE: join(directory, 'cert.pem'), TLS_KEY_FILE: join(directory, 'key.pem') }

function write({ cert, key }: Pair): void {
  writeFileSync(ENV.TLS_CERT_FILE, cert)
  writeFileSync(ENV.TLS_KEY_FILE, key)
}

/** The operator comes by the control socket, so that only the clients speak TLS. */
async function start(): Promise<TestServer> {
  const server = await startServer(ENV)
  const unix = join(server.dataDir, 'control.sock')
  return {
    ...server,
    admin: (method, path, body) =>
      fetch(`http://localhost${path}`, {
        unix,
        method,
        ...(body !== undefined && {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      }),
  }
}

/** The certificate that a new connection is shown, as PEM without its line breaks. */
function served({ url }: TestServer): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), ca }, () => {
      resolve(socket.getPeerCertificate().raw.toString('base64'))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

const bare = ({ cert }: Pair) => cert.replaceAll(/-----[^-]+-----|\s/g, '')

async function servesSoon(server: TestServer, pair: Pair): Promise<void> {
  const deadline = performance.now() + 10_000
  while ((await served(server)) !== bare(pair)) {
    if (performance.now() > deadline) throw new Error('another certificate is still served')
    await Bun.sleep(50)
  }
}

test('with a certificate the server speaks HTTPS, and HTTPS only', async () => {
  write(first)
  const server = await start()
  expect(server.url).toStartWith('https://127.0.0.1:')
  const url = `${server.url}/healthz`
  const curl = (...args: string[]) => runCommand(['curl', '-sS', '--max-time', '10', ...args])
  const trusted = await curl('--cacert', authority.env.NODE_EXTRA_CA_CERTS, url)
  expect([trusted.code, JSON.parse(trusted.out)]).toEqual([0, { ok: true }])
  const routes = await curl(
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '--cacert',
    authority.env.NODE_EXTRA_CA_CERTS,
    '-H',
    `Authorization: Bearer ${server.adminToken}`,
    `${server.url}/admin/keys?limit=1`,
  )
  expect(routes.out).toBe('200')
  // Who does not know the authority gets nothing, and neither does who speaks no TLS, or one that is broken.
  expect((await curl(url)).code).toBe(60)
  expect((await curl(url.replace('https:', 'http:'))).code).not.toBe(0)
  expect((await curl('-k', '--tls-max', '1.1', url)).code).toBe(35)
  expect(await server.stop()).toBe(0)
}, 30_000)

test('a renewed certificate is served within seconds; no stream is cut for it, and no connection refused', async () => {
  write(first)
  const server = await start()
  let isOver = false
  const upstream = startUpstream((_, { path }) => {
    if (!path.startsWith('/stream')) return new Response('short')
    return new Response(
      async function* stream() {
        for (let i = 0; !isOver; i++) {
          yield `data: ${i}\n\n`
          await Bun.sleep(100)
        }
        yield 'data: [DONE]\n\n'
      } as unknown as ReadableStream,
      { headers: { 'content-type': 'text/event-stream' } },
    )
  })
  await addUpstream(server, { name: 'api', base_url: upstream.url, meter: { kind: 'none' } })
  const { key } = await issueKey(server, { quota: null })
  const headers = { authorization: `Bearer ${key}` }
  const call = async (path: string, keepalive: boolean) =>
    (await fetch(`${server.url}/u/api${path}`, { headers, keepalive, tls: { ca } })).text()

  const streams = Array.from({ length: 200 }, (_, i) => call(`/stream/${i}`, false))
  await until(() => upstream.seen.length >= 200, 20_000)
  const answers: string[] = []
  // What reaches the old listener in its last instant is reset, as when any server closes a kept connection.
  const again = (error: { code?: string }) =>
    error.code === 'ECONNRESET' ? call('/short', false) : Promise.reject(error)
  const caller = async (keepalive: boolean) => {
    while (!isOver) {
      answers.push(await call('/short', keepalive).catch(again).catch(String))
      await Bun.sleep(1)
    }
  }
  const callers = [true, true, true, false, false].map(caller)
  for (const pair of [second, first, second]) {
    write(pair)
    await servesSoon(server, pair)
    // The connections that were open at the change have calls to carry after it.
    await Bun.sleep(300)
  }
  isOver = true
  await Promise.all(callers)
  const texts = await Promise.all(streams)
  expect(texts.filter((text) => !text.endsWith('data: [DONE]\n\n'))).toEqual([])
  expect(answers.filter((answer) => answer !== 'short')).toEqual([])
  expect(answers.length).toBeGreaterThan(100)
  expect(await server.stop()).toBe(0)
}, 60_000)

test('new files that are no pair change nothing, and the log says why', async () => {
  write(first)
  const server = await start()
  writeFileSync(ENV.TLS_CERT_FILE, second.cert)
  await until(() => server.logs().includes('does not belong to'), 10_000)
  expect(await served(server)).toBe(bare(first))
  writeFileSync(ENV.TLS_CERT_FILE, 'half a certif')
  await until(() => server.logs().includes('holds no certificate'), 10_000)
  expect(await served(server)).toBe(bare(first))
  // A renewal by hand, file after file, ends well.
  write(second)
  await servesSoon(server, second)
  expect(server.logs()).not.toContain(second.key.split('\n')[1] ?? 'no key')
  expect(await server.stop()).toBe(0)
}, 40_000)

test('files that cannot be used prevent the start, with what is wrong with them', async () => {
  const dataDir = temporaryDirectory()
  const said = async (env: Record<string, string>) => {
    const { code, err, out } = await runCommand([...COMMAND, 'serve'], {
      PORT: '0',
      DATA_DIR: dataDir,
      ...ENV,
      ...env,
    })
    expect(`${err}${out}`).not.toContain('PRIVATE')
    return [code, err + out] as const
  }
  write({ cert: first.cert, key: second.key })
  expect(await said({})).toEqual([1, expect.stringContaining('does not belong to')])
  write({ cert: 'no certificate', key: first.key })
  expect(await said({})).toEqual([1, expect.stringContaining('TLS_CERT_FILE holds no certificate')])
  write({ cert: first.cert, key: 'no key' })
  expect(await said({})).toEqual([1, expect.stringContaining('TLS_KEY_FILE holds no private key')])
  const absent = join(directory, 'absent')
  expect(await said({ TLS_KEY_FILE: absent })).toEqual([
    1,
    expect.stringContaining('TLS_KEY_FILE names a file that cannot be read (ENOENT)'),
  ])
  expect(await said({ TLS_KEY_FILE: '' })).toEqual([
    2,
    expect.stringContaining('TLS_KEY_FILE is not'),
  ])
}, 30_000)

/** What a client that offers this and nothing else is given; `(NONE)` if it is refused. */
async function negotiated({ url }: TestServer, ...offer: string[]): Promise<string> {
  const { host } = new URL(url)
  const { out } = await runCommand(
    ['openssl', 's_client', '-connect', host, ...offer],
    {},
    directory,
    '',
  )
  return /Cipher is (\S+)/.exec(out)?.[1] ?? 'no answer'
}

test('over TLS 1.2 only suites with forward secrecy and authenticated encryption are spoken, whatever the key is', async () => {
  const rsa = join(directory, 'rsa')
  const make = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=leaf']
  expect((await runCommand([...make, '-keyout', `${rsa}.key`, '-out', `${rsa}.pem`])).code).toBe(0)
  const read = (file: string) => Bun.file(file).text()
  const pairs = {
    ECDSA: first,
    RSA: { cert: await read(`${rsa}.pem`), key: await read(`${rsa}.key`) },
  }
  for (const [kind, pair] of Object.entries(pairs)) {
    write(pair)
    const server = await start()
    const offer = (suite: string) =>
      negotiated(server, '-tls1_2', '-cipher', `${suite}:@SECLEVEL=0`)
    for (const end of ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305']) {
      expect(await offer(`ECDHE-${kind}-${end}`)).toBe(`ECDHE-${kind}-${end}`)
    }
    // All else that a client could offer: CBC with and without forward secrecy, and no forward secrecy.
    expect(await offer('ALL:!AESGCM:!CHACHA20:!AESCCM')).toBe('(NONE)')
    expect(await offer('kRSA')).toBe('(NONE)')
    expect(await negotiated(server, '-tls1_3')).toStartWith('TLS_')
    expect(await server.stop()).toBe(0)
  }
  // A renewed certificate is served no other way.
  write(first)
  const server = await start()
  write(second)
  await servesSoon(server, second)
  expect(await negotiated(server, '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA')).toBe('(NONE)')
  expect(await server.stop()).toBe(0)
}, 60_000)

test('every answer over TLS, ours or an upstream’s, tells browsers to come by HTTPS only; none over HTTP does', async () => {
  write(first)
  const theirs = 'max-age=1; includeSubDomains'
  const upstream = startUpstream(() =>
    Response.json({}, { headers: { 'strict-transport-security': theirs } }),
  )
  const secure = await start()
  const plain = await startServer({})
  for (const [server, expected] of [
    [secure, 'max-age=31536000'],
    [plain, null],
  ] as const) {
    await addUpstream(server, { name: 'api', base_url: upstream.url, meter: { kind: 'none' } })
    const { key } = await issueKey(server, { quota: 1 })
    const headers = { authorization: `Bearer ${key}` }
    const said: (string | number | null)[][] = []
    for (const path of [
      '/healthz',
      '/swagger',
      '/nowhere',
      '/admin/keys',
      '/u/api/a',
      '/u/api/b',
    ]) {
      const answer = await fetch(server.url + path, { headers, tls: { ca } })
      said.push([path, answer.status, answer.headers.get('strict-transport-security')])
    }
    expect(said).toEqual([
      ['/healthz', 200, expected],
      ['/swagger', 200, expected],
      ['/nowhere', 404, expected],
      ['/admin/keys', 401, expected],
      ['/u/api/a', 200, expected],
      ['/u/api/b', 429, expected],
    ])
    expect(await server.stop()).toBe(0)
  }
}, 30_000)
