/** What Prometheus is told, and what it never is. */
import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { METRICS, type MetricRow } from '../../src/modules/metrics/table.ts'
import { settled, until } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { testDatabase } from '../support/database.ts'
import { onPostgres } from '../support/engine.ts'
import { failStore } from '../support/failing-store.ts'
import { type Family, parseMetrics, type Scrape } from '../support/metrics.ts'
import { addUpstream, CREDENTIAL, startFixture } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const TOKEN = 'a-token-for-metrics-alone-0123456789'

async function scrape(server: TestServer): Promise<Scrape> {
  await settled(server)
  return parseMetrics(await (await server.admin('GET', '/metrics')).text())
}

/** What only a database in a file has; backups of PostgreSQL take programs that not every machine has. */
const ABSENT = onPostgres
  ? [
      'database_bytes',
      'wal_bytes',
      'disk_free_bytes',
      'backup_size_bytes',
      'backup_duration_seconds',
    ]
      .concat('backup_last_success_timestamp_seconds')
      .map((name) => `quota_proxy_${name}`)
  : []

/** Adds up a family over all series that have these labels. */
function sum(read: Scrape, name: string, labels: Record<string, string> = {}): number {
  return read.series
    .filter((one) => one.name === name)
    .filter((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))
    .reduce((total, { value }) => total + value, 0)
}

test('metrics are for whoever has the admin token or the one for metrics, which opens nothing else', async () => {
  const server = await startServer({ METRICS_TOKEN: TOKEN })
  const { key } = await issueKey(server)
  const ask = (path: string, token: string) =>
    fetch(server.url + path, { headers: { authorization: `Bearer ${token}` } })
  for (const token of ['', 'nonsense', key, `${TOKEN}x`]) {
    const response = await ask('/metrics', token)
    expect(response.status).toBe(401)
    expect(await response.text()).not.toContain('quota_proxy_')
  }
  for (const token of [TOKEN, server.adminToken])
    expect(await (await ask('/metrics', token)).text()).toContain('quota_proxy_build_info')
  for (const path of ['/admin/keys', '/admin/doctor', '/admin/backups', '/me'])
    expect((await ask(path, TOKEN)).status).toBe(401)
})

test('calls are counted by upstream and end, units by what was charged and given back', async () => {
  const fixture = await startFixture({ charge_on: 'answer' }, (request) =>
    new URL(request.url).pathname.endsWith('/bad')
      ? new Response(null, { status: 500 })
      : new Response('ok'),
  )
  const { key } = await fixture.issue({ quota: 3 })
  for (const path of ['/v1/a', '/v1/bad', '/u/api/b', '/v1/c', '/v1/over'])
    await (await fixture.pass(key, path)).text()
  await (await fixture.pass('trial_nobody', '/v1/a')).text()
  await settled(fixture.server)
  const response = await fixture.server.admin('GET', '/metrics')
  expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4')
  const read = parseMetrics(await response.text())
  const calls = (upstream: string, outcome: string, code: string, status: string) =>
    sum(read, 'quota_proxy_calls_total', { upstream, outcome, code, status })
  expect(calls('api', 'answered', '', '2xx')).toBe(3)
  expect(calls('api', 'answered', '', '5xx')).toBe(1)
  expect(calls('api', 'refused', 'insufficient_quota', '4xx')).toBe(1)
  expect(calls('', 'refused', 'invalid_api_key', '4xx')).toBe(1)
  const requests = { upstream: 'api', unit: 'requests' }
  expect(sum(read, 'quota_proxy_units_charged_total', requests)).toBe(3)
  expect(sum(read, 'quota_proxy_units_refunded_total', requests)).toBe(1)
  expect(sum(read, 'quota_proxy_call_duration_seconds_count', { upstream: 'api' })).toBe(4)
  expect(sum(read, 'quota_proxy_upstream_circuit', { upstream: 'api' })).toBe(0)
})

