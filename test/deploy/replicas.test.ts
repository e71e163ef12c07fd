/**
 * Several replicas behind one Caddy, with the files that deploy/ ships: replicas.caddy in the Caddyfile, as docs/scaling.md
 * and compose.postgres.yaml put it there. The replicas are servers of this test, which write down what reaches them. Needs
 * the Debian package `caddy`; without it these tests are skipped, but never in CI.
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { until } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { runCommand } from '../support/command.ts'
import { type Front, startFront } from '../support/front.ts'
import { ROOT, readDocument } from '../support/markdown.ts'
import { closeWithRun, temporaryDirectory } from '../support/server.ts'

const PATH = `${process.env['PATH']}:/usr/sbin`
const isRun = Bun.which('caddy', { PATH }) !== null || process.env['CI'] !== undefined
const CADDY = join(ROOT, 'deploy/caddy')

/** Longer than two probes of deploy/caddy/replicas.caddy. */
const NOTICED_MS = 2_500
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE']

setDefaultTimeout(60_000)

describe.skipIf(!isRun)(
  `Caddy in front of three replicas${isRun ? '' : ' (install the Debian package caddy)'}`,
  () => {
    let replicas: readonly Replica[]
    let front: Front
    let ca: string

    beforeAll(async () => {
      replicas = await Promise.all(['one', 'two', 'three'].map((name) => startReplica(name)))
      const directory = temporaryDirectory()
      const authority = await createAuthority()
      const { cert, key } = await authority.issue('DNS:localhost')
      ca = readFileSync(authority.env.NODE_EXTRA_CA_CERTS, 'utf8')
      const certificate = {
        certFile: join(directory, 'cert.pem'),
        keyFile: join(directory, 'key.pem'),
      }
      await Bun.write(certificate.certFile, cert)
      await Bun.write(certificate.keyFile, key)
      const targets = replicas.map(({ url }) => url)
      front = await startFront(targets, 'caddy', certificate, (shipped) =>
        shipped.replace('{$REPLICAS}', `import ${CADDY}/replicas.caddy`),
      )
      await until(() => replicas.every(({ probes }) => probes > 0))
    })

    async function call(path: string, init: RequestInit = {}) {
      const response = await fetch(`${front.url}${path}`, { ...init, tls: { ca } })
      return { status: response.status, body: await response.text() }
    }

    /** How often each replica was sent this. */
    const counts = (line: string) =>
      replicas.map(({ seen }) => seen.filter((one) => one === line).length)

    async function servedBy(name: string): Promise<void> {
      const deadline = performance.now() + 4 * NOTICED_MS
      while ((await call('/')).body !== name)
        if (performance.now() > deadline) throw new Error(`${name} gets no calls`)
    }

    test('calls of one client are spread over all of them', async () => {
      const headers = { cookie: 'a=b', authorization: 'Bearer one' }
      for (let i = 0; i < 30; i++) expect((await call('/spread', { headers })).status).toBe(200)
      // Ten each, unless a busy machine was late with a probe.
      for (const count of counts('GET /spread')) expect(count).toBeGreaterThan(4)
    })

    test('one that is not ready gets no call until it is', async () => {
      const [, two] = replicas as [Replica, Replica, Replica]
      two.ready = false
      await Bun.sleep(NOTICED_MS)
      for (let i = 0; i < 12; i++) expect((await call('/ready')).status).toBe(200)
      const [one = 0, none, three = 0] = counts('GET /ready')
      expect([one + three, none]).toEqual([12, 0])
      two.ready = true
      await servedBy('two')
    })

    test('one that is gone costs no call: what cannot connect goes to the next one', async () => {
      const [, , three] = replicas as [Replica, Replica, Replica]
      await three.close()
      const calls = Array.from({ length: 60 }, () => call('/gone', { method: 'DELETE' }))
      const answers = await Promise.all(calls)
      expect(answers.map(({ status }) => status)).toEqual(calls.map(() => 200))
      const [first = 0, second = 0, gone] = counts('DELETE /gone')
      expect([first + second, gone]).toEqual([60, 0])
      await three.open()
      await servedBy('three')
    })

    test('a call whose connection breaks off without an answer is not sent again, whatever its method', async () => {
      for (const method of METHODS) {
        const { status } = await call('/broken', { method })
        const sent = counts(`${method} /broken`).reduce((sum, count) => sum + count)
        expect([method, status, sent]).toEqual([method, 502, 1])
      }
      // And what one holder breaks off takes no replica from the others.
      for (let i = 0; i < 12; i++) expect((await call('/after')).status).toBe(200)
      for (const count of counts('GET /after')) expect(count).toBeGreaterThan(1)
    })

    test('a stream arrives as it is made', async () => {
      const response = await fetch(`${front.url}/stream`, { tls: { ca } })
      const reader = response.body?.getReader()
      for (const event of ['data: one\n\n', 'data: two\n\n']) {
        const writers = replicas.flatMap(({ streams }) => streams)
        writers[0]?.write(event)
        const part = await reader?.read()
        expect(new TextDecoder().decode(part?.value)).toBe(event)
      }
      await reader?.cancel()
    })

    test('the operator’s routes are closed, as in front of one server', async () => {
      expect((await call('/admin/keys')).status).toBe(403)
      expect(counts('GET /admin/keys')).toEqual([0, 0, 0])
    })

    test('what compose sets and what docs/scaling.md types in is one configuration', async () => {
      const compose = Bun.YAML.parse(await readDocument('deploy/compose.postgres.yaml')) as Compose
      const { REPLICAS = '', QUOTA_PROXY } = compose.services.caddy.environment
      const names = Object.keys(compose.services).filter((name) => name.startsWith('quota-proxy'))
      expect(QUOTA_PROXY?.split(' ')).toEqual(names.map((name) => `${name}:8787`))

      const [typed = ''] = /^sed -e [^|]*/m.exec(await readDocument('docs/scaling.md')) ?? []
      const { out, code } = await runCommand(['sh', '-c', typed], { PATH }, ROOT)
      expect(code).toBe(0)
      const ports = '127.0.0.1:8787 127.0.0.1:8788 127.0.0.1:8789'
      const shipped = await readDocument('deploy/caddy/Caddyfile')
      const env = { DOMAIN: 'api.example.org', REPLICAS, QUOTA_PROXY: ports }
      expect(await adapt(out)).toBe(await adapt(shipped, env))
      expect(await adapt(out)).toContain('"uri":"/readyz"')
      // Without them it is what it is in front of one server.
      const one = await adapt(shipped, { DOMAIN: 'api.example.org' })
      expect(one).toContain('"dial":"127.0.0.1:8787"')
      expect(one).not.toContain('health_checks')
    })
  },
)

