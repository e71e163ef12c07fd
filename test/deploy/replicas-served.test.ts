/**
 * Three replicas on a real PostgreSQL behind a real Caddy, with the settings that deploy/compose.postgres.yaml gives them. No
 * container engine can be had here: what Compose itself does with the file is not tested. Needs the Debian package `caddy`;
 * without it this is skipped, but never in CI.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { OPTIONS } from '../../src/config/options.ts'
import { createAuthority } from '../support/certificate.ts'
import { type Front, startFront } from '../support/front.ts'
import { ROOT, readDocument } from '../support/markdown.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { newDatabase } from '../support/postgres.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'

const PATH = `${process.env['PATH']}:/usr/sbin`
const SECRET_KEY = randomBytes(32).toString('base64')
const isRun = Bun.which('caddy', { PATH }) !== null || process.env['CI'] !== undefined

setDefaultTimeout(120_000)

type Service = {
  readonly environment: Readonly<Record<string, string>>
  readonly volumes: readonly string[]
  readonly stop_grace_period: string
}

const compose = Bun.YAML.parse(await readDocument('deploy/compose.postgres.yaml')) as {
  readonly services: Readonly<Record<string, Service>>
}
const services = Object.entries(compose.services).filter(([name]) => /^quota-proxy-\d$/.test(name))

/** What Compose would put in place of its variables, and what is elsewhere on this machine. */
function settingsOf({ environment }: Service, database: string): Record<string, string> {
  const secrets: Record<string, string> = {
    POSTGRES_PASSWORD: '0'.repeat(64),
    ADMIN_TOKEN: 'the-token-of-all-three-replicas',
    SECRET_KEY,
  }
  const written = Object.entries(environment).map(([name, value]) => {
    const text = value.replace(/\$\{(\w+)[^}]*\}/g, (_, secret: string) => secrets[secret] ?? '')
    return [name, text] as const
  })
  const here = { HOST: '127.0.0.1', PORT: '0', TRUSTED_PROXIES: '127.0.0.1', METRICS_LISTEN: '' }
  return { ...Object.fromEntries(written), ...here, DATABASE_URL: database }
}

test('all replicas have the same settings, and each a data directory of its own', () => {
  expect(services.length).toBe(3)
  const [[, first] = []] = services
  for (const [, service] of services) expect(service.environment).toEqual(first?.environment ?? {})
  const known = Object.values(OPTIONS).map(({ env }) => env as string)
  expect(Object.keys(first?.environment ?? {}).filter((name) => !known.includes(name))).toEqual([])
  expect(new Set(services.flatMap(([, { volumes }]) => volumes)).size).toBe(3)
  const delayMs = Number(first?.environment['SHUTDOWN_DELAY_MS'])
  const graceMs = Number(OPTIONS.shutdownGraceMs.default)
  for (const [, { stop_grace_period: stop }] of services)
    expect(Number.parseInt(stop, 10) * 1_000).toBeGreaterThan(delayMs + graceMs)
})

/** Resolves when a replica has the upstream that another one was told of. */
async function untilKnown(replica: TestServer): Promise<void> {
  const deadline = performance.now() + 5_000
  while (performance.now() < deadline) {
    const response = await fetch(`${replica.directUrl}/readyz?verbose`)
    const { upstreams } = (await response.json()) as { upstreams: { name: string }[] }
    if (upstreams.some(({ name }) => name === 'api')) return
    await Bun.sleep(50)
  }
  throw new Error('a replica has not heard of the upstream')
}

describe.skipIf(!isRun)(`behind Caddy${isRun ? '' : ' (install the Debian package caddy)'}`, () => {
  let upstream: Bun.Server<undefined>
  let replicas: TestServer[]
  let front: Front
  let ca: string
  let database: string
  let served = 0

  beforeAll(async () => {
    upstream = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      async fetch() {
        served++
        await Bun.sleep(5)
        return new Response('ok')
      },
    })
    database = await newDatabase()
    replicas = await Promise.all(
      services.map(([, service]) => startServer(settingsOf(service, database))),
    )
    const [one] = replicas as [TestServer]
    await addUpstream(one, { name: 'api', base_url: upstream.url.href, meter: { kind: 'none' } })
    // The others hear of it within a second.
    await Promise.all(replicas.map(untilKnown))
    const authority = await createAuthority()
    const { cert, key } = await authority.issue('DNS:localhost')
    ca = readFileSync(authority.env.NODE_EXTRA_CA_CERTS, 'utf8')
    const directory = temporaryDirectory()
    const certificate = {
      certFile: join(directory, 'cert.pem'),
      keyFile: join(directory, 'key.pem'),
    }
    await Bun.write(certificate.certFile, cert)
    await Bun.write(certificate.keyFile, key)
    const targets = replicas.map(({ directUrl }) => directUrl)
    front = await startFront(targets, 'caddy', certificate, (shipped) =>
      shipped.replace('{$REPLICAS}', `import ${ROOT}/deploy/caddy/replicas.caddy`),
    )
  })
  afterAll(() => upstream.stop(true))

  test('each replica is stopped and started again under load: exactly the quota is granted, and no call fails', async () => {
    const [one] = replicas as [TestServer]
    const { key, id } = await issueKey(one, { quota: 1_000_000 })
    served = 0
    const statuses = new Map<number, number>()
    let isOver = false
    const client = async () => {
      while (!isOver) {
        const response = await fetch(`${front.url}/u/api/x`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}` },
          body: 'a body',
          tls: { ca },
        })
        await response.arrayBuffer()
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
        await Bun.sleep(20)
      }
    }
    const clients = Array.from({ length: 20 }, client)
    for (const [at, replica] of replicas.entries()) {
      const [, service] = services[at] ?? []
      if (!service) throw new Error('there is no such service')
      expect(await replica.stop()).toBe(0)
      const { port } = new URL(replica.directUrl)
      const settings = { ...settingsOf(service, database), PORT: port }
      replicas[at] = await startServer(settings, replica.dataDir)
    }
    const granted = (statuses.get(200) ?? 0) + 500
    const changed = await replicas[2]?.admin('PATCH', `/admin/keys/${id}`, { quota: granted })
    expect(changed?.status).toBe(200)
    while ((statuses.get(429) ?? 0) === 0) await Bun.sleep(100)
    isOver = true
    await Promise.all(clients)
    expect([...statuses.keys()].sort()).toEqual([200, 429])
    expect([statuses.get(200), served]).toEqual([granted, granted])
    const shown = await replicas[1]?.admin('GET', `/admin/keys/${id}`)
    expect(await shown?.json()).toMatchObject({ used: granted, remaining: 0 })
  })

  test('a key that one replica revokes is refused by all', async () => {
    const [one, two] = replicas as [TestServer, TestServer]
    const { key, id } = await issueKey(one, { quota: null })
    const call = () =>
      fetch(`${front.url}/u/api/x`, { headers: { authorization: `Bearer ${key}` }, tls: { ca } })
    for (let i = 0; i < 6; i++) expect((await call()).status).toBe(200)
    expect((await two.admin('DELETE', `/admin/keys/${id}`)).status).toBe(200)
    for (let i = 0; i < 6; i++) expect((await call()).status).toBe(401)
  })
})