test('tokens and cost are counted as charged, and what was reserved beyond that as given back', async () => {
  const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }
  const fixture = await startFixture({ meter: { kind: 'tokens' } }, () =>
    Response.json({ model: 'm', usage }),
  )
  const { key } = await fixture.issue()
  const body = JSON.stringify({ model: 'm', max_tokens: 500, messages: [] })
  const headers = { 'content-type': 'application/json' }
  await (await fixture.pass(key, '/v1/chat/completions', { method: 'POST', body, headers })).text()
  const read = await scrape(fixture.server)
  const tokens = { upstream: 'api', unit: 'tokens' }
  expect(sum(read, 'quota_proxy_units_charged_total', tokens)).toBe(30)
  expect(sum(read, 'quota_proxy_units_refunded_total', tokens)).toBeGreaterThanOrEqual(470)
})

test('the time of a call is that of its upstream and what is added to it; who was not called adds nothing', async () => {
  const fixture = await startFixture({}, async () => {
    await Bun.sleep(200)
    const parts = async function* () {
      yield new TextEncoder().encode('first')
      await Bun.sleep(200)
      yield new TextEncoder().encode('last')
    }
    return new Response(parts())
  })
  await addUpstream(fixture.server, { name: 'gone', base_url: 'http://127.0.0.1:1' })
  const { key } = await fixture.issue()
  await (await fixture.pass(key, '/v1/a')).text()
  await (await fixture.pass('trial_nobody', '/v1/a')).text()
  for (let n = 0; n < 11; n++) await (await fixture.pass(key, '/u/gone/x')).text()
  const read = await scrape(fixture.server)
  const seconds = (part: string, upstream: string) =>
    sum(read, `quota_proxy_${part}_duration_seconds_sum`, { upstream })
  expect(seconds('upstream', 'api')).toBeGreaterThan(0.399)
  expect(seconds('added', 'api')).toBeGreaterThan(0)
  expect(seconds('call', 'api')).toBeCloseTo(
    seconds('upstream', 'api') + seconds('added', 'api'),
    9,
  )
  const count = (part: string) =>
    sum(read, `quota_proxy_${part}_duration_seconds_count`, { upstream: 'gone' })
  // The circuit has opened after ten.
  expect([count('call'), count('upstream'), count('added')]).toEqual([11, 10, 10])
})

test('an open circuit shows, and one of an upstream that is gone no longer does', async () => {
  const fixture = await startFixture({}, () => new Response(null, { status: 503 }))
  for (let n = 0; n < 10; n++) {
    const { key } = await fixture.issue()
    await (await fixture.pass(key, '/v1/x')).text()
  }
  const api = { upstream: 'api' }
  expect(sum(await scrape(fixture.server), 'quota_proxy_upstream_circuit', api)).toBe(2)
  await fixture.server.admin('DELETE', '/admin/upstreams/api')
  const { series } = await scrape(fixture.server)
  expect(series.filter(({ name }) => name === 'quota_proxy_upstream_circuit')).toEqual([])
})

test('an upstream has its series before its first call, so that the first failure is a change', async () => {
  const { server } = await startFixture()
  const read = await scrape(server)
  const names = read.series.filter(({ labels }) => labels['upstream'] === 'api')
  expect(new Set(names.map(({ name }) => name))).toContain('quota_proxy_credential_rejected_total')
})