type Compose = { readonly services: Record<string, unknown> & { readonly caddy: Service } }
type Service = { readonly environment: Readonly<Record<string, string>> }

/** What Caddy makes of a file. */
async function adapt(text: string, env: Record<string, string> = {}): Promise<string> {
  const directory = temporaryDirectory()
  const file = join(directory, 'Caddyfile')
  await Bun.write(file, text)
  await Bun.write(join(directory, 'replicas.caddy'), Bun.file(join(CADDY, 'replicas.caddy')))
  const command = ['caddy', 'adapt', '--adapter', 'caddyfile', '--config', file]
  const { code, out, err } = await runCommand(command, { PATH, ...env }, directory)
  if (code !== 0) throw new Error(err)
  return out
}

type Replica = {
  readonly url: string
  /** Method and path of each request but the probes, and the length of a body. */
  readonly seen: string[]
  readonly streams: ServerResponse[]
  probes: number
  ready: boolean
  close(): Promise<void>
  /** At the same port as before. */
  open(): Promise<void>
}

async function startReplica(name: string): Promise<Replica> {
  let server: Server
  let port = 0
  const replica: Replica = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    seen: [],
    streams: [],
    probes: 0,
    ready: true,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
    open: () =>
      new Promise((resolve) => {
        server = createServer((request, response) => {
          answer(request, response, name, replica).catch(() => response.destroy())
        })
        server.listen(port, '127.0.0.1', () => {
          port = (server.address() as AddressInfo).port
          resolve()
        })
      }),
  }
  closeWithRun(replica.close)
  await replica.open()
  return replica
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  replica: Replica,
): Promise<void> {
  if (request.url === '/readyz') {
    replica.probes++
    response.writeHead(replica.ready ? 200 : 503).end()
    return
  }
  // A client may leave.
  request.on('error', () => {})
  let length = 0
  for await (const part of request) length += (part as Buffer).length
  replica.seen.push(`${request.method} ${request.url}${length > 0 ? ` ${length}` : ''}`)
  if (request.url === '/broken') request.socket.destroy()
  else if (request.url === '/stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    replica.streams.push(response)
  } else response.end(name)
}