test('a hold shows while it is open, and what the ledger wrote is counted', async () => {
  const gate = Promise.withResolvers<void>()
  const fixture = await startFixture({}, async () => {
    await gate.promise
    return new Response('ok')
  })
  const { key } = await fixture.issue()
  const calls = Array.from({ length: 5 }, () => fixture.pass(key, '/v1/x'))
  await until(() => fixture.upstream.seen.length === 5)
  const ask = async () => parseMetrics(await (await fixture.server.admin('GET', '/metrics')).text())
  expect(sum(await ask(), 'quota_proxy_holds_open')).toBe(5)
  gate.resolve()
  for (const call of calls) await (await call).text()
  await settled(fixture.server)
  const read = await ask()
  expect(sum(read, 'quota_proxy_holds_open')).toBe(0)
  expect(sum(read, 'quota_proxy_ledger_batch_calls_sum')).toBe(10)
  const batches = sum(read, 'quota_proxy_ledger_batch_calls_count')
  expect(batches).toBeWithin(2, 11)
  expect(sum(read, 'quota_proxy_ledger_commit_seconds_count')).toBe(batches)
  expect(sum(read, 'quota_proxy_ledger_commit_seconds_sum')).toBeGreaterThan(0)
})

test('a store that fails shows until it is well', async () => {
  const fixture = await startFixture()
  const { key } = await fixture.issue()
  const heal = await failStore(fixture.server)
  expect((await fixture.pass(key, '/v1/x')).status).toBe(503)
  const ask = async () => parseMetrics(await (await fixture.server.admin('GET', '/metrics')).text())
  const sick = await ask()
  await heal()
  expect(sum(sick, 'quota_proxy_store_failing')).toBe(1)
  expect(sum(sick, 'quota_proxy_store_errors_total')).toBeGreaterThan(0)
  while (sum(await ask(), 'quota_proxy_store_failing') === 1) await Bun.sleep(50)
})

test('books that an examination finds wrong show', async () => {
  const fixture = await startFixture()
  const { key } = await fixture.issue()
  await (await fixture.pass(key, '/v1/x')).text()
  const before = await scrape(fixture.server)
  expect(before.series.some(({ name }) => name === UNBALANCED)).toBe(false)
  await testDatabase({ path: fixture.server.database }).run('UPDATE counters SET used = used + 1')
  await fixture.server.admin('GET', '/admin/doctor')
  expect(sum(await scrape(fixture.server), UNBALANCED)).toBeGreaterThan(0)
})

const UNBALANCED = 'quota_proxy_books_unbalanced_counters'

test('keys have no series unless the operator wants them, then as many as that, and the rest is one', async () => {
  const file = join(temporaryDirectory(), 'settings')
  writeFileSync(file, 'METRICS_KEYS_MAX=0\n')
  const fixture = await startFixture({}, undefined, { CONFIG_FILE: file })
  const keys = await Promise.all(Array.from({ length: 4 }, () => fixture.issue()))
  const callAll = async () => {
    for (const { key } of keys) await (await fixture.pass(key, '/v1/x')).text()
    return scrape(fixture.server)
  }
  const change = async (max: number) => {
    const times = () =>
      fixture.server.events().filter(({ msg }) => msg === 'the settings were read again').length
    const before = times()
    writeFileSync(file, `METRICS_KEYS_MAX=${max}\n`)
    process.kill(fixture.server.pid, 'SIGHUP')
    await until(() => times() > before)
  }
  const shown = ({ series }: Scrape) =>
    series
      .filter(({ name }) => name === 'quota_proxy_key_calls_total')
      .map(({ labels, value }) => [labels['key'], value])

  expect(shown(await callAll())).toEqual([])
  await change(2)
  const [first, second] = keys.map(({ id }) => id)
  expect(shown(await callAll())).toEqual([
    [first, 1],
    [second, 1],
    ['other', 2],
  ])
  await change(1)
  expect(shown(await callAll())).toEqual([
    [first, 1],
    ['other', 3],
  ])
  await change(0)
  const read = await callAll()
  expect(shown(read)).toEqual([])
  for (const { key } of keys) expect(read.text).not.toContain(key)
})

/** How many calls of a hostile client are tried; far more than series could be added without being seen. */
const HOSTILE_CALLS = 2_000

test('whatever clients send adds no series and shows nowhere', async () => {
  const upstream = startUpstream(() => new Response('ok'))
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  await addUpstream(server, { name: 'api', base_url: upstream.url, mount: '/v1' })
  const { key } = await issueKey(server, { quota: 10 * HOSTILE_CALLS })
  const word = () => `hostile${randomBytes(6).toString('hex')}`
  const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
  const headers = () => ({
    'x-api-key': key,
    [`x-${word()}`]: word(),
    'user-agent': word(),
    'x-request-id': word(),
    'x-forwarded-for': word(),
    traceparent: word(),
    host: word(),
  })
  const kinds = [
    (n: number) =>
      fetch(`${server.url}/v1/${word()}?${word()}`, {
        method: METHODS[n % METHODS.length] ?? 'GET',
        headers: headers(),
      }),
    () => fetch(`${server.url}/u/${word()}/${word()}`, { headers: headers() }),
    () =>
      server.call(key, { endpoint: `${upstream.url}/${word()}`, headers: { [word()]: word() } }),
    () => server.call(word(), { endpoint: upstream.url }),
    () => server.call(key, { endpoint: `http://${word()}.invalid.:9/` }),
    () => server.call(key, { [word()]: word() }),
    () => fetch(`${server.url}/${word()}`, { headers: headers() }),
    () =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: headers(),
        body: JSON.stringify({ model: word() }),
      }),
  ]
  const send = async (n: number) => {
    await (await kinds[n % kinds.length]?.(n))?.arrayBuffer()
  }
  for (let n = 0; n < kinds.length * METHODS.length; n++) await send(n)
  const names = async () => {
    const read = await scrape(server)
    expect(read.text).not.toMatch(/hostile|127\.0\.0\.1/)
    for (const secret of [key, CREDENTIAL, server.adminToken])
      expect(read.text).not.toContain(secret)
    return read.series.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
  }
  const before = await names()
  let next = 0
  const client = async () => {
    while (next < HOSTILE_CALLS) await send(next++)
  }
  await Promise.all(Array.from({ length: 20 }, client))
  expect(await names()).toEqual(before)
}, 30_000)

test('everything in the table is emitted as it says, and nothing else is', async () => {
  const authority = await createAuthority()
  const leaf = await authority.issue('IP:127.0.0.1')
  const directory = temporaryDirectory()
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  writeFileSync(files.cert, leaf.cert)
  writeFileSync(files.key, leaf.key)
  const upstream = startUpstream(
    (request) => new Response('answer', { status: request.url.endsWith('/refused') ? 401 : 200 }),
  )
  const server = await startServer({
    TLS_CERT_FILE: files.cert,
    TLS_KEY_FILE: files.key,
    METRICS_LISTEN: '127.0.0.1:0',
    METRICS_KEYS_MAX: '5',
    BACKUP_SCHEDULE: '0 0 1 1 *',
    PROXY_EGRESS_ALLOW: upstream.host,
  })
  const tls = { ca: readFileSync(authority.env.NODE_EXTRA_CA_CERTS) }
  // The control socket needs no token and speaks no TLS.
  const unix = join(server.dataDir, 'control.sock')
  const admin = async (method: string, path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const sent = body ? { headers, body: JSON.stringify(body) } : {}
    const response = await fetch(`http://localhost${path}`, { method, unix, ...sent })
    expect(response.ok).toBe(true)
    return response.json() as Promise<{ key: string }>
  }
  const credential = { secret: CREDENTIAL }
  const named = { name: 'api', base_url: upstream.url, credential, mount: '/v1' }
  await admin('POST', '/admin/upstreams', named)
  const { key } = await admin('POST', '/admin/keys', { name: 'test', quota: 3 })
  const headers = { 'x-api-key': key }
  for (const path of ['/v1/a', '/u/api/refused', '/u/nobody/x', '/v1/b', '/v1/c', '/v1/over'])
    await (await fetch(server.url + path, { headers, tls })).text()
  await settled(server)
  if (!onPostgres) await admin('POST', '/admin/backups')
  await admin('GET', '/admin/doctor')

  const listening = server.events().find(({ metrics }) => metrics !== undefined)
  const response = await fetch(`${listening?.['metrics']}metrics`)
  const read = parseMetrics(await response.text())
  const told = Object.fromEntries(
    read.families.map(({ name, type, help }) => [name, { type, help }]),
  )
  const table = Object.entries<MetricRow>(METRICS)
  expect(told).toEqual(
    Object.fromEntries(table.map(([name, { type, help }]) => [name, { type, help }])),
  )
  const labels = ({ series }: Family) => [
    ...new Set(
      series.map((one) =>
        Object.keys(one.labels)
          .filter((name) => name !== 'le')
          .join(),
      ),
    ),
  ]
  for (const family of read.families.filter(({ name }) => !ABSENT.includes(name))) {
    const [, row] = table.find(([name]) => name === family.name) ?? []
    // There are no leases on SQLite.
    if (family.name === 'quota_proxy_store_lease_seconds' && family.series.length === 0) continue
    const isSummary = row?.type === 'summary'
    // A summary's sum and count have no quantile.
    const expected = isSummary ? ['quantile', ''] : [row?.labels.join()]
    expect([family.name, labels(family)]).toEqual([family.name, expected as string[]])
  }

  const value = (name: string) => sum(read, name)
  const nowS = Date.now() / 1000
  expect(value('quota_proxy_credential_rejected_total')).toBe(1)
  expect(value('quota_proxy_tls_certificate_expiry_timestamp_seconds')).toBeWithin(
    nowS + 86_400,
    nowS + 3 * 86_400,
  )
  expect(value(UNBALANCED)).toBe(0)
  for (const name of ABSENT) expect(read.series.filter((one) => one.name === name)).toEqual([])
  if (!onPostgres) {
    expect(value('quota_proxy_backup_scheduled')).toBe(1)
    expect(value('quota_proxy_backup_failed')).toBe(0)
    const backedUpAt = value('quota_proxy_backup_last_success_timestamp_seconds')
    expect(backedUpAt).toBeWithin(nowS - 60, nowS + 1)
    expect(value('quota_proxy_backup_size_bytes')).toBeGreaterThan(0)
    const path = join(server.dataDir, 'quota.db')
    expect(value('quota_proxy_database_bytes')).toBe(statSync(path).size)
    expect(value('quota_proxy_wal_bytes')).toBe(statSync(`${path}-wal`).size)
    expect(value('quota_proxy_disk_free_bytes')).toBeGreaterThan(0)
  }
  expect(value('process_start_time_seconds')).toBeWithin(nowS - 60, nowS + 1)
  expect(value('process_resident_memory_bytes')).toBeWithin(10e6, 1e9)
  expect(value('process_open_fds')).toBeWithin(5, value('process_max_fds'))
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0)
})

test('the series of an upstream end when it is deleted, and not when it is disabled', async () => {
  const own = await startServer()
  const names = ['one', 'two', 'three']
  const upstreams = async () =>
    new Set(
      [...(await (await own.admin('GET', '/metrics')).text()).matchAll(/upstream="([^"]*)"/g)].map(([, name]) => name),
    )
  const before = await upstreams()
  const { key } = await issueKey(own)
  for (const name of names) {
    await own.admin('POST', '/admin/upstreams', { name, base_url: 'http://127.0.0.1:1' })
    await fetch(`${own.url}/u/${name}/x`, { headers: { 'x-api-key': key } })
  }
  expect(await upstreams()).toEqual(new Set([...before, ...names]))
  await own.admin('PATCH', '/admin/upstreams/one', { enabled: false })
  for (const name of ['two', 'three']) await own.admin('DELETE', `/admin/upstreams/${name}`)
  expect(await upstreams()).toEqual(new Set([...before, 'one']))
}) // biome-ignore format: a long line
